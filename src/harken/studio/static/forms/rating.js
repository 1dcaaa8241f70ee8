// Grades on one or several criteria: a digit each.

import { el } from "/static/dom.js";
import { t } from "/static/words.js";

export function rating(item, { keys, answer, text, before, draft }) {
  const scores = { ...before.scores, ...draft.said.scores };
  const changing = Boolean(before.scores);
  const last = item.criteria.length - 1;
  const open = () => item.criteria.findIndex((one) => scores[one.name] === undefined);
  let at = changing ? 0 : open();
  let pointed = false;
  // `decides`: by a digit or a click; arrow keys walk over the grades, and walking says nothing yet.
  const give = (criterion, n, decides) => {
    scores[criterion.name] = n;
    draft.keep({ scores });
    inputs.get(criterion.name)[n - 1].checked = true;
    const here = item.criteria.indexOf(criterion);
    // Somebody who changes what they said goes from one to the next, and sends it; else the first that is open is next.
    at = changing ? Math.min(here + 1, last) : open();
    if (!decides) at = here;
    mark();
    const whole = item.criteria.every((one) => scores[one.name] !== undefined);
    if (decides && whole && (!changing || last === 0)) send();
  };
  const send = () => {
    const missing = item.criteria.filter((one) => scores[one.name] === undefined);
    if (!missing.length) return answer({ scores });
    inputs.get(missing[0].name)[0].focus();
    return undefined;
  };
  const inputs = new Map();
  const rows = item.criteria.map((criterion) => {
    const radios = Array.from({ length: criterion.levels }, (_, i) =>
      el("input", { type: "radio", name: `rate-${item.key}-${criterion.name}`, value: String(i + 1), checked: scores[criterion.name] === i + 1, on: { click: () => give(criterion, i + 1, pointed) } }));
    inputs.set(criterion.name, radios);
    return el("fieldset", { class: "grades scale" }, el("legend", {}, criterion.label),
      el("span", { class: "end" }, t("worst")),
      radios.map((radio, i) => el("label", {}, radio, el("span", {}, String(i + 1)))),
      el("span", { class: "end" }, t("best")));
  });
  rows.forEach((row, i) => {
    row.addEventListener("pointerdown", () => (pointed = true));
    row.addEventListener("keydown", () => (pointed = false));
    row.addEventListener("focusin", () => { at = i; mark(); });
  });
  const mark = () => rows.forEach((row, i) => row.classList.toggle("now", i === at));
  const submit = el("button", { type: "button", class: "act", on: { click: send } }, t("send"), " ", el("kbd", {}, keys.label("submit")));
  mark();
  return {
    node: el("div", {}, el("div", { class: "cards" }, el("article", { class: "card", "aria-label": t("answer") }, text(item.candidates[0]))), rows, submit),
    acts: {
      submit: send,
      digit: (n) => {
        const now = item.criteria[at === -1 ? 0 : at];
        // On a scale of more than nine, 0 stands for ten.
        const grade = n === 0 ? 10 : n;
        return grade <= now.levels ? give(now, grade, true) : false;
      },
    },
  };
}
