// Talking to a model: words, pictures, sounds and numbers; two answers side by side; and what they are worth.

import { send } from "/static/api.js";
import { Conversation } from "/static/conversation.js";
import { byId, el, say } from "/static/dom.js";
import { Keys } from "/static/keys.js";
import { lines, upload } from "/static/lines.js";
import { showPrompt } from "/static/prompt.js";
import { Recording } from "/static/record.js";
import { fresh } from "/static/window.js";
import { t } from "/static/words.js";

const LONGEST = 120;
const { user, shortcuts } = JSON.parse(byId("page").textContent);
const keys = new Keys(shortcuts);
const attached = [];
const conversation = new Conversation(user);
let known = [];
let asking = null;
let recording = null;
let undecided = null;

if (byId("models")) begin();

async function begin() {
  byId("say").before(byId("errors")); // where the eyes are, however long the conversation
  byId("two").addEventListener("change", () => (byId("other").hidden = !byId("two").checked));
  byId("temperature").addEventListener("input", () => (byId("warm").textContent = byId("temperature").value));
  byId("anew").addEventListener("click", anew);
  byId("say").addEventListener("submit", (event) => { event.preventDefault(); speak(); });
  byId("models").addEventListener("submit", (event) => event.preventDefault());
  byId("stop").addEventListener("click", () => asking?.abort());
  byId("message").value = conversation.message;
  byId("message").addEventListener("input", () => conversation.keep({ message: byId("message").value }));
  byId("message").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    speak();
  });
  for (const [id, kind] of [["picture", "image"], ["sound", "audio"], ["table", "numbers"]])
    byId(id).addEventListener("change", async (event) => {
      for (const file of event.target.files) await attach(kind, file, file.name);
      event.target.value = "";
    });
  byId("record").addEventListener("click", record);
  byId("record").hidden = !navigator.mediaDevices?.getUserMedia || typeof AudioWorkletNode === "undefined";
  for (const turn of conversation.turns) {
    settle();
    judge(turn, draw(turn).cards);
  }
  byId("talk").lastElementChild?.scrollIntoView({ block: "end", behavior: "instant" });
  await listModels();
}

async function listModels() {
  try {
    const found = (await send("GET", "/api/v1/chat/models")).models;
    known = found.filter((one) => one.model);
    const away = found.filter((one) => one.error);
    byId("servers").hidden = !away.length;
    byId("servers").textContent = away.map((one) => one.error).join("; ");
    if (away.length) byId("servers").append(" ", el("button", { type: "button", on: { click: listModels } }, t("again")));
  } catch (error) {
    say(error.message, "error");
  }
  for (const id of ["first", "second"]) {
    const label = (one) => (known.filter((other) => other.model === one.model).length > 1 ? `${one.model} (${one.endpoint + 1})` : one.model);
    byId(id).replaceChildren(...known.map((one, n) => el("option", { value: String(n) }, label(one))));
    byId(id).disabled = !known.length;
  }
  if (known.length > 1) byId("second").value = "1";
  if (!known.length) byId("first").append(el("option", {}, t("chat.none")));
  busy(false);
}

function busy(now) {
  byId("send").disabled = now || !known.length;
  byId("send").hidden = now;
  byId("stop").hidden = !now;
}

function anew() {
  asking?.abort();
  conversation.keep({ turns: [] });
  settle();
  byId("talk").replaceChildren();
  byId("message").focus();
}

async function attach(kind, bytes, name) {
  say("", "error");
  try {
    const part = await upload(kind, bytes);
    const remove = el("button", { type: "button", class: "small", "aria-label": t("chat.remove", { name }) }, "✕");
    const node = el("li", {}, attachment(kind, part, name), remove);
    const one = { type: kind, sha256: part.sha256, node };
    remove.addEventListener("click", () => { attached.splice(attached.indexOf(one), 1); node.remove(); byId("message").focus(); });
    attached.push(one);
    byId("attached").append(node);
    say(t("chat.attached", { name }));
  } catch (error) {
    say(`${name}: ${error.message}`, "error");
  }
}

function attachment(kind, part, name) {
  if (kind === "image") return el("img", { src: part.url, alt: name });
  if (kind === "audio") return el("audio", { src: part.url, controls: true, "aria-label": name });
  return el("span", {}, `${name}: ${t("numbers.size", { steps: part.steps, channels: part.channels })}`);
}

async function record() {
  const button = byId("record");
  if (recording) {
    const one = recording;
    recording = null;
    button.setAttribute("aria-pressed", "false");
    button.textContent = t("chat.record");
    await attach("audio", await one.stop(), t("chat.recording"));
    return;
  }
  try {
    button.disabled = true;
    recording = await Recording.start(LONGEST, () => recording && record());
    button.setAttribute("aria-pressed", "true");
    button.textContent = t("chat.record.stop");
  } catch (error) {
    say(t("chat.no_microphone", { why: error.message }), "error");
  } finally {
    button.disabled = false;
  }
}

async function speak() {
  const words = byId("message").value.trim();
  if (asking || !known.length || !(words || attached.length)) return;
  const two = byId("two").checked;
  const asked = [known[Number(byId("first").value)], ...(two ? [known[Number(byId("second").value)]] : [])].map(({ endpoint, model }) => ({ endpoint, model }));
  const parts = [...attached.map(({ type, sha256 }) => ({ type, sha256 })), ...(words ? [{ type: "text", text: words }] : [])];
  const body = { key: fresh(), after: conversation.last, parts, asked, temperature: Number(byId("temperature").value), max_tokens: Number(byId("most").value) || 512 };
  settle();
  say("", "error");
  asking = new AbortController();
  busy(true);
  let turn = null;
  let shown = null;
  try {
    let kept = false;
    await lines("/api/v1/chat/turns", body, (line) => {
      if (line.candidates) {
        turn = { said: line.said, answers: line.candidates.map((id) => ({ id, text: "", up: null, amends: 0 })), choice: null, models: [] };
        shown = draw(turn);
        shown.mine.scrollIntoView({ block: "start", behavior: "instant" });
      }
      if (line.text !== undefined) {
        turn.answers[line.candidate].text += line.text;
        shown.cards[line.candidate].text.append(line.text);
      }
      if (line.error) throw new Error(line.error);
      kept ||= Boolean(line.kept);
    }, asking.signal);
    if (!kept) throw new Error(t("chat.broken"));
    byId("message").value = "";
    attached.splice(0);
    byId("attached").replaceChildren();
    conversation.keep({ turns: [...conversation.turns, turn], message: "" });
    judge(turn, shown.cards);
    (undecided ?? byId("message")).focus();
    undecided?.scrollIntoView({ block: "nearest" });
  } catch (error) {
    // What was said stays in the box, to be sent again.
    shown?.mine.remove();
    shown?.row.remove();
    if (error.name !== "AbortError") say(error.message, "error");
    if (error.status === 401) location.assign("/enter?next=/chat");
  } finally {
    asking = null;
    busy(false);
  }
}

function draw(turn) {
  const two = turn.answers.length > 1;
  const mine = el("div", { class: "mine" }, [...showPrompt([{ role: "user", parts: turn.said }]).node.childNodes]);
  const cards = turn.answers.map((answer, n) => {
    const text = el("div", { class: "text waits" }, answer.text);
    const name = two ? t(`side.${n}`) : t("role.assistant");
    return { text, node: el("article", { class: two ? "card" : "card alone", "aria-label": name }, el("h2", {}, name), text) };
  });
  const row = el("div", { class: two ? "cards two" : "cards" }, cards.map((card) => card.node));
  byId("talk").append(mine, row);
  return { mine, cards, row };
}

function judge(turn, cards) {
  cards.forEach((card, n) => {
    card.text.classList.remove("waits");
    if (!card.text.textContent) card.text.append(el("span", { class: "quiet" }, t("chat.empty")));
    card.node.append(thumbs(turn.answers[n]));
  });
  if (cards.length === 1) return;
  const [a, b] = turn.answers.map((answer) => answer.id);
  const since = performance.now();
  let sending = false;
  const choose = async (choice) => {
    if (sending || turn.choice) return;
    sending = true;
    try {
      const said = await send("POST", "/api/v1/chat/choices", { a, b, choice, seconds: Math.round(performance.now() - since) / 1000 });
      Object.assign(turn, { choice, models: said.models });
      conversation.keep();
      mark();
      say(t("chat.noted"));
      byId("message").focus();
    } catch (error) {
      say(error.message, "error");
    } finally {
      sending = false;
    }
  };
  const mark = () => {
    cards.forEach((card, n) => {
      card.node.classList.toggle("chosen", turn.choice === (n ? "b" : "a"));
      if (turn.choice) card.node.querySelector("h2").textContent = `${t(`side.${n}`)}: ${turn.models[n]}`;
    });
    // What was said blind stays: the models are named now.
    for (const button of row.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.dataset.choice === turn.choice));
      button.disabled = Boolean(turn.choice);
    }
  };
  const button = (choice, action, label) => el("button", { type: "button", "data-choice": choice, "aria-pressed": "false", on: { click: () => choose(choice) } }, label, " ", el("kbd", {}, keys.label(action)));
  const row = el("div", { class: "between", role: "group", "aria-label": t("question.comparison"), tabindex: "-1" }, button("a", "first", t("choose.0")), button("b", "second", t("choose.1")), button("tie", "tie", t("tie")), button("both_bad", "both_bad", t("both_bad")));
  byId("talk").append(row);
  keys.set({ first: () => choose("a"), second: () => choose("b"), tie: () => choose("tie"), both_bad: () => choose("both_bad") });
  undecided = row;
  mark();
}

// The next turn begins: keys speak of it and not of the one before; its buttons stay.
function settle() {
  keys.set({});
  for (const label of undecided?.querySelectorAll("kbd") ?? []) label.textContent = "";
  undecided = null;
}

function thumbs(answer) {
  const give = async (up) => {
    try {
      await send("POST", "/api/v1/chat/thumbs", { completion: answer.id, up, amends: answer.amends });
      Object.assign(answer, { up, amends: answer.amends + 1 });
      conversation.keep();
      mark();
      say(t("chat.noted"));
    } catch (error) {
      say(error.message, "error");
    }
  };
  const yes = el("button", { type: "button", "aria-pressed": "false", on: { click: () => give(true) } }, t("chat.up"));
  const no = el("button", { type: "button", "aria-pressed": "false", on: { click: () => give(false) } }, t("chat.down"));
  const mark = () => {
    yes.setAttribute("aria-pressed", String(answer.up === true));
    no.setAttribute("aria-pressed", String(answer.up === false));
  };
  mark();
  return el("div", { class: "thumbs", role: "group", "aria-label": t("chat.thumbs") }, yes, no);
}
