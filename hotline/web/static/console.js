// The console's own script: keeps the stack of calls as the event stream tells it. Everything a call shows is rendered
// by the server and comes with the event, so that a ring needs no second request. Events carry whole states, so a
// repeated one harms nothing, and after a lost connection the server tells the state anew.
(() => {
  "use strict";

  const streamAddress = document.body?.dataset.stream;
  const stack = document.getElementById("stack");
  if (!streamAddress || !stack) return;
  const announce = document.getElementById("announce");
  const wire = document.getElementById("wire");
  const bareTitle = document.title;
  // Calls put away in this tab, on whatever page, with the state they had: only a call that was ringing comes back, when it
  // is answered.
  const putAwayKey = `vigie put away ${document.body.dataset.screen}`;
  const putAway = new Map(JSON.parse(sessionStorage.getItem(putAwayKey) ?? "[]"));

  // What the reader has opened, chosen or typed stays when a refreshed call is morphed into place.
  if (window.Idiomorph) {
    Idiomorph.defaults.ignoreActiveValue = true;
    const callbacks = Idiomorph.defaults.callbacks;
    callbacks.beforeNodeMorphed = (node) => !(node instanceof Element && node.hasAttribute("data-keep"));
    callbacks.beforeAttributeUpdated = (name, node) =>
      !((name === "open" && node instanceof HTMLDetailsElement) || name === "aria-expanded");
  }

  const pops = () => [...stack.children];
  const popOf = (call) => document.getElementById(`pop-${call}`);
  const article = (pop) => pop.querySelector("article.call");
  const isOpen = (pop) => pop.hasAttribute("data-open");

  function showExpanded(pop) {
    pop.querySelector(".call-toggle")?.setAttribute("aria-expanded", String(isOpen(pop)));
  }

  // One call is open at a time; the others keep their heads.
  function open(pop) {
    for (const other of pops()) {
      other.toggleAttribute("data-open", other === pop);
      showExpanded(other);
    }
    catchUp(pop);
  }

  // What is not looked at is not renewed, so that a crowd of waiting calls on many screens costs nothing; it catches up
  // when it is looked at.
  const isSeen = (pop) => !document.hidden && isOpen(pop);

  function catchUp(pop) {
    const shown = article(pop);
    if (!shown?.isConnected || !pop.missed) return;
    pop.missed = false;
    htmx.trigger(shown, "catch-up");
  }

  document.addEventListener("htmx:beforeRequest", (event) => {
    const place = event.detail.elt.matches("article.call") ? event.detail.elt.closest(".pop") : null;
    if (!place || isSeen(place)) return;
    place.missed = true;
    event.preventDefault();
  });
  document.addEventListener("visibilitychange", () => {
    for (const place of document.querySelectorAll(".pop[data-open]")) catchUp(place);
  });

  function countRinging() {
    const ringing = pops().filter((pop) => article(pop)?.dataset.state === "ringing").length;
    document.title = ringing ? `(${ringing}) ${bareTitle}` : bareTitle;
  }

  // Counts seconds on from what the server said, by our own steady clock: the browser's may stand elsewhere.
  function startTimers(root) {
    for (const timer of root.querySelectorAll("[data-elapsed]")) {
      timer.begun = performance.now() - Number(timer.dataset.elapsed) * 1000;
    }
  }

  function tick() {
    for (const timer of stack.querySelectorAll("[data-elapsed]")) {
      if (timer.begun === undefined) continue;
      const seconds = Math.max(0, Math.floor((performance.now() - timer.begun) / 1000));
      const text = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
      if (timer.textContent !== text) timer.textContent = text;
    }
  }

  function pop({ call, version, state, html }) {
    let place = popOf(call);
    if (putAway.has(call) && (state === "ended" || putAway.get(call) === state)) return;
    if (place && Number(article(place)?.dataset.version ?? 0) > version) return;
    const fresh = !place;
    if (fresh) {
      place = document.createElement("li");
      place.className = "pop";
      place.id = `pop-${call}`;
      place.innerHTML = html;
      const speaking = pops().some((other) => isOpen(other) && article(other)?.dataset.state === "answered");
      // Newest first by their ring, not by which came off the wire first.
      stack.insertBefore(place, pops().find((other) => Number(article(other)?.dataset.call) < call) ?? null);
      if (!speaking && (state === "answered" || place === stack.firstElementChild)) open(place);
      else showExpanded(place);
    } else {
      Idiomorph.morph(article(place), html, { morphStyle: "outerHTML" });
      if (state === "answered" && !isOpen(place)) open(place);
    }
    htmx.process(place);
    startTimers(place);
    showExpanded(place);
    countRinging();
    if (fresh) announce.textContent = article(place).dataset.announce;
  }

  function leave(call) {
    const place = popOf(call);
    if (!place) return;
    const wasOpen = isOpen(place);
    const hadFocus = place.contains(document.activeElement);
    place.remove();
    if (wasOpen && stack.firstElementChild) open(stack.firstElementChild);
    if (hadFocus) (stack.querySelector(".call-toggle") ?? document.getElementById("main")).focus();
    countRinging();
  }

  function dismiss(place) {
    const { call, state } = article(place).dataset;
    putAway.set(Number(call), state);
    sessionStorage.setItem(putAwayKey, JSON.stringify([...putAway].slice(-100)));
    leave(Number(call));
  }

  // After a gap: what is not in the state any more has left, save an ended call its agent is still finishing.
  function keepOnly(calls) {
    for (const place of pops()) {
      const shown = article(place);
      const call = Number(shown?.dataset.call);
      if (!calls.includes(call) && shown?.dataset.state !== "ended") leave(call);
    }
  }

  function move(step) {
    const all = pops();
    if (!all.length) return;
    const at = all.findIndex(isOpen);
    const next = all[(at + step + all.length) % all.length];
    open(next);
    next.querySelector(".call-toggle")?.focus();
  }

  stack.addEventListener("click", (event) => {
    const place = event.target.closest(".pop");
    if (!place) return;
    if (event.target.closest("[data-put-away]")) dismiss(place);
    else if (event.target.closest(".call-toggle")) {
      if (isOpen(place)) {
        place.removeAttribute("data-open");
        showExpanded(place);
      } else open(place);
    }
  });

  document.addEventListener("keydown", (event) => {
    if (document.documentElement.dataset.shortcuts === "off") return;
    if (event.altKey && !event.ctrlKey && !event.metaKey) {
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        move(event.key === "ArrowDown" ? 1 : -1);
      } else if (event.code === "KeyS") {
        event.preventDefault();
        document.getElementById("q")?.focus();
      }
    } else if (event.key === "Escape") {
      const place = event.target.closest?.(".pop");
      if (place && stack.contains(place)) dismiss(place);
    }
  });

  // A refreshed call comes with new elements: their timers and the toggle's state are ours to set.
  document.addEventListener("htmx:afterSettle", (event) => {
    const place = event.target.closest?.(".pop");
    if (!place) return;
    startTimers(place);
    showExpanded(place);
    tick();
  });
  document.addEventListener("vigie:left", (event) => leave(event.detail.call));

  const heard = {
    wire: (state) => { wire.dataset.state = state; },
    pop,
    leave: ({ call }) => leave(call),
    state: ({ calls }) => {
      keepOnly(calls);
      document.dispatchEvent(new CustomEvent("vigie:connected"));
    },
    work: (detail) => document.dispatchEvent(new CustomEvent("vigie:work", { detail })),
    "signed-out": () => location.assign("/sign-in"),
  };

  // All tabs of an agent share one stream (see stream.js); its name keeps sessions and languages of one browser apart.
  function listenTogether({ worker, screen }) {
    const { port } = new SharedWorker(worker, { name: `vigie ${screen}` });
    port.addEventListener("message", ({ data }) => heard[data.event](data.data));
    port.start();
    port.postMessage({ address: streamAddress });
    addEventListener("pagehide", () => port.postMessage({ bye: true }), { once: true });
  }

  function listenAlone() {
    const stream = new EventSource(streamAddress);
    stream.addEventListener("open", () => heard.wire("open"));
    stream.addEventListener("error", () => {
      heard.wire("lost");
      if (stream.readyState === EventSource.CLOSED) setTimeout(listenAlone, 3000);
    });
    for (const event of ["pop", "leave", "state", "work", "signed-out"]) {
      stream.addEventListener(event, (message) => heard[event](JSON.parse(message.data)));
    }
    addEventListener("pagehide", () => stream.close(), { once: true });
  }

  setInterval(tick, 1000);
  // A page brought back from the browser's memory has lost its stream.
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  if (globalThis.SharedWorker) listenTogether(document.body.dataset);
  else listenAlone();
})();
