// Who may enter: invitations, roles, tokens.

import { send } from "/static/api.js";
import { byId, say } from "/static/dom.js";
import { t } from "/static/words.js";

const LISTS = ["people", "tokens"];
const user = (name) => `/api/v1/users/${encodeURIComponent(name)}`;

// Does something and shows the lists as they are now; an error stands where the hand is.
async function attempt(near, method, path, body) {
  near.before(byId("errors"));
  say("", "error");
  try {
    const said = await send(method, path, body);
    await refresh();
    return said;
  } catch (error) {
    say(error.message, "error");
    return null;
  }
}

async function refresh() {
  const response = await fetch(location.pathname, { credentials: "same-origin" }).catch(() => null);
  if (!response) return; // the lists are as they were; what was made is shown all the same
  // Who took their own role away, or removed themselves, has no business here any more.
  if (response.redirected || !response.ok) return location.assign("/");
  const now = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const id of LISTS) byId(id).replaceChildren(...now.getElementById(id).childNodes);
}

function show(near, label, text, back = "") {
  near.after(byId("link"));
  byId("link").hidden = false;
  byId("back").hidden = !back;
  byId("back").textContent = back;
  document.querySelector("label[for=invite]").textContent = label;
  byId("copy").textContent = t("copy");
  byId("invite").value = text;
  byId("invite").focus();
  byId("invite").select();
}

const invited = (near, name, made) =>
  show(near, t("people.link", { name }), `${location.origin}/enter#${made.invite}`, made.back ? t("people.back", { name }) : "");

byId("copy").addEventListener("click", async () => {
  byId("invite").select();
  // Browsers have no clipboard for scripts over plain http.
  if (navigator.clipboard) await navigator.clipboard.writeText(byId("invite").value);
  else document.execCommand("copy");
  byId("copy").textContent = t("copied");
});

byId("add").addEventListener("submit", async (event) => {
  event.preventDefault();
  const name = byId("name").value;
  const made = await attempt(byId("add"), "POST", "/api/v1/users", { name, role: byId("role").value });
  if (!made) return;
  byId("name").value = "";
  invited(byId("add"), name, made);
});

byId("token").addEventListener("submit", async (event) => {
  event.preventDefault();
  const scopes = [...document.querySelectorAll("[name=scope]:checked")].map((box) => box.value);
  const made = await attempt(byId("token"), "POST", "/api/v1/tokens", { label: byId("label").value, scopes });
  if (!made) return;
  byId("label").value = "";
  show(byId("token"), t("people.token.shown"), made.token);
});

byId("people").addEventListener("change", async (event) => {
  const name = event.target.dataset.role;
  const role = event.target.value;
  const changed = await attempt(byId("people"), "PATCH", user(name), { role });
  if (changed) say(t("people.changed", { name, role: t(`role.${role}`) }));
  else await refresh();
  document.querySelector(`[data-role="${CSS.escape(name)}"]`)?.focus();
});

byId("people").addEventListener("click", async (event) => {
  const { invite, remove } = event.target.closest("button")?.dataset ?? {};
  if (invite !== undefined) {
    const made = await attempt(byId("people"), "POST", `${user(invite)}/invite`);
    if (made) invited(byId("people"), invite, made);
  }
  if (remove === undefined || !(await sure(remove))) return;
  if (await attempt(byId("people"), "DELETE", user(remove))) byId("link").hidden = true;
});

byId("tokens").addEventListener("click", async (event) => {
  const { revoke } = event.target.closest("button")?.dataset ?? {};
  if (revoke !== undefined) await attempt(byId("token"), "DELETE", `/api/v1/tokens/${revoke}`);
});

function sure(name) {
  const asked = byId("sure");
  byId("whom").textContent = t("people.sure", { name });
  asked.returnValue = "";
  asked.showModal();
  return new Promise((tell) => asked.addEventListener("close", () => tell(asked.returnValue === "remove"), { once: true }));
}
