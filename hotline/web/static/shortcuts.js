// The list of keyboard shortcuts, and the switch that turns them off, kept in this browser for each agent who uses it.
// Other scripts ask `document.documentElement.dataset.shortcuts`, which is "on" or "off".
(() => {
  "use strict";

  const list = document.getElementById("shortcuts");
  if (!list) return;
  const on = document.getElementById("shortcuts-on");
  const kept = `vigie-shortcuts ${list.dataset.agent}`;

  function set(state) {
    document.documentElement.dataset.shortcuts = state;
    on.checked = state === "on";
  }

  set(localStorage.getItem(kept) === "off" ? "off" : "on");
  on.addEventListener("change", () => {
    set(on.checked ? "on" : "off");
    localStorage.setItem(kept, on.checked ? "on" : "off");
  });
  // Another tab of the same agent switched them.
  addEventListener("storage", (event) => { if (event.key === kept) set(event.newValue === "off" ? "off" : "on"); });

  document.getElementById("shortcuts-open")?.addEventListener("click", () => list.showModal());
  document.addEventListener("keydown", (event) => {
    const writes = event.target.closest?.("input, textarea, select, [contenteditable]");
    if (event.key !== "?" || writes || document.documentElement.dataset.shortcuts === "off" || list.open) return;
    event.preventDefault();
    list.showModal();
  });
})();
