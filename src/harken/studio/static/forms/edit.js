// What one would rather have read: the text to change, and live what is changed.

import { changes } from "/static/diff.js";
import { byId, el } from "/static/dom.js";
import { t } from "/static/words.js";

export function edit(item, { keys, answer, before }) {
  const [one] = item.candidates;
  const draft = `harken-draft-${item.key}`;
  const box = el("textarea", { id: "revision", rows: "8", spellcheck: "true", "aria-describedby": "why diff" });
  // What is half written is there again after a reload.
  box.value = sessionStorage[draft] ?? before.revision ?? one.text;
  const shown = el("div", { id: "diff", class: "diff", "aria-label": t("edit.changes"), role: "group" });
  const why = el("p", { id: "why", class: "hint", "aria-live": "polite" });
  const send = () => (submit.disabled ? box.focus() : finish());
  const finish = () => {
    delete sessionStorage[draft];
    answer({ candidate: one.id, revision: box.value });
  };
  const submit = el("button", { type: "button", class: "act", on: { click: send } }, t("send"), " ", el("kbd", {}, keys.off ? "" : `Ctrl ${t("key.enter")}`));
  const draw = () => {
    shown.replaceChildren(...changes(one.text, box.value).map(([kind, text]) => (kind === "same" ? text : el(kind === "gone" ? "del" : "ins", {}, text))));
    const wrong = !box.value.trim() ? t("edit.empty") : box.value.trim() === one.text.trim() ? t("edit.same") : "";
    submit.disabled = Boolean(wrong);
    why.textContent = wrong;
  };
  box.addEventListener("input", () => {
    sessionStorage[draft] = box.value;
    draw();
  });
  const since = performance.now();
  box.addEventListener("keydown", (event) => {
    // An Enter that was meant for the item before, which a digit had sent already.
    if (event.key === "Enter" && !event.ctrlKey && !event.metaKey && performance.now() - since < 600) event.preventDefault();
    // Out of the text box, to where single keys are shortcuts again.
    if (event.key === "Escape" && !event.isComposing) byId("question").focus();
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      send();
    }
  });
  draw();
  return {
    node: el("div", { class: "edit" }, el("label", { for: "revision" }, t("edit.label"), keys.off ? null : el("span", { class: "for-keys hint" }, ` ${t("edit.leave")}`)), box, why, el("h2", {}, t("edit.changes")), shown, submit),
    acts: { submit: send },
    // On a phone the keyboard would cover what is asked.
    focus: matchMedia("(pointer: coarse)").matches ? null : box,
  };
}
