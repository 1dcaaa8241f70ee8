// What a form of a project's settings says.

import { byId } from "/static/dom.js";

export const several = (id, separator = ",") => byId(id).value.split(separator).map((one) => one.trim()).filter(Boolean);

export function settings() {
  const number = (id) => Number(byId(id).value);
  return {
    title: byId("title").value,
    overlap: number("overlap"),
    question: byId("question").value,
    instructions: byId("instructions").value,
    annotators: several("annotators"),
    strength: byId("strength").checked,
    markdown: byId("markdown").checked,
    top_k: byId("top").value ? number("top") : null,
    gold_every: number("gold"),
    repeat_every: number("repeat"),
    lease_seconds: 60 * number("lease"),
    quick_seconds: number("quick"),
  };
}
