// Which of two is better: one key.

import { el } from "/static/dom.js";
import { t } from "/static/words.js";

export function comparison(item, { keys, answer, text, before }) {
  let chosen = null;
  const [first, second] = item.candidates;
  // While it is asked how much, what has no button now has no key either.
  const press = (choice) => chosen === null && pick(choice);
  const pick = (choice) => {
    if (item.strength && choice !== "tie" && choice !== "both_bad") {
      chosen = choice;
      weigh(true);
      for (const [id, card] of cards) card.classList.toggle("chosen", id === choice);
      strength.scrollIntoView({ block: "nearest" });
      strength.focus({ preventScroll: true });
    } else answer({ choice });
  };
  const weigh = (on) => {
    strength.hidden = !on;
    neither.hidden = on;
    for (const label of node.querySelectorAll(".card kbd")) label.hidden = on;
  };
  const back = () => {
    chosen = null;
    weigh(false);
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
      first: () => press(first.id),
      second: () => press(second.id),
      tie: () => press("tie"),
      both_bad: () => press("both_bad"),
      ...(item.strength ? { undo_place: back } : {}),
      digit: (n) => {
        if (chosen === null) return false;
        return n >= 1 && n <= 3 ? answer({ choice: chosen, strength: n }) : undefined;
      },
    },
  };
}
