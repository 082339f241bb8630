// What all pages of the workbench share: requests of htmx and of `workbench.post` carry the CSRF token of the page.
(() => {
  const root = document.getElementById("workbench");
  const token = () => root?.dataset.csrf ?? "";

  document.body.addEventListener("htmx:configRequest", (event) => {
    event.detail.headers["X-CSRFToken"] = token();
  });

  // Sends a form and returns the answer's HTML. A busy platform (503) is asked again after the time that it names.
  // Throws an Error whose message names the problem.
  async function post(url, form, { attempts = 5 } = {}) {
    for (let attempt = 1; ; attempt++) {
      const answer = await fetch(url, { method: "POST", body: form, headers: { "X-CSRFToken": token() }, redirect: "error" });
      if (answer.ok) return await answer.text();
      if (answer.status !== 503 || attempt === attempts) throw new Error(`HTTP ${answer.status}`);
      const pause = Number(answer.headers.get("Retry-After")) || 2 ** attempt;
      await new Promise((resolve) => setTimeout(resolve, Math.min(pause, 30) * 1000));
    }
  }

  window.workbench = { post };
})();
