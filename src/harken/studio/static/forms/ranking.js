// An order of several: numbers, buttons, or dragging by a handle; ties, and only the best k where that is asked.

import { el, say } from "/static/dom.js";
import { t } from "/static/words.js";

const EDGE = 48;

export function ranking(item, { keys, answer, text, before, draft }) {
  const number = new Map(item.candidates.map((one, i) => [one.id, i + 1]));
  const found = new Map(item.candidates.map((one) => [one.id, one]));
  let tiers = (draft.said.tiers ?? before.tiers ?? []).map((tier) => [...tier]);
  let tie = false;
  // The one that was put last because nothing else was left; "=" ties it after all.
  let auto = null;
  const wanted = item.top_k ?? item.candidates.length;
  const placed = () => tiers.flat();
  const rest = () => item.candidates.map((one) => one.id).filter((id) => !placed().includes(id));
  const enough = () => placed().length >= wanted;
  const tierOf = (id) => tiers.findIndex((tier) => tier.includes(id));

  const without = (id) => tiers.map((tier) => tier.filter((one) => one !== id));
  const place = (id) => {
    if (placed().includes(id)) return;
    if (tie && tiers.length) tiers[tiers.length - 1].push(id);
    else tiers.push([id]);
    tie = false;
    auto = !item.top_k && rest().length === 1 ? rest()[0] : null;
    if (auto) tiers.push([auto]);
    draw();
  };
  const remove = (id) => {
    tiers = without(id).filter((tier) => tier.length);
    auto = null;
    draw();
  };
  const move = (id, by) => {
    auto = null;
    const at = tierOf(id);
    const alone = tiers[at].length === 1;
    tiers = without(id);
    if (alone) tiers.splice(at, 1);
    // Out of a tie by one step; else past the neighbour.
    const to = alone ? at + by : by < 0 ? at : at + 1;
    tiers.splice(Math.max(0, Math.min(tiers.length, to)), 0, [id]);
    draw(id, by < 0 ? "up" : "down");
  };
  const join = (id) => {
    const at = tierOf(id);
    if (at < 1) return;
    tiers = without(id);
    tiers[at - 1].push(id);
    tiers = tiers.filter((tier) => tier.length);
    draw(id, "join");
  };
  const send = () => {
    if (!enough()) return say(t("rank.more", { n: wanted - placed().length }), "error");
    return answer({ tiers, rest: item.top_k ? rest() : [] });
  };
  const tying = () => {
    const at = auto === null ? -1 : tierOf(auto);
    if (at > 0) {
      const alone = tiers[at].length === 1;
      tiers = without(auto).filter((tier) => tier.length);
      if (alone) tiers[at - 1].push(auto);
      else tiers.push([auto]);
    } else tie = !tie;
    draw();
  };

  const order = el("ol", { class: "order", tabindex: "-1", "aria-label": t("rank.order") });
  const open = el("div", { class: "cards", role: "group", "aria-label": t("rank.open") });
  const submit = el("button", { type: "button", class: "act", on: { click: send } }, t("send"), " ", el("kbd", {}, keys.label("submit")));
  const same = el("button", { type: "button", "aria-pressed": "false", on: { click: tying } }, t("rank.same"), " ", el("kbd", {}, keys.label("same")));

  const handleOf = (id, node) => {
    const handle = el("span", { class: "handle", "aria-hidden": "true", title: t("rank.drag") }, "⠿");
    handle.addEventListener("pointerdown", (event) => drag(event, id, node));
    return handle;
  };
  const row = (id, tier) => {
    const name = t("rank.name", { n: number.get(id) });
    const small = (what, label, act, off) =>
      el("button", { type: "button", class: "small", "data-do": what, "aria-label": `${t(`rank.${what}`)}: ${name}`, title: t(`rank.${what}`), disabled: off, on: { click: act } }, label);
    const node = el("div", { class: "ranked", "data-id": id });
    node.append(handleOf(id, node), el("strong", {}, `${number.get(id)}`), el("div", { class: "words" }, text(found.get(id))),
      el("div", { class: "tools" },
        small("up", "↑", () => move(id, -1), tier === 0 && tiers[0].length === 1),
        small("down", "↓", () => move(id, 1), tier === tiers.length - 1 && tiers[tier].length === 1),
        small("join", "=", () => join(id), tier === 0),
        small("remove", "✕", () => remove(id), false)));
    return node;
  };
  const card = (id) => {
    const node = el("article", { class: "card", "aria-label": t("rank.name", { n: number.get(id) }) });
    node.append(el("div", { class: "head" }, handleOf(id, node), el("strong", {}, `${number.get(id)}`)), text(found.get(id)),
      el("button", { type: "button", class: "act", on: { click: () => place(id) } }, t("rank.place", { n: tie && tiers.length ? tiers.length : tiers.length + 1 }), " ", el("kbd", {}, keys.off ? "" : String(number.get(id)))));
    return node;
  };

  // Where something is dropped: before or after the one under the pointer, at the end of the order, or out of it.
  const aim = (event) => {
    const under = document.elementFromPoint(event.clientX, event.clientY);
    const li = under?.closest(".order > li");
    if (li) {
      const box = li.getBoundingClientRect();
      return { li, at: [...order.children].indexOf(li) + (event.clientY > box.top + box.height / 2 ? 1 : 0) };
    }
    if (order.contains(under)) return { at: tiers.length };
    return open.contains(under) && tiers.length ? { at: null } : null;
  };
  const drag = (event, id, node) => {
    event.preventDefault();
    node.classList.add("dragged");
    order.classList.add("ready");
    const ends = new AbortController();
    const watch = (what, act) => addEventListener(what, act, { signal: ends.signal });
    const over = (moved) => {
      // Near an edge of the window the page comes along.
      if (moved.clientY < EDGE) scrollBy(0, -EDGE / 4);
      if (moved.clientY > innerHeight - EDGE) scrollBy(0, EDGE / 4);
      const to = aim(moved);
      for (const [i, li] of [...order.children].entries()) {
        li.classList.toggle("above", li === to?.li && to.at === i);
        li.classList.toggle("below", li === to?.li && to.at === i + 1);
      }
    };
    const drop = (moved) => {
      ends.abort();
      const to = moved.type === "pointerup" ? aim(moved) : null;
      if (to) {
        auto = null;
        tiers = without(id);
        if (to.at !== null) tiers.splice(to.at, 0, [id]);
        tiers = tiers.filter((tier) => tier.length);
      }
      draw();
    };
    watch("pointermove", over);
    watch("pointerup", drop);
    watch("pointercancel", drop);
  };
  let begun = false;
  const draw = (id, what) => {
    if (begun) draft.keep({ tiers });
    begun = true;
    const lost = order.contains(document.activeElement) || open.contains(document.activeElement);
    order.classList.remove("ready");
    order.replaceChildren(...tiers.map((tier, i) => el("li", {}, tier.map((one) => row(one, i)))));
    open.replaceChildren(...rest().map(card));
    const tied = auto !== null && (tiers[tierOf(auto)]?.length ?? 0) > 1;
    same.setAttribute("aria-pressed", String(tie || tied));
    submit.disabled = !enough();
    // Whoever works with buttons finds the next one under the finger; for keys and pointers the order has the focus, so that
    // Enter sends and space plays.
    const mine = what && order.querySelector(`[data-id="${id}"]`);
    const next = mine ? (mine.querySelector(`[data-do="${what}"]:not(:disabled)`) ?? mine.querySelector("button:not(:disabled)")) : (open.querySelector("button") ?? (keys.off ? submit : order));
    if (lost) next.focus({ preventScroll: true });
    say("", "error");
    say(placed().length ? t("rank.so_far", { order: tiers.map((tier) => tier.map((one) => number.get(one)).join(" = ")).join(" > ") }) : "");
  };
  draw();
  const byTouch = el("span", { class: keys.off ? "" : "for-fingers" }, " ", t("rank.touch"));
  const how = [item.top_k ? t("rank.top", { k: wanted }) : keys.off ? "" : el("span", { class: "for-keys" }, t("rank.hint")), byTouch];
  return {
    node: el("div", {}, el("p", { class: "hint" }, how), order, open, el("div", { class: "between" }, same, submit)),
    acts: {
      submit: send,
      same: tying,
      undo_place: () => { const last = placed().at(-1); if (last) remove(last); },
      digit: (n) => { const one = item.candidates[n - 1]; return one ? place(one.id) : false; },
    },
  };
}
