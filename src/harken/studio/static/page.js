// What every page has: leaving, the language.

import { send } from "/static/api.js";
import { byId } from "/static/dom.js";

byId("leave")?.addEventListener("click", async () => {
  await send("DELETE", "/api/v1/session").catch(() => {});
  location.assign("/enter");
});
byId("language")?.addEventListener("click", async (event) => {
  await send("PATCH", "/api/v1/me", { language: event.currentTarget.dataset.other });
  location.reload();
});
