// What one would rather have read: the text to change, and live what is changed.

import { changes } from "/static/diff.js";
import { byId, el } from "/static/dom.js";
import { t } from "/static/words.js";

// So long nobody has read the item yet: what is pressed was meant for the one before.
const UNREAD = 600;

export function edit(item, { keys, answer, before, draft }) {
  const [one] = item.candidates;
  const box = el("textarea", { id: "revision", rows: "8", spellcheck: "true", "aria-describedby": "why diff" });
  box.value = draft.said.revision ?? before.revision ?? one.text;
  const shown = el("div", { id: "diff", class: "diff", "aria-label": t("edit.changes"), role: "group" });
  const why = el("p", { id: "why", class: "hint", "aria-live": "polite" });
  const send = () => (submit.disabled ? box.focus() : answer({ candidate: one.id, revision: box.value }));
  const submit = el("button", { type: "button", class: "act", on: { click: send } }, t("send"), " ", el("kbd", {}, keys.off ? "" : `Ctrl ${t("key.enter")}`));
  const draw = () => {
    shown.replaceChildren(...changes(one.text, box.value).map(([kind, text]) => (kind === "same" ? text : el(kind === "gone" ? "del" : "ins", {}, text))));
    const wrong = !box.value.trim() ? t("edit.empty") : box.value.trim() === one.text.trim() ? t("edit.same") : "";
    submit.disabled = Boolean(wrong);
    why.textContent = wrong;
  };
  box.addEventListener("input", () => {
    draft.keep({ revision: box.value });
    draw();
  });
  const since = performance.now();
  box.addEventListener("keydown", (event) => {
    const plain = !event.ctrlKey && !event.metaKey && !event.altKey && !["Tab", "Escape"].includes(event.key);
    // Of who goes by keys, all; else an Enter alone, by which a button may have been pressed.
    if (plain && (keys.used || event.key === "Enter") && performance.now() - since < UNREAD) event.preventDefault();
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
