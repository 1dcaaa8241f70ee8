// Who may enter: invitations, roles, tokens.

import { send } from "/static/api.js";
import { byId, say } from "/static/dom.js";

async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    say(error.message, "error");
    return null;
  }
}

function show(text) {
  byId("link").hidden = false;
  byId("invite").value = text;
  byId("invite").focus();
  byId("invite").select();
}

const link = (invite) => `${location.origin}/enter#${invite}`;
byId("copy").addEventListener("click", () => navigator.clipboard?.writeText(byId("invite").value));
byId("add").addEventListener("submit", async (event) => {
  event.preventDefault();
  const made = await attempt(() => send("POST", "/api/v1/users", { name: byId("name").value, role: byId("role").value }));
  if (made) show(link(made.invite));
});
byId("token").addEventListener("submit", async (event) => {
  event.preventDefault();
  const scopes = [...document.querySelectorAll("[name=scope]:checked")].map((box) => box.value);
  const made = await attempt(() => send("POST", "/api/v1/tokens", { label: byId("label").value, scopes }));
  if (made) show(made.token);
});
for (const button of document.querySelectorAll("[data-invite]"))
  button.addEventListener("click", async () => {
    const made = await attempt(() => send("POST", `/api/v1/users/${encodeURIComponent(button.dataset.invite)}/invite`));
    if (made) show(link(made.invite));
  });
for (const button of document.querySelectorAll("[data-remove]"))
  button.addEventListener("click", async () => {
    if ((await attempt(() => send("DELETE", `/api/v1/users/${encodeURIComponent(button.dataset.remove)}`))) !== null) location.reload();
  });
for (const button of document.querySelectorAll("[data-revoke]"))
  button.addEventListener("click", async () => {
    if ((await attempt(() => send("DELETE", `/api/v1/tokens/${button.dataset.revoke}`))) !== null) location.reload();
  });
