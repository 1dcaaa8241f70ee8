// Entering: by an invitation behind the # of the address, or by name and password.

import { send } from "/static/api.js";
import { byId, say } from "/static/dom.js";

const next = new URLSearchParams(location.search).get("next") ?? "/";
// Only an address of this studio: one slash, and no second.
const onwards = /^\/(?![/\\])/.test(next) ? next : "/";

async function enter(given) {
  try {
    await send("POST", "/api/v1/session", given);
    location.replace(onwards);
  } catch (error) {
    say(error.message, "error");
  }
}

const invite = location.hash.slice(1);
if (invite) {
  history.replaceState(null, "", location.pathname + location.search);
  byId("invited").hidden = false;
  byId("go").addEventListener("click", () => enter({ invite }));
  enter({ invite });
}
byId("by-name").addEventListener("submit", (event) => {
  event.preventDefault();
  enter({ name: byId("name").value, password: byId("password").value });
});
