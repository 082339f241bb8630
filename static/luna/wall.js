// The live wall: events of an account from the Sender's websocket, newest first. Texts of clients are set as text only.
(() => {
  const wall = document.getElementById("wall");
  if (!wall) return;
  const words = wall.dataset;
  const state = document.getElementById("wall-state");
  const pause = document.getElementById("wall-pause");
  const counter = document.getElementById("wall-count");
  const threshold = document.getElementById("wall-threshold");
  const NOBODY = "00000000-0000-0000-0000-000000000000";
  const LONGEST_PAUSE_MS = 30000;
  let lastEvent = null;
  let failures = 0;
  let seen = 0;
  let waiting = [];
  let paused = false;

  function element(name, options = {}, ...children) {
    const { text, ...attributes } = options;
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    made.append(...children);
    return made;
  }

  function link(address, id, text) {
    return element("a", { href: address.replace(NOBODY, encodeURIComponent(id)), class: "luna-link", text });
  }

  function picture(event) {
    const sample = (event.detections ?? []).map((each) => each.samples?.face?.sample_id).find(Boolean);
    if (!sample || words.pictures !== "1") return element("span", { class: "wb-nopicture", text: words.bare });
    const source = words.picture.replace(NOBODY, encodeURIComponent(sample));
    return element("img", { src: source, alt: words.alt, class: "luna-thumbnail luna-large" });
  }

  function name(event) {
    const top = event.top_match;
    if (!top) return words.nobody;
    const found = (event.matches ?? []).flatMap((each) => each.candidates ?? []).map((each) => each.face ?? each.event);
    const best = found.find((each) => each && (top.face_id ? each.face_id === top.face_id : each.event_id === top.event_id));
    return best?.user_data || best?.external_id || top.external_id || top.label || top.face_id || top.event_id;
  }

  // Times of notifications are in UTC (Z) or have an offset, as LUNA_STORAGE_TIME sets it.
  function shownTime(time) {
    return `${time.slice(0, 19).replace("T", " ")} ${time.endsWith("Z") ? "UTC" : (/[+-]\d\d:\d\d$/.exec(time) ?? [""])[0]}`;
  }

  function decimal(number) {
    return number.toLocaleString(document.documentElement.lang, { minimumFractionDigits: 3, maximumFractionDigits: 3 });
  }

  function card(message) {
    const event = message.event;
    const similarity = event.top_match?.similarity;
    const strong = typeof similarity === "number" && similarity >= Number(threshold.value.replace(",", "."));
    const facts = element("div", {});
    // A person is named only where the similarity suffices for a match: nearly every stranger resembles somebody.
    const known = typeof similarity === "number" && similarity >= Number(words.known);
    facts.append(element("div", { class: "wb-name", text: known ? name(event) : words.nobody }));
    if (typeof similarity === "number") {
      const bar = element("meter", { class: "luna-similarity", value: similarity.toFixed(3) });
      facts.append(element("div", {}, bar, ` ${decimal(similarity)} `, element("span", { class: "luna-tag", text: event.top_match.label ?? "" })));
    }
    if (event.top_match && !known) facts.append(element("div", { class: "luna-hint", text: `${words.nearest} ${name(event)}` }));
    const time = message.event_create_time ?? "";
    facts.append(element("div", {}, element("time", { datetime: time, text: shownTime(time) })));
    facts.append(link(words.record, event.event_id, event.source || event.event_id));
    if (event.user_data) facts.append(element("div", { text: event.user_data }));
    const tags = element("div", {});
    for (const tag of event.tags ?? []) tags.append(element("span", { class: "luna-tag", text: tag }), " ");
    facts.append(tags, element("div", {}, link(`${words.trace}?event=${NOBODY}`, event.event_id, words.follow)));
    return element("li", { class: strong ? "wb-card wb-strong" : "wb-card" }, picture(event), facts);
  }

  function add(message) {
    wall.prepend(card(message));
    while (wall.children.length > Number(words.cards)) wall.lastElementChild.remove();
    document.getElementById("wall-empty")?.remove();
  }

  function show(message) {
    if (!message.event?.event_id) return;
    lastEvent = message.event.event_id;
    seen += 1;
    if (paused) {
      waiting.push(message);
      waiting = waiting.slice(-Number(words.cards));
    } else add(message);
    counter.textContent = paused ? `${words.missed} ${waiting.length}` : `${words.seen} ${seen}`;
  }

  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    if (!paused) waiting.splice(0).forEach(add);
    state.textContent = paused ? words.paused : words.live;
    counter.textContent = `${words.seen} ${seen}`;
  });

  function later() {
    state.textContent = words.lost;
    setTimeout(open, Math.min(LONGEST_PAUSE_MS, 1000 * 2 ** failures++));
  }

  async function open() {
    try {
      const { ticket, account_id: account } = JSON.parse(await window.workbench.post(words.ticket, new FormData(), { attempts: 1 }));
      const query = new URLSearchParams(words.query);
      query.set("ticket", ticket);
      query.set("account_id", account);
      // Of a break in the connection, the Sender sends what was missed; after a refusal the wall begins anew.
      if (lastEvent && failures < 3) query.set("last_event_id", lastEvent);
      const scheme = location.protocol === "https:" ? "wss" : "ws";
      const socket = new WebSocket(`${scheme}://${location.host}${words.socket}?${query}`);
      socket.addEventListener("open", () => {
        failures = 0;
        state.textContent = paused ? words.paused : words.live;
      });
      socket.addEventListener("message", (sent) => {
        const message = JSON.parse(sent.data);
        (Array.isArray(message) ? message : [message]).forEach(show);
      });
      socket.addEventListener("close", later);
    } catch {
      later();
    }
  }

  open();
})();
