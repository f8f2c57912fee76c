// Two agents at one call: whoever has its form under their hands says so, and sees who else has. The event stream brings
// every change at once; after a gap the form says again that it is there, and is told who else is.
(() => {
  "use strict";

  const RENEW_MS = 20_000;
  const headers = JSON.parse(document.body.getAttribute("hx-headers") ?? "{}");
  // The forms under hands here, by call.
  const held = new Map();
  // Counts what the stream told: an answer that was overtaken by it is older.
  let told = 0;

  // A call's own page may show it besides the stack.
  const formsOf = (call) => [...document.querySelectorAll(`.qualify[data-call="${call}"]`)];

  async function say(call, gone) {
    const body = new URLSearchParams(gone ? { gone: "true" } : {});
    const before = told;
    try {
      const answer = await fetch(`/console/calls/${call}/editing`, { method: "POST", headers, body, keepalive: true });
      if (!answer.ok || gone) return;
      const { editors } = await answer.json();
      if (told === before) show(call, editors);
    } catch {
      // The stream's return says it again.
    }
  }

  function line(form, name, names) {
    const place = form.querySelector(".editors");
    const text = names.length ? `${place.dataset[name]} ${names.join(", ")}` : "";
    if (place.textContent !== text) place.textContent = text;
    place.hidden = !text;
  }

  function show(call, editors) {
    for (const form of formsOf(call)) {
      const me = Number(form.querySelector(".editors").dataset.me);
      const others = editors.filter(({ id }) => id !== me).map(({ name }) => name);
      // A form that is older than what was saved keeps saying so.
      if (!form.dataset.stale) line(form, "also", others);
    }
  }

  // A form that was not touched takes over what was saved; one that was says so, and keeps what was chosen.
  function saved({ call, version, by }) {
    for (const form of formsOf(call)) {
      // Our own save is told by its answer.
      if (Number(form.dataset.seen) >= version || form.dataset.saving) continue;
      if (form.dataset.touched) {
        form.dataset.stale = "true";
        line(form, "saved", [by]);
      } else {
        htmx.ajax("GET", `/console/calls/${call}/qualification`, { target: form.closest(".work"), swap: "innerHTML" });
      }
    }
  }

  function take(form) {
    const call = Number(form.dataset.call);
    if (held.has(call)) return;
    held.set(call, setInterval(() => (formsOf(call).length ? say(call, false) : release(call)), RENEW_MS));
    say(call, false);
  }

  function release(call) {
    clearInterval(held.get(call));
    if (held.delete(call)) say(call, true);
  }

  document.addEventListener("focusin", (event) => {
    const form = event.target.closest?.(".qualify");
    if (form) take(form);
  });
  document.addEventListener("change", (event) => {
    const form = event.target.closest?.(".qualify");
    if (form) form.dataset.touched = "true";
  });
  document.addEventListener("focusout", (event) => {
    const form = event.target.closest?.(".qualify");
    if (form && !form.dataset.touched && !form.contains(event.relatedTarget)) release(Number(form.dataset.call));
  });
  document.addEventListener("htmx:beforeRequest", ({ detail: { elt } }) => {
    if (elt.matches(".qualify")) elt.dataset.saving = "true";
  });
  document.addEventListener("htmx:afterRequest", ({ detail: { elt, successful } }) => {
    if (!elt?.matches?.(".qualify")) return;
    delete elt.dataset.saving;
    if (successful) release(Number(elt.dataset.call));
  });
  document.addEventListener("vigie:left", (event) => release(event.detail.call));
  document.addEventListener("vigie:connected", () => {
    for (const call of held.keys()) say(call, false);
  });
  document.addEventListener("vigie:work", ({ detail }) => {
    told += 1;
    if (detail.kind === "editors") show(detail.call, detail.editors);
    else if (detail.kind === "saved") saved(detail);
  });
  addEventListener("pagehide", () => {
    for (const call of [...held.keys()]) release(call);
  });
})();
