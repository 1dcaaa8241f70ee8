// What every page has: leaving, the language.

import { send } from "/static/api.js";
import { byId, say } from "/static/dom.js";

byId("leave")?.addEventListener("click", async () => {
  await send("DELETE", "/api/v1/session").catch(() => {});
  location.assign("/enter");
});
byId("language")?.addEventListener("click", async (event) => {
  const language = event.currentTarget.dataset.other;
  try {
    await send("PATCH", "/api/v1/me", { language });
    location.reload();
  } catch (error) {
    say(error.message, "error");
  }
});
