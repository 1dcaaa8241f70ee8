// Entering: by an invitation behind the # of the address, or by name and password.

import { send } from "/static/api.js";
import { byId, say } from "/static/dom.js";
import { t } from "/static/words.js";

// As the browser reads an address, not as it is written: it leaves out tabs and line ends.
function onwards() {
  try {
    const next = new URL(new URLSearchParams(location.search).get("next") ?? "/", location.origin);
    return next.origin === location.origin ? location.origin + next.pathname + next.search : "/";
  } catch {
    return "/";
  }
}

async function enter(given) {
  try {
    await send("POST", "/api/v1/session", given);
    location.replace(onwards());
  } catch (error) {
    if (error.status !== 401) return say(error.message, "error");
    byId("invited").hidden = true;
    say(t(given.invite ? "enter.used" : "enter.wrong"), "error");
  }
}

// A browser that comes by a link of another site does not show its session, and does so to this page's own question.
async function goOnIfEntered() {
  if (await send("GET", "/api/v1/me").catch(() => null)) location.replace(onwards());
}

const invite = location.hash.slice(1);
if (invite) {
  history.replaceState(null, "", location.pathname + location.search);
  byId("invited").hidden = false;
  byId("go").addEventListener("click", () => enter({ invite }));
  enter({ invite });
} else goOnIfEntered();
byId("by-name").addEventListener("submit", (event) => {
  event.preventDefault();
  enter({ name: byId("name").value, password: byId("password").value });
});
