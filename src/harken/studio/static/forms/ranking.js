// An order of several: numbers, buttons, or dragging by a handle; ties, and only the best k where that is asked.

import { el, say } from "/static/dom.js";
import { t } from "/static/words.js";

export function ranking(item, { keys, answer, text, before }) {
  const number = new Map(item.candidates.map((one, i) => [one.id, i + 1]));
  const found = new Map(item.candidates.map((one) => [one.id, one]));
  let tiers = (before.tiers ?? []).map((tier) => [...tier]);
  let tie = false;
  const wanted = item.top_k ?? item.candidates.length;
  const placed = () => tiers.flat();
  const rest = () => item.candidates.map((one) => one.id).filter((id) => !placed().includes(id));
  const enough = () => placed().length >= wanted;

  const place = (id) => {
    if (placed().includes(id)) return;
    if (tie && tiers.length) tiers[tiers.length - 1].push(id);
    else tiers.push([id]);
    tie = false;
    // Where only one is left there is nothing to choose.
    if (!item.top_k && rest().length === 1) tiers.push(rest());
    draw(id);
  };
  const remove = (id) => {
    tiers = tiers.map((tier) => tier.filter((one) => one !== id)).filter((tier) => tier.length);
    draw(id);
  };
  const move = (id, by) => {
    const at = tiers.findIndex((tier) => tier.includes(id));
    tiers[at] = tiers[at].filter((one) => one !== id);
    const alone = !tiers[at].length;
    if (alone) tiers.splice(at, 1);
    // Out of a tie by one step; else past the neighbour.
    const to = alone ? at + by : by < 0 ? at : at + 1;
    tiers.splice(Math.max(0, Math.min(tiers.length, to)), 0, [id]);
    draw(id);
  };
  const join = (id) => {
    const at = tiers.findIndex((tier) => tier.includes(id));
    if (at < 1) return;
    tiers[at] = tiers[at].filter((one) => one !== id);
    tiers[at - 1].push(id);
    tiers = tiers.filter((tier) => tier.length);
    draw(id);
  };
  const send = () => {
    if (!enough()) return say(t("rank.more", { n: wanted - placed().length }), "error");
    return answer({ tiers, rest: item.top_k ? rest() : [] });
  };

  const order = el("ol", { class: "order", "aria-label": t("rank.order") });
  const open = el("div", { class: "cards", role: "group", "aria-label": t("rank.open") });
  const submit = el("button", { type: "button", class: "act", on: { click: send } }, t("send"), " ", el("kbd", {}, keys.label("submit")));
  const same = el("button", { type: "button", "aria-pressed": "false", on: { click: () => { tie = !tie; draw(); } } }, t("rank.same"), " ", el("kbd", {}, keys.label("same")));

  const small = (label, words, act, off) => el("button", { type: "button", class: "small", "aria-label": words, disabled: off, on: { click: act } }, label);
  const row = (id, tier) => {
    const name = t("rank.name", { n: number.get(id) });
    const handle = el("span", { class: "handle", "aria-hidden": "true" }, "⠿");
    const node = el("div", { class: "ranked", "data-id": id }, handle, el("strong", {}, `${number.get(id)}`), el("div", { class: "words" }, text(found.get(id))),
      small("↑", `${t("rank.up")}: ${name}`, () => move(id, -1), tier === 0 && tiers[0].length === 1),
      small("↓", `${t("rank.down")}: ${name}`, () => move(id, 1), tier === tiers.length - 1 && tiers[tier].length === 1),
      small("=", `${t("rank.join")}: ${name}`, () => join(id), tier === 0),
      small("✕", `${t("rank.remove")}: ${name}`, () => remove(id)));
    handle.addEventListener("pointerdown", (event) => drag(event, id, node));
    return node;
  };
  const drag = (event, id, node) => {
    event.preventDefault();
    node.classList.add("dragged");
    const over = (moved) => {
      const target = document.elementFromPoint(moved.clientX, moved.clientY)?.closest("li");
      for (const li of order.children) li.classList.toggle("over", li === target);
    };
    const drop = (moved) => {
      removeEventListener("pointermove", over);
      const target = document.elementFromPoint(moved.clientX, moved.clientY)?.closest("li");
      const to = target ? [...order.children].indexOf(target) : -1;
      if (to >= 0) {
        const from = tiers.findIndex((tier) => tier.includes(id));
        tiers[from] = tiers[from].filter((one) => one !== id);
        tiers.splice(to + (from < to ? 1 : 0), 0, [id]);
        tiers = tiers.filter((tier) => tier.length);
      }
      draw(id);
    };
    addEventListener("pointermove", over);
    addEventListener("pointerup", drop, { once: true });
  };
  const draw = (focus) => {
    order.replaceChildren(...tiers.map((tier, i) => el("li", {}, tier.map((id) => row(id, i)))));
    open.replaceChildren(...rest().map((id) => el("article", { class: "card", "aria-label": t("rank.name", { n: number.get(id) }) }, text(found.get(id)),
      el("button", { type: "button", class: "act", on: { click: () => place(id) } }, t("rank.place", { n: placed().length + 1 }), " ", el("kbd", {}, keys.off ? "" : String(number.get(id)))))));
    same.setAttribute("aria-pressed", String(tie));
    submit.disabled = !enough();
    if (focus) (order.querySelector(`[data-id="${focus}"] button:not(:disabled)`) ?? open.querySelector("button"))?.focus({ preventScroll: true });
    say(placed().length ? t("rank.so_far", { order: tiers.map((tier) => tier.map((id) => number.get(id)).join(" = ")).join(" > ") }) : "");
  };
  draw();
  return {
    node: el("div", {}, el("p", { class: "hint" }, item.top_k ? t("rank.top", { k: wanted }) : t("rank.hint")), order, open, el("div", { class: "between" }, same, submit)),
    acts: {
      submit: send,
      same: () => { tie = !tie; draw(); },
      undo_place: () => { const last = placed().at(-1); if (last) remove(last); },
      digit: (n) => { const one = item.candidates[n - 1]; return one ? place(one.id) : false; },
    },
  };
}
