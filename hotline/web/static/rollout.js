// Firmware campaigns by keyboard: Alt+H asks for the reason of a halt, Alt+B of an abort; Enter does it, Escape lets it be.
// And how far the upload of a release is.
(() => {
  "use strict";

  const KEYS = { KeyH: "halt", KeyB: "abort" };

  // What can be done changes while the page stands: the buttons are renewed, the dialogues are not.
  function ask(deed) {
    const dialog = document.getElementById(`deed-${deed}`);
    if (!dialog || !document.querySelector(`[data-deed="${deed}"]`) || document.querySelector("dialog[open]")) return false;
    dialog.showModal();
    return true;
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-deed]");
    if (button) ask(button.dataset.deed);
    else if (event.target.closest?.("[data-close]")) event.target.closest("dialog").close();
  });

  document.addEventListener("keydown", (event) => {
    if (document.documentElement.dataset.shortcuts === "off") return;
    if (!event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || !KEYS[event.code]) return;
    if (ask(KEYS[event.code])) event.preventDefault();
  });

  document.addEventListener("htmx:xhr:progress", (event) => {
    const bar = event.target.closest?.("form.upload")?.querySelector("progress");
    if (!bar || !event.detail.lengthComputable) return;
    bar.hidden = false;
    bar.max = event.detail.total;
    bar.value = event.detail.loaded;
  });
  // A refused upload comes back with what was wrong: it is shown as any answer is.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr, requestConfig } = event.detail;
    if (requestConfig.elt.matches("form.upload") && [413, 422].includes(xhr.status)) {
      event.detail.shouldSwap = true;
      event.detail.isError = false;
    }
  });
})();
