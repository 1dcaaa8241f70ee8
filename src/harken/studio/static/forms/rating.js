// Grades on one or several criteria: a digit each.

import { el } from "/static/dom.js";
import { t } from "/static/words.js";

export function rating(item, { keys, answer, text, before }) {
  const scores = { ...(before.scores ?? {}) };
  let at = 0;
  const give = (criterion, n) => {
    scores[criterion.name] = n;
    inputs.get(criterion.name)[n - 1].checked = true;
    at = item.criteria.findIndex((one) => scores[one.name] === undefined);
    mark();
    if (at === -1 && (item.criteria.length === 1 || !before.scores)) send();
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
      el("input", { type: "radio", name: `rate-${item.key}-${criterion.name}`, value: String(i + 1), checked: scores[criterion.name] === i + 1, on: { click: () => give(criterion, i + 1) } }));
    inputs.set(criterion.name, radios);
    return el("fieldset", { class: "grades" }, el("legend", {}, criterion.label),
      el("span", { class: "end" }, t("worst")),
      radios.map((radio, i) => el("label", {}, radio, el("span", {}, String(i + 1)))),
      el("span", { class: "end" }, t("best")));
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
        return grade <= now.levels ? give(now, grade) : false;
      },
    },
  };
}
