// Sends dropped photographs, two requests at a time, and shows the answer of each in a card. Photographs stay in the
// browser until the page is left: one that was refused or not sent can be sent again.
(() => {
  const AT_ONCE = 2;
  const form = document.getElementById("wb-photographs");
  if (!form) return;
  const input = form.querySelector("input[type=file]");
  const results = document.getElementById("wb-results");
  const bar = document.getElementById("wb-progress");
  const none = document.getElementById("wb-none");
  const template = document.getElementById("wb-card");
  const only = bar.querySelector("[data-only]");
  const text = form.dataset;
  const queue = [];
  const jobs = new WeakMap(); // by card
  let running = 0, total = 0, done = 0, refused = 0, stopped = false;

  // A random UUID: `crypto.randomUUID` needs HTTPS.
  function uuid() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  }

  function add(files) {
    const chosen = [...files];
    if (!chosen.length) return;
    const groups = new FormData(form).get("mode") === "person" ? [chosen] : chosen.map((file) => [file]);
    for (const group of groups) {
      const card = template.content.firstElementChild.cloneNode(true);
      card.querySelector("h2").textContent = group.map((file) => file.name).join(", ");
      const job = { files: group, card, fields: new FormData(form), face: uuid(), refused: false };
      jobs.set(card, job);
      results.append(card);
      total += 1;
      wait(job);
    }
    none.hidden = true;
    bar.hidden = false;
    next();
  }

  function wait(job) {
    say(job, text.waiting);
    queue.push(job);
  }

  function next() {
    while (!stopped && running < AT_ONCE && queue.length) run(queue.shift());
    const status = text.progress.replace("{done}", done).replace("{total}", total).replace("{refused}", refused);
    const waits = stopped && queue.length > 0;
    bar.querySelector("[role=status]").textContent = waits ? `${status}. ${text.stopped}` : status;
    const progress = bar.querySelector("progress");
    progress.max = total;
    progress.value = done;
    bar.querySelector("[data-stop]").hidden = stopped || !(queue.length || running);
    bar.querySelector("[data-continue]").hidden = !waits;
    show();
  }

  async function run(job) {
    running += 1;
    say(job, text.working);
    const { html, problem } = await send(form.dataset.url, job, job.fields);
    if (html === null) say(job, problem, true);
    else fill(job, html);
    job.refused = job.card.querySelector(".wb-refusal") !== null;
    job.card.querySelector("[data-again]").hidden = !job.refused;
    running -= 1;
    done += 1;
    if (job.refused) refused += 1;
    next();
  }

  async function send(url, job, fields) {
    const body = new FormData();
    for (const [name, value] of fields) body.append(name, value);
    for (const file of job.files) body.append("photograph", file, file.name);
    body.set("face_id", fields.get("face_id") ?? job.face);
    try {
      return { html: await workbench.post(url, body), problem: "" };
    } catch (error) {
      const status = /^HTTP (\d+)$/.exec(error.message)?.[1];
      return { html: null, problem: status === "413" ? text.large : status ? text.failed : text.away };
    }
  }

  function fill(job, html) {
    const body = job.card.querySelector("[data-body]");
    body.innerHTML = html; // rendered by the platform, which escapes names
    const preview = body.querySelector("[data-preview]");
    if (!preview) return;
    const url = URL.createObjectURL(job.files[0]);
    preview.onload = () => URL.revokeObjectURL(url);
    preview.onerror = () => preview.closest("figure").remove(); // a format that the browser does not show
    preview.src = url;
  }

  function say(job, sentence, isProblem = false) {
    const line = document.createElement("p");
    line.textContent = sentence;
    if (isProblem) {
      line.className = "wb-refusal";
      line.setAttribute("role", "alert");
    }
    job.card.querySelector("[data-body]").replaceChildren(line);
  }

  function show() {
    for (const card of results.children) card.hidden = only.checked && !jobs.get(card).refused;
  }

  // Before the input gets the event: a listener of Unfold there would write the file's name into a text field.
  const onChange = (event) => {
    if (event.target !== input) return;
    event.stopPropagation();
    add(input.files);
    input.value = ""; // the same file can be chosen again
  };
  form.addEventListener("change", onChange, { capture: true });
  form.addEventListener("submit", (event) => event.preventDefault());
  only.addEventListener("change", show);

  const zone = form.querySelector(".wb-drop");
  for (const name of ["dragover", "dragleave", "drop"]) {
    zone.addEventListener(name, (event) => {
      event.preventDefault();
      zone.classList.toggle("wb-over", name === "dragover");
      if (name === "drop") add(event.dataTransfer.files);
    });
  }

  bar.addEventListener("click", (event) => {
    if (event.target.matches("[data-stop]")) stopped = true;
    else if (event.target.matches("[data-continue]")) stopped = false;
    else return;
    next();
  });

  results.addEventListener("click", (event) => {
    if (!event.target.matches("[data-again]")) return;
    const job = jobs.get(event.target.closest(".wb-card"));
    event.target.hidden = true;
    done -= 1;
    refused -= 1;
    job.refused = false;
    job.fields = new FormData(form);
    wait(job);
    next();
  });

  // Enrols one face of a tried photograph.
  results.addEventListener("submit", async (event) => {
    if (!event.target.matches("[data-enrol]")) return;
    event.preventDefault();
    const own = event.target;
    const job = jobs.get(own.closest(".wb-card"));
    const button = own.querySelector("button");
    own.dataset.face ??= uuid();
    const fields = new FormData(own);
    fields.set("account", job.fields.get("account"));
    fields.set("face_id", own.dataset.face);
    button.disabled = true;
    const { html, problem } = await send(own.action, job, fields);
    button.disabled = false;
    own.querySelector(".wb-answer")?.remove();
    const answer = document.createElement("div");
    answer.className = "wb-answer";
    if (html === null) {
      answer.innerHTML = '<p class="wb-refusal" role="alert"></p>';
      answer.firstElementChild.textContent = problem;
    } else {
      answer.innerHTML = html;
    }
    if (answer.querySelector(".wb-enrolled")) own.replaceWith(answer);
    else own.append(answer);
  });

  window.addEventListener("beforeunload", (event) => {
    if (running || queue.length) event.preventDefault();
  });
})();
