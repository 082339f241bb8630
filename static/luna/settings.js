// Pages of the Configurator: the list of processes refreshes itself, and the caret is set where JSON is invalid.
(() => {
  const INTERVAL_MS = 3000;

  async function refresh(place) {
    if (document.hidden) return;
    try {
      const answer = await fetch(place.dataset.refresh, { redirect: "error" });
      if (answer.ok) place.innerHTML = await answer.text();
    } catch {
      // The platform restarts, or the network is away: the next refresh tries again.
    }
  }

  function point(problem) {
    const editor = document.getElementById(problem.dataset.position);
    const numbers = problem.textContent.match(/\d+/g);
    if (!editor || !numbers || numbers.length < 2) return;
    const [line, column] = numbers.map(Number);
    const lines = editor.value.split("\n");
    if (line < 1 || line > lines.length) return;
    const start = lines.slice(0, line - 1).reduce((sum, each) => sum + each.length + 1, 0);
    const caret = Math.min(start + column - 1, editor.value.length);
    editor.focus();
    editor.setSelectionRange(caret, Math.min(caret + 1, editor.value.length));
  }

  for (const place of document.querySelectorAll("[data-refresh]")) setInterval(() => refresh(place), INTERVAL_MS);
  const problem = document.querySelector("[data-position]");
  if (problem) point(problem);
})();
