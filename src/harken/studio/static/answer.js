// The page where people answer: the next items are here before they are wanted, and nothing that was said is lost.

import { send } from "/static/api.js";
import { byId, el, say } from "/static/dom.js";
import { comparison } from "/static/forms/comparison.js";
import { edit } from "/static/forms/edit.js";
import { ranking } from "/static/forms/ranking.js";
import { rating } from "/static/forms/rating.js";
import { Keys } from "/static/keys.js";
import { Outbox } from "/static/outbox.js";
import { ownKeys } from "/static/own_keys.js";
import { prefetch, showPrompt, zoom } from "/static/prompt.js";
import { t } from "/static/words.js";

const FORMS = { comparison, ranking, rating, edit };
const AHEAD = 6;
const LAST = 10;
const main = byId("task");
const { slug, user, shortcuts } = JSON.parse(byId("page").textContent);
const keys = new Keys(shortcuts);
const tab = (sessionStorage.tab ??= crypto.randomUUID());
const waiting = [];
const past = [];
let current = null;
let shown = { sounds: [], pictures: [] };
let left = null;
let asking = null;
let sound = 0;

const outbox = new Outbox(user, {
  onCount: (n) => {
    byId("waiting").textContent = n ? t("waiting", { n }) : "";
    byId("waiting").hidden = !n;
  },
  onRefused: (result) => say(result.status === "other" ? t("other") : t("refused", { why: result.why }), "error"),
  onAway: (status) => {
    byId("away").hidden = status === null;
    byId("away").textContent = status === 401 ? t("enter_again") : t("away");
  },
});

// The clock of an item runs while the page can be seen.
const clock = { spent: 0, since: null };
document.addEventListener("visibilitychange", () => {
  if (document.hidden && clock.since !== null) {
    clock.spent += performance.now() - clock.since;
    clock.since = null;
  } else if (!document.hidden && clock.since === null) clock.since = performance.now();
});
function seconds() {
  return (clock.spent + (clock.since === null ? 0 : performance.now() - clock.since)) / 1000;
}

async function fill() {
  if (asking) return asking;
  asking = (async () => {
    const holding = [current, ...waiting].filter((one) => one && !one.amends).map((one) => one.key);
    const unsent = (await outbox.all()).map((one) => one.answer.key);
    const found = await send("POST", `/api/v1/projects/${slug}/next`, { tab, holding: [...new Set([...holding, ...unsent])].slice(-50), want: Math.min(50, AHEAD + unsent.length) });
    const known = new Set([...holding, ...unsent]);
    for (const item of found.items) {
      if (known.has(item.key)) continue;
      waiting.push(item);
      prefetch(item);
    }
    left = found.left;
    byId("left").textContent = t("left", { n: left });
    return found;
  })();
  try {
    return await asking;
  } catch (error) {
    if (error.status === 401) location.assign(`/enter?next=${encodeURIComponent(location.pathname)}`);
    return null;
  } finally {
    asking = null;
  }
}

async function next() {
  if (!waiting.length) {
    main.replaceChildren(el("p", { class: "hint" }, t("loading")));
    const found = await fill();
    if (!waiting.length) return nothing(found);
  }
  show(waiting.shift());
  if (waiting.length < AHEAD - 1) fill();
  return undefined;
}

function nothing(found) {
  current = null;
  keys.set({ back: openPast });
  const words = found === null ? t("away") : found.open ? t("all_done") : t("closed");
  main.replaceChildren(el("div", { class: "empty" }, el("p", { tabindex: "-1", id: "empty" }, words), el("button", { type: "button", class: "act", on: { click: next } }, t("again"))));
  byId("empty").focus();
  if (found === null) setTimeout(() => current === null && !waiting.length && next(), 3000);
}

function show(item) {
  for (const one of shown.sounds) one.stop();
  current = item;
  const before = item.said ?? {};
  const form = FORMS[item.form](item, { keys, answer, text, before });
  shown = showPrompt(item.prompt);
  sound = 0;
  const question = item.question || t(`question.${item.form}`);
  main.replaceChildren(
    el("h1", { tabindex: "-1", id: "question" }, item.amends ? `${t("changing")} ${question}` : question),
    shown.node, form.node, besides(item));
  byId("comment").value = "";
  say("", "error");
  keys.set({ ...form.acts, ...mediaActs(), skip: () => skip(), flag: () => flag(), comment: () => { byId("besides").open = true; byId("comment").focus(); }, back: openPast, help: () => byId("help").showModal() });
  clock.spent = 0;
  clock.since = document.hidden ? null : performance.now();
  (form.focus ?? byId("question")).focus({ preventScroll: true });
  scrollTo(0, 0);
}

function text(candidate) {
  if (candidate.html === undefined) return el("div", { class: "text" }, candidate.text);
  const node = el("div", { class: "text formatted" });
  node.innerHTML = candidate.html; // made by the server of markdown, without any HTML of others
  return node;
}

function besides(item) {
  const button = (action, act, label) => el("button", { type: "button", on: { click: act } }, label, " ", el("kbd", {}, keys.label(action)));
  return el("details", { id: "besides" }, el("summary", {}, t("besides")),
    el("label", { for: "comment" }, t("comment"), " ", el("kbd", {}, keys.label("comment"))),
    el("textarea", { id: "comment", rows: "2", maxlength: "10000" }),
    el("div", { class: "between" },
      item.amends ? null : button("skip", skip, t("skip")), button("flag", flag, t("flag")),
      el("button", { type: "button", on: { click: openPast } }, t("back"), " ", el("kbd", {}, keys.label("back"))),
      el("button", { type: "button", on: { click: () => byId("help").showModal() } }, t("help"), " ", el("kbd", {}, keys.label("help")))));
}

function mediaActs() {
  const now = () => shown.sounds[sound];
  const acts = {};
  if (shown.sounds.length) {
    Object.assign(acts, { play: () => now().toggle(), loop: () => now().loop(), slower: () => now().faster(-1), faster: () => now().faster(1) });
    acts.next_media = () => { sound = (sound + 1) % shown.sounds.length; now().toggle(); };
  }
  if (shown.pictures.length) acts.zoom = () => zoom(shown.pictures[0].part, shown.pictures[0].name);
  return acts;
}

function remarks(more = {}) {
  const comment = byId("comment").value.trim();
  return { ...more, ...(comment ? { comment } : {}) };
}

function answer(said) {
  keep(said, remarks());
}

function skip() {
  if (!current.amends) keep({}, remarks({ skip: "" }));
}

function flag() {
  keep({}, remarks({ flag: "" }));
}

function keep(said, extra) {
  const item = current;
  const amends = item.amends ?? 0;
  past.unshift({ ...item, said, amends: amends + 1 });
  past.splice(LAST);
  outbox.put({ key: item.key, said, seconds: Math.round(seconds() * 1000) / 1000, amends, remarks: extra }).catch((error) => say(t("not_kept", { why: error }), "error"));
  if (!amends && left !== null) byId("left").textContent = t("left", { n: (left = Math.max(0, left - 1)) });
  next();
}

// The last ten, to be opened again and changed; what this window said itself is newer than what the studio knows.
async function openPast() {
  const dialog = byId("past");
  const here = new Map(past.filter((one) => Object.keys(one.said).length).map((one) => [one.key, one]));
  const all = [...here.values()];
  const unsent = (await outbox.all()).map((one) => one.answer.key);
  try {
    const found = await send("GET", `/api/v1/projects/${slug}/mine`);
    for (const one of found.items) if (!here.has(one.key) && Object.keys(one.said).length && !unsent.includes(one.key)) all.push({ ...one, amends: one.next_amends });
  } catch { /* away: what this window knows is shown */ }
  const list = all.slice(0, LAST).map((one) => el("li", {}, el("button", { type: "button", on: { click: () => reopen(one, dialog) } }, summary(one))));
  dialog.replaceChildren(el("h2", {}, t("past")), list.length ? el("ol", {}, list) : el("p", {}, t("past.none")), el("button", { type: "button", on: { click: () => dialog.close() } }, t("close")));
  dialog.showModal();
}

function reopen(one, dialog) {
  dialog.close();
  if (current) waiting.unshift(current);
  const at = past.findIndex((other) => other.key === one.key);
  if (at >= 0) past.splice(at, 1);
  show({ ...one, amends: one.amends });
}

function summary(one) {
  const words = one.prompt.flatMap((m) => m.parts).filter((p) => p.type === "text").map((p) => p.text).join(" ");
  return `${t(`form.${one.form}`)}: ${(words || one.candidates[0].text).slice(0, 90)}`;
}

addEventListener("pagehide", () => outbox.flush());
ownKeys(keys);
outbox.count();
outbox.soon(0);
next();
