// The page where people answer: the next items are here before they are wanted, and nothing that was said is lost.

import { send } from "/static/api.js";
import { byId, el, say } from "/static/dom.js";
import { Draft } from "/static/drafts.js";
import { comparison } from "/static/forms/comparison.js";
import { edit } from "/static/forms/edit.js";
import { ranking } from "/static/forms/ranking.js";
import { rating } from "/static/forms/rating.js";
import { Keys } from "/static/keys.js";
import { Outbox } from "/static/outbox.js";
import { ownKeys } from "/static/own_keys.js";
import { Past } from "/static/past.js";
import { prefetch, showPrompt, zoom } from "/static/prompt.js";
import { windowName } from "/static/window.js";
import { t } from "/static/words.js";

const FORMS = { comparison, ranking, rating, edit };
const AHEAD = 6;
const AGAIN = 3000;
const PAUSE = 4000;
const LONGEST = 1e6;
const main = byId("task");
const { slug, user, shortcuts } = JSON.parse(byId("page").textContent);
const keys = new Keys(shortcuts);
const waiting = [];
let tab = "";
let current = null;
let draft = null;
let shown = { sounds: [], pictures: [] };
let left = null;
let asking = null;
let since = 0;
let settling = null;
let sound = 0;

const outbox = new Outbox(user, {
  onCount: (n) => {
    byId("waiting").textContent = n ? t("waiting", { n }) : "";
    byId("waiting").hidden = !n;
    if (!n) settle();
  },
  onRefused: (result) => {
    past.correct(result.key);
    tell(result.status === "other" ? t("other") : t("refused", { why: result.why }));
  },
  onAside: (why) => tell(t("aside", { why }), { "aside.again": () => outbox.again(), "aside.drop": () => outbox.drop() }),
  onAway: away,
});
const past = new Past(slug, outbox, reopen);

// Why nothing comes and goes: null if all is well, 401 if somebody has to enter again, else the studio is out of reach.
function away(status) {
  const place = byId("away");
  if (place.dataset.status === String(status)) return;
  place.dataset.status = String(status);
  place.hidden = status === null;
  if (status === null) place.replaceChildren();
  else if (status === 401) place.replaceChildren(t("enter_again"), " ", el("a", { href: `/enter?next=${encodeURIComponent(location.pathname)}` }, t("enter")));
  else place.replaceChildren(t("away"));
}

// Whatever comes back says that the studio is there: what waits need not wait longer.
addEventListener("reached", async () => {
  if (byId("away").hidden) return;
  if ((await outbox.waiting()).length) outbox.soon(0);
  else away(null);
});

// What became of an answer stays until it is read, whatever is shown meanwhile; the same of several is told once.
function tell(words, acts = { close: () => {} }) {
  const button = ([name, act]) => el("button", { type: "button", class: "small", on: { click: () => { note.remove(); act(); } } }, t(name));
  const note = el("p", { class: "notice" }, el("span", {}, words), Object.entries(acts).map(button));
  if ([...byId("told").children].some((other) => other.firstChild.textContent === words)) return;
  byId("told").append(note);
}

// The clock of an item runs while the page can be seen.
const clock = { spent: 0, since: null };
document.addEventListener("visibilitychange", () => {
  if (document.hidden && clock.since !== null) {
    clock.spent += performance.now() - clock.since;
    clock.since = null;
  } else if (!document.hidden && clock.since === null) clock.since = performance.now();
});
function seconds() {
  const spent = (clock.spent + (clock.since === null ? 0 : performance.now() - clock.since)) / 1000;
  return Math.min(LONGEST, Math.round(spent * 1000) / 1000);
}

// Ask for the next items; null where the studio cannot be reached. Who asks while it is asked waits for the same answer.
function fill() {
  asking ??= ask().catch((error) => {
    away(error.status ?? 0);
    return null;
  }).finally(() => (asking = null));
  return asking;
}

async function ask() {
  const holding = [current, ...waiting].filter((one) => one && !one.reopened).map((one) => one.key);
  const outgoing = (await outbox.all()).map((one) => one.answer);
  const unsent = outgoing.map((one) => one.key);
  since = 0;
  const known = new Set([...holding, ...unsent]);
  const found = await send("POST", `/api/v1/projects/${slug}/next`, { tab, holding: [...known].slice(-50), want: Math.min(50, AHEAD + unsent.length) });
  for (const item of found.items) {
    if (known.has(item.key)) continue;
    waiting.push(item);
    prefetch(item);
  }
  // While answers are on their way nobody knows which of them the studio has counted; this window's own count goes on.
  if (left === null || (!outgoing.length && !since)) count(found.left);
  return found;
}

// In a pause, when nothing is on its way, the studio's count, in which others' answers are too.
function settle() {
  clearTimeout(settling);
  settling = setTimeout(async () => {
    const found = await send("GET", `/api/v1/projects/${slug}`).catch(() => null);
    if (found && !(await outbox.all()).length) count(found.left);
  }, PAUSE);
}

function count(n) {
  left = Math.max(0, n);
  byId("left").textContent = t("left", { n: left });
}

async function next() {
  if (!waiting.length) {
    current = null;
    keys.set({ back: () => past.open() });
    if (!byId("empty")) main.replaceChildren(el("p", { class: "hint" }, t("loading")));
    const found = await fill();
    if (current) return;
    if (!waiting.length) {
      nothing(found);
      return;
    }
  }
  show(waiting.shift());
  if (waiting.length < AHEAD - 1) fill();
}

function nothing(found) {
  for (const one of shown.sounds) one.stop();
  const words = found === null ? t("nothing_here") : found.open ? t("all_done") : t("closed");
  if (byId("empty")?.textContent !== words) {
    const act = (name, key) => el("button", { type: "button", class: key ? "" : "act", on: { click: key ? () => past.open() : next } }, t(name), key ? " " : "", key ? el("kbd", {}, keys.label(key)) : "");
    main.replaceChildren(el("div", { class: "empty" }, el("p", { tabindex: "-1", id: "empty" }, words), act("again"), " ", act("back", "back")));
    byId("empty").focus();
  }
  if (found === null) setTimeout(() => current === null && !waiting.length && next(), AGAIN);
}

function show(item) {
  for (const one of shown.sounds) one.stop();
  current = item;
  draft = new Draft(item.key);
  const form = FORMS[item.form](item, { keys, answer, text, before: item.said ?? {}, draft });
  shown = showPrompt(item.prompt, keys);
  const question = item.question || t(`question.${item.form}`);
  main.replaceChildren(
    el("h1", { tabindex: "-1", id: "question" }, item.reopened ? `${t("changing")} ${question}` : question),
    shown.node, form.node, besides(item));
  say("", "error");
  keys.set({ ...form.acts, ...mediaActs(), skip, flag, comment: () => { byId("besides").open = true; byId("comment").focus(); }, back: () => past.open(), help: () => byId("help").showModal() });
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
  const half = draft;
  const comment = el("textarea", { id: "comment", rows: "2", maxlength: "10000", on: { input: () => half.keep({ comment: comment.value }), keydown: (event) => event.key === "Escape" && byId("question").focus() } });
  comment.value = half.said.comment ?? "";
  const button = (action, act, label) => el("button", { type: "button", on: { click: act } }, label, " ", el("kbd", {}, keys.label(action)));
  return el("footer", {},
    el("div", { class: "between quietly" },
      button("skip", skip, t(item.reopened ? "keep_as_is" : "skip")), button("back", () => past.open(), t("back")),
      button("flag", flag, t("flag")), button("help", () => byId("help").showModal(), t("help"))),
    el("details", { id: "besides", open: comment.value !== "" }, el("summary", {}, t("comment"), " ", el("kbd", {}, keys.label("comment"))),
      el("label", { for: "comment" }, t("comment.label")),
      comment));
}

function mediaActs() {
  const acts = {};
  if (shown.sounds.length) {
    const now = () => shown.sounds[sound];
    Object.assign(acts, { play: () => now().toggle(), loop: () => now().loop(), slower: () => now().faster(-1), faster: () => now().faster(1) });
    acts.next_media = () => { point(sound + 1); now().toggle(); };
    point(0);
  }
  if (shown.pictures.length) acts.zoom = () => zoom(shown.pictures[0].part, shown.pictures[0].name);
  return acts;
}

// Which sound the keys speak of.
function point(n) {
  sound = n % shown.sounds.length;
  for (const [i, one] of shown.sounds.entries()) one.node.classList.toggle("now", i === sound);
}

function remarks(more = {}) {
  const comment = byId("comment").value.trim();
  return { ...more, ...(comment ? { comment } : {}) };
}

function answer(said) {
  keep(said, remarks());
}

// What was reopened and is left as it was stays said as it was; a comment on it is sent with what was said.
function skip() {
  if (!current.reopened) return keep({}, remarks({ skip: "" }));
  if (remarks().comment) return Object.keys(current.said).length ? keep(current.said, remarks()) : keep({}, remarks({ skip: "" }));
  draft.forget();
  past.add(current);
  return next();
}

function flag() {
  keep(current.said ?? {}, remarks({ flag: "" }));
}

function keep(said, extra) {
  const item = current;
  const half = draft;
  const amends = item.amends ?? 0;
  const says = Object.keys(said).length > 0;
  past.add({ ...item, said, amends: says ? amends + 1 : amends, media: undefined });
  const before = half.said;
  if (says) half.forget();
  else half.keep({ comment: undefined });
  outbox.put({ key: item.key, said, seconds: seconds(), amends, remarks: extra }).catch((error) => {
    half.keep(before);
    tell(t("not_kept", { why: error.message }));
  });
  if (says && !amends && left !== null) {
    since += 1;
    count(left - 1);
  }
  next();
}

function reopen(one) {
  if (current) waiting.unshift(current);
  show({ ...one, reopened: true });
}

addEventListener("pagehide", () => outbox.flush());
addEventListener("online", () => current === null && next());
ownKeys(keys);
outbox.count();
outbox.soon(0);
tab = await windowName(user);
next();
