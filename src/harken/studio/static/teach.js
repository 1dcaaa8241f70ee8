// Teaching: begin, answer, train, compare. What a run does is asked every two seconds while it is under way.

import { send } from "/static/api.js";
import { byId, el, say } from "/static/dom.js";
import { t } from "/static/words.js";

const EVERY = 2000;
let timer = null;
let before = "";

byId("begin").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (await act("POST", "/api/v1/teach", { name: byId("name").value, size: byId("size").value })) byId("new").open = false;
});
document.addEventListener("visibilitychange", () => !document.hidden && look());
look(true);

async function look(first = false) {
  clearTimeout(timer);
  try {
    const found = await send("GET", "/api/v1/teach");
    const now = JSON.stringify(found);
    // What did not change stays as it is, with what has the focus in it.
    if (now !== before) show(found);
    before = now;
    if (first && !found.runs.length) byId("new").open = true;
    if (found.going && !document.hidden) timer = setTimeout(look, EVERY);
  } catch (error) {
    if (error.status === 401) location.assign("/enter?next=/teach");
    say(error.message, "error");
    timer = setTimeout(look, 5 * EVERY);
  }
}

async function act(method, path, body) {
  say("", "error");
  try {
    const said = await send(method, path, body);
    await look();
    return said;
  } catch (error) {
    say(error.message, "error");
    return null;
  }
}

function show({ runs, going }) {
  const place = byId("runs");
  const focused = place.contains(document.activeElement) ? document.activeElement.id : "";
  const open = new Set([...place.querySelectorAll("details[open]")].map((node) => node.id));
  place.replaceChildren(...(runs.length ? runs.map((run) => panel(run, going)) : [el("p", { class: "hint" }, t("teach.none"))]));
  for (const id of open) if (byId(id)) byId(id).open = true;
  if (focused) byId(focused)?.focus({ preventScroll: true });
}

function panel(run, going) {
  const asked = run.questions.length > 0;
  const trained = Object.keys(run.evaluation).length > 0;
  const ready = run.stages.some((stage) => stage.name.endsWith("/completions") && stage.state !== "running") || asked;
  const here = run.state === "going";
  const steps = [
    step("begin", ready, here && run.doing === "begin" && !ready, here && run.doing === "begin" ? tasks(run) : null),
    step("ask", run.answers > 0, ready && !run.answers, !ready ? null : [
      el("p", {}, t("teach.answers", { n: run.answers })),
      asked ? el("p", {}, run.questions.map((one) => el("a", { class: run.answers ? "button" : "button act", href: `/p/${one.slug}` }, `${t("teach.answer")} (${t("left", { n: one.left })})`)))
        : here ? null : button(run, "questions", t("teach.questions"), !run.answers),
      asked && run.scored && !here ? el("p", {}, button(run, "more", t("teach.more"), false)) : null]),
    step("train", trained && !here, here ? run.doing === "train" : run.answers > 0 && !trained, !run.answers ? null : [
      here && run.doing === "train" ? tasks(run) : null,
      trained && !here ? figures(run) : null,
      here ? null : button(run, "train", trained ? t("teach.again") : t("teach.train"), !trained, Boolean(going))]),
    step("compare", run.compared, trained && !here && !run.compared, !trained ? null : [
      run.comparisons.length ? el("p", {}, run.comparisons.flatMap((one) => [el("a", { class: one.left ? "button act" : "button", href: `/p/${one.slug}` }, `${one.title} (${t("left", { n: one.left })})`), " "])) : null,
      el("p", {}, el("a", { href: "/dashboard" }, t("teach.board"))),
      here || run.compared ? null : button(run, "comparison", t("teach.compare"), true)]),
  ];
  return el("section", { class: "panel", "aria-label": run.name },
    el("h2", {}, run.name, " ", el("span", { class: "quiet" }, t(`teach.state.${run.state}`))),
    run.state === "failed" || run.state === "stopped" ? stopped(run, going) : null,
    el("ol", { class: "steps" }, steps));
}

function step(name, done, now, inside) {
  return el("li", { class: now ? "now" : done ? "done" : "", "aria-current": now ? "step" : null }, el("div", {}, el("h3", {}, t(`teach.step.${name}`)), inside ?? []));
}

function button(run, what, label, first, off = false) {
  const id = `${run.name}-${what}`;
  return el("button", { type: "button", id, class: first ? "act" : "", disabled: off, on: { click: async (event) => { event.target.disabled = true; await act("POST", `/api/v1/teach/${run.name}/${what}`); if (byId(id)) byId(id).disabled = off; } } }, label);
}

function tasks(run) {
  const list = el("ul", { class: "tasks" }, run.stages.map((stage) => {
    const name = stage.name.replace(/^rounds\/1\//, "");
    // The process speaks now and then; the steps that it wrote down are newer.
    const steps = Math.max(0, ...run.figures.filter((line) => line.stage === stage.name).map((line) => line.steps));
    const done = Math.min(stage.total, Math.max(stage.done, steps));
    const bar = el("progress", { "aria-label": name, max: stage.total || 1 });
    if (stage.state !== "running") bar.value = stage.total || 1;
    else if (stage.total) bar.value = done;
    const clock = stage.seconds === null ? (stage.total ? `${done} / ${stage.total}` : "…") : `${stage.seconds} s`;
    return el("li", {}, el("span", {}, name), bar, el("span", { class: "clock" }, clock));
  }));
  return el("div", {}, list, latest(run), button(run, "stop", t("teach.stop"), false), log(run));
}

function latest(run) {
  const now = run.stages.findLast((stage) => stage.state === "running")?.name;
  const shown = run.figures.filter((line) => line.stage === now);
  return shown.length ? el("p", { class: "quiet" }, shown.map((line) => `${line.name} ${short(line.first)} → ${short(line.last)}`).join(" · ")) : null;
}

function log(run) {
  return el("details", { id: `${run.name}-log` }, el("summary", {}, t("teach.log")), el("pre", { class: "said", tabindex: "0" }, run.words.join("\n")));
}

function stopped(run, going) {
  return el("div", {}, el("pre", { class: "said", tabindex: "0" }, run.words.join("\n")), button(run, "continue", t("teach.continue"), true, Boolean(going)));
}

function figures({ evaluation }) {
  const rows = ["reward", "exactness"].filter((name) => `${name}_after` in evaluation);
  return el("div", { class: "wide" }, el("table", { class: "figures" },
    el("thead", {}, el("tr", {}, el("td", {}), el("th", { scope: "col", class: "number" }, t("teach.before")), el("th", { scope: "col", class: "number" }, t("teach.after")))),
    el("tbody", {}, rows.map((name) => el("tr", {}, el("th", { scope: "row" }, t(`teach.figure.${name}`)), el("td", { class: "number" }, short(evaluation[`${name}_before`])), el("td", { class: "number" }, short(evaluation[`${name}_after`])))))),
    el("p", { class: "hint" }, t("teach.figures.hint", { n: evaluation.prompts })));
}

function short(value) {
  return Number.isInteger(value) ? String(value) : value.toFixed(3);
}
