// Opening and closing a project, and more items.

import { send } from "/static/api.js";
import { byId, say } from "/static/dom.js";

const { slug } = JSON.parse(byId("page").textContent);

async function act(method, path, body) {
  try {
    await send(method, path, body);
    location.reload();
  } catch (error) {
    say(error.message, "error");
  }
}

byId("toggle")?.addEventListener("click", (event) => act("PATCH", `/api/v1/projects/${slug}`, { settings: { open: event.currentTarget.dataset.open === "true" } }));
byId("more")?.addEventListener("click", () => act("POST", `/api/v1/projects/${slug}/items`, {}));
