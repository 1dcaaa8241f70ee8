// Which of two is better: one key.

import { el } from "/static/dom.js";
import { t } from "/static/words.js";

export function comparison(item, { keys, answer, text, before }) {
  let chosen = null;
  const [first, second] = item.candidates;
  const pick = (choice) => {
    if (item.strength && choice !== "tie" && choice !== "both_bad") {
      chosen = choice;
      strength.hidden = false;
      neither.hidden = true;
      for (const [id, card] of cards) card.classList.toggle("chosen", id === choice);
      strength.scrollIntoView({ block: "nearest" });
      strength.focus({ preventScroll: true });
    } else answer({ choice });
  };
  const back = () => {
    chosen = null;
    strength.hidden = true;
    neither.hidden = false;
    for (const card of cards.values()) card.classList.remove("chosen");
  };
  const button = (action, choice, label) =>
    el("button", { type: "button", class: before.choice === choice ? "act was" : "act", "data-act": action, on: { click: () => pick(choice) } }, label, " ", el("kbd", {}, keys.label(action)));
  const cards = new Map(item.candidates.map((one, i) => [one.id, el("article", { class: before.choice === one.id ? "card was" : "card", "aria-label": t(`side.${i}`) }, el("h2", {}, t(`side.${i}`)), text(one), button(i ? "second" : "first", one.id, t(`choose.${i}`)))]));
  const strength = el("div", { class: "strength", hidden: true, tabindex: "-1", role: "group", "aria-label": t("strength") },
    el("p", {}, t("strength")),
    [1, 2, 3].map((n) => el("button", { type: "button", class: before.strength === n ? "act was" : "act", on: { click: () => answer({ choice: chosen, strength: n }) } }, t(`strength.${n}`), " ", el("kbd", {}, keys.off ? "" : String(n)))),
    el("button", { type: "button", on: { click: back } }, t("strength.back"), " ", el("kbd", {}, keys.label("undo_place"))));
  const neither = el("div", { class: "between" }, button("tie", "tie", t("tie")), button("both_bad", "both_bad", t("both_bad")));
  const node = el("div", {}, el("div", { class: "cards two" }, [...cards.values()]), neither, strength);
  return {
    node,
    acts: {
      first: () => pick(first.id),
      second: () => pick(second.id),
      tie: () => pick("tie"),
      both_bad: () => pick("both_bad"),
      ...(item.strength ? { undo_place: back } : {}),
      digit: (n) => (chosen !== null && n >= 1 && n <= 3 ? answer({ choice: chosen, strength: n }) : false),
    },
  };
}
