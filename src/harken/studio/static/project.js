// A project: opened and closed, more items, other settings.

import { send } from "/static/api.js";
import { byId, say } from "/static/dom.js";
import { settings } from "/static/settings.js";

const { slug, forms } = JSON.parse(byId("page").textContent);

async function act(method, path, body) {
  try {
    await send(method, path, body);
    location.reload();
  } catch (error) {
    say(error.message, "error");
  }
}

byId("toggle")?.addEventListener("click", (event) => act("PATCH", `/api/v1/projects/${slug}`, { settings: { open: event.currentTarget.dataset.open === "true" } }));
byId("more")?.addEventListener("submit", (event) => {
  event.preventDefault();
  const most = Number(byId("most").value);
  // Another draw than the first, so that what is added is not what is there.
  act("POST", `/api/v1/projects/${slug}/items`, { most, seed: crypto.getRandomValues(new Uint32Array(1))[0] });
});
byId("settings")?.addEventListener("submit", (event) => {
  event.preventDefault();
  act("PATCH", `/api/v1/projects/${slug}`, { settings: settings() });
});
