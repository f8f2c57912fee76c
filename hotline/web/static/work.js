// What agents do with a call, by keyboard: the qualification's form is reached by Alt+Q, a digit chooses in its groups and
// goes on to the next field; Alt+P passes the caller on.
(() => {
  "use strict";

  // A refused form comes back with what was wrong: it is shown as any answer is.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr, requestConfig } = event.detail;
    if (requestConfig.elt.matches(".qualify") && [409, 422].includes(xhr.status)) {
      event.detail.shouldSwap = true;
      event.detail.isError = false;
    }
  });

  document.addEventListener("change", (event) => {
    const form = event.target.closest?.("form.ticks");
    if (!form) return;
    const all = form.querySelector("[data-tick-all]");
    const ticks = [...form.querySelectorAll("input[name=call]")];
    if (event.target === all) for (const tick of ticks) tick.checked = all.checked;
    all.checked = ticks.every((tick) => tick.checked);
    all.indeterminate = !all.checked && ticks.some((tick) => tick.checked);
  });

  // Who waits for level 2 is asked for when the stream says that it changed, and after every gap.
  function askWhoWaits() {
    for (const place of document.querySelectorAll("#handover-count, #handovers")) htmx.trigger(place, "handovers");
    // Of the form it stands in, only this is renewed: what was chosen stays.
    for (const passed of document.querySelectorAll(".handed[data-waits]")) {
      htmx.ajax("GET", passed.dataset.waits, { target: passed, select: `#${passed.id}`, swap: "outerHTML" });
    }
  }
  document.addEventListener("vigie:connected", askWhoWaits);
  document.addEventListener("vigie:work", ({ detail }) => {
    if (detail.kind === "handovers") askWhoWaits();
  });

  // The form of the open call; on a call's own page, of that call.
  const form = () => document.querySelector("#stack > .pop[data-open] .qualify") ?? document.querySelector("#main .qualify");

  function chosenOrFirst(group) {
    return group.querySelector("input:checked") ?? group.querySelector("input");
  }

  function next(group) {
    const fields = [...group.form.querySelectorAll("fieldset, select, input[type=datetime-local], button")];
    const after = fields.slice(fields.indexOf(group) + 1).find((field) => field.checkVisibility());
    if (after) (after.matches("fieldset") ? chosenOrFirst(after) : after).focus();
  }

  document.addEventListener("keydown", (event) => {
    if (document.documentElement.dataset.shortcuts === "off") return;
    if (event.altKey && !event.ctrlKey && !event.metaKey && event.code === "KeyQ") {
      const found = form();
      if (!found) return;
      event.preventDefault();
      chosenOrFirst(found.querySelector("fieldset")).focus();
    } else if (event.altKey && !event.ctrlKey && !event.metaKey && event.code === "KeyP") {
      const found = document.querySelector("#stack > .pop[data-open] .pass-on") ?? document.querySelector("#main .pass-on");
      if (!found) return;
      event.preventDefault();
      found.open = true;
      found.querySelector("input").focus();
    } else if (/^[1-9]$/.test(event.key) && !event.altKey && !event.ctrlKey && !event.metaKey) {
      const group = event.target.closest?.(".qualify fieldset[data-digits]");
      const choice = group?.querySelectorAll("input")[Number(event.key) - 1];
      if (!choice) return;
      event.preventDefault();
      choice.checked = true;
      choice.dispatchEvent(new Event("change", { bubbles: true }));
      next(group);
    }
  });
})();
