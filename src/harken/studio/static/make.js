// A new project.

import { send } from "/static/api.js";
import { byId, say } from "/static/dom.js";

const checked = (name) => [...document.querySelectorAll(`[name=${name}]:checked`)].map((box) => box.value);

byId("make").addEventListener("submit", async (event) => {
  event.preventDefault();
  const forms = checked("form");
  const criteria = byId("criteria").value.split(",").map((name) => name.trim()).filter(Boolean);
  const settings = {
    title: byId("title").value,
    forms,
    policies: checked("policy"),
    overlap: Number(byId("overlap").value),
    question: byId("question").value,
    instructions: byId("instructions").value,
    strength: byId("strength").checked,
    markdown: byId("markdown").checked,
    repeat_every: Number(byId("repeat").value),
    ...(criteria.length ? { criteria: criteria.map((name) => ({ name })) } : {}),
  };
  const most = Number(byId("most").value);
  try {
    const made = await send("POST", "/api/v1/projects", { settings, counts: most ? Object.fromEntries(forms.map((form) => [form, most])) : {} });
    location.assign(`/projects/${made.slug}`);
  } catch (error) {
    say(error.message, "error");
  }
});
