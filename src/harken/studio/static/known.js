// An item becomes a question with a known answer.

import { send } from "/static/api.js";
import { byId, say } from "/static/dom.js";
import { t } from "/static/words.js";

const { slug, form, completions } = JSON.parse(byId("page").textContent);

byId("known")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  say("", "error");
  const answer = form === "comparison" ? { choice: byId("right").value } : { low: Number(byId("low").value), high: Number(byId("high").value) };
  try {
    await send("POST", `/api/v1/projects/${slug}/gold`, { form, completions, answer });
    byId("done").textContent = t("item.known.there");
  } catch (error) {
    say(error.message, "error");
  }
});
