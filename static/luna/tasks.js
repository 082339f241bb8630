// Refreshes the progress of unfinished tasks. Elements of ended tasks have no `data-task`.
(() => {
  const INTERVAL_MS = 2000;

  function show(bar, id, html) {
    const template = document.createElement("template");
    template.innerHTML = html;
    const [done, all] = template.content.firstElementChild.dataset.parts.split(" ");
    for (const [name, number] of [["done", done], ["all", all]]) {
      for (const cell of document.querySelectorAll(`[data-parts-${name}="${id}"]`)) cell.textContent = number;
    }
    bar.replaceWith(template.content);
  }

  // The result, the end and the errors of an ended task are elsewhere in the page. A selection of rows is kept.
  function reloadIfEnded(before) {
    const running = document.querySelectorAll("[data-task]").length;
    if (running < before && !document.querySelector(".action-select:checked")) location.reload();
  }

  async function refresh() {
    const bars = [...document.querySelectorAll("[data-task]")];
    if (!bars.length) return;
    if (!document.hidden) {
      const ids = [...new Set(bars.map((bar) => bar.dataset.task))];
      try {
        const answer = await fetch(`${bars[0].dataset.url}?ids=${ids.join(",")}`, { redirect: "error" });
        if (!answer.ok) return;
        const progress = await answer.json();
        for (const bar of bars) {
          if (progress[bar.dataset.task] === undefined) bar.removeAttribute("data-task");
          else show(bar, bar.dataset.task, progress[bar.dataset.task]);
        }
        reloadIfEnded(bars.length);
      } catch {
        // The platform restarts, or the network is away: the next refresh tries again.
      }
    }
    setTimeout(refresh, INTERVAL_MS);
  }

  setTimeout(refresh, INTERVAL_MS);
})();
