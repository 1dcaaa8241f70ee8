// A new project.

import { send } from "/static/api.js";
import { byId, say } from "/static/dom.js";
import { settings, several } from "/static/settings.js";
import { t } from "/static/words.js";

const checked = (name) => [...document.querySelectorAll(`[name=${name}]:checked`)].map((box) => box.value);

function criterion(line) {
  const [name, label = "", levels = ""] = line.split("|").map((part) => part.trim());
  return { name, label, ...(levels ? { levels: Number(levels) } : {}) };
}

byId("make").addEventListener("submit", (event) => {
  event.preventDefault();
  const forms = checked("form");
  const criteria = several("criteria", "\n").map(criterion);
  const said = {
    ...settings(),
    forms,
    policies: checked("policy"),
    prompts: several("prompts"),
    choices: Number(byId("choices").value),
    ...(criteria.length ? { criteria } : {}),
  };
  const most = Number(byId("most").value);
  make(said, most ? Object.fromEntries(forms.map((form) => [form, most])) : {});
});

byId("blind")?.addEventListener("submit", (event) => {
  event.preventDefault();
  const [a, b] = [...event.currentTarget.querySelectorAll("select")].map((side) => side.value);
  if (a === b) say(t("make.blind.same"), "error");
  else make({ title: t("make.blind.title", { a, b }), policies: [a, b] }, {});
});

async function make(settings, counts) {
  try {
    const made = await send("POST", "/api/v1/projects", { settings, counts });
    location.assign(`/projects/${made.slug}`);
  } catch (error) {
    say(error.message, "error");
  }
}
