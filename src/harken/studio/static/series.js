// Numbers: a line for each channel, and the values as a table, which a screen reader reads too.

import { el } from "/static/dom.js";
import { t } from "/static/words.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDE = 600;
const HIGH = 60;
// Of a table that is open from the start.
const FEW = 32;

export function showNumbers(part, number) {
  const name = t("numbers.name", { n: number });
  const channel = (i) => part.names[i] ?? t("numbers.channel", { n: i + 1 });
  const lines = part.lines.map((line, i) => strip(line, channel(i), part.steps));
  const missing = part.lines.length && part.lines.length < part.channels ? el("p", { class: "hint" }, t("numbers.some", { n: part.lines.length, all: part.channels })) : null;
  const file = el("a", { href: part.url, download: "numbers.csv" }, t("numbers.file"));
  const place = el("div", { class: "values", tabindex: "0", role: "group", "aria-label": t("numbers.values") }, part.steps > 1 ? table(part, channel) : list(part, channel));
  const few = part.steps * part.channels <= FEW;
  const details = el("details", few || part.steps === 1 ? { open: true } : {}, el("summary", {}, t("numbers.values")), place, el("p", { class: "hint" }, t("numbers.size", { steps: part.steps, channels: part.channels }), " ", file));
  return el("div", { class: "numbers", role: "group", "aria-label": name }, lines, missing, details);
}

function strip(line, name, steps) {
  const told = t("numbers.told", { name, steps, first: line.first, last: line.last, low: line.low, high: line.high });
  const drawn = node("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, preserveAspectRatio: "none", role: "img", "aria-label": told });
  const points = line.points.map(([x, y]) => `${(x * WIDE).toFixed(1)},${(2 + (1 - y) * (HIGH - 4)).toFixed(1)}`).join(" ");
  drawn.append(node("polyline", { points, fill: "none", "vector-effect": "non-scaling-stroke" }));
  const edges = el("span", { class: "edges", "aria-hidden": "true" }, el("span", {}, String(line.high)), el("span", {}, String(line.low)));
  return el("div", { class: "strip" }, el("span", { class: "channel" }, name), edges, drawn);
}

function node(name, given) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(given)) made.setAttribute(key, value);
  return made;
}

// A row a step.
function table(part, channel) {
  const names = part.rows[0].slice(1).map((_, i) => el("th", { scope: "col" }, channel(i)));
  const row = ([step, ...values]) => el("tr", {}, el("th", { scope: "row" }, String(step)), values.map((value) => el("td", {}, String(value))));
  return el("table", {}, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, t("numbers.step")), names)), el("tbody", {}, part.rows.map(row)));
}

// A vector: a row a channel.
function list(part, channel) {
  const [, ...values] = part.rows[0];
  return el("table", {}, el("tbody", {}, values.map((value, i) => el("tr", {}, el("th", { scope: "row" }, channel(i)), el("td", {}, String(value))))));
}
