// The dialog in which everybody chooses their own keys.

import { send } from "/static/api.js";
import { byId, el, say } from "/static/dom.js";
import { DEFAULTS } from "/static/keys.js";
import { t } from "/static/words.js";

// Digits order answers and grade them; only what a comparison asks can have them besides.
const DIGITS = ["first", "second", "tie", "both_bad"];
const clashes = (action, key) => /^[0-9]$/.test(key) && !DIGITS.includes(action);

export function ownKeys(keys) {
  const chosen = { ...keys.own };
  const rows = Object.keys(DEFAULTS).map((action) => {
    const box = el("input", { id: `key-${action}`, size: 9, readonly: true, autocomplete: "off" });
    const show = () => (box.value = keys.name(chosen[action]));
    box.addEventListener("keydown", (event) => {
      if (["Tab", "Escape", "Shift", "Control", "Alt", "Meta", "Dead", "Process", "Unidentified"].includes(event.key)) return;
      event.preventDefault();
      const taken = Object.keys(DEFAULTS).find((other) => other !== action && chosen[other].toLowerCase() === event.key.toLowerCase());
      const wrong = clashes(action, event.key) ? action : taken && clashes(taken, chosen[action]) ? taken : null;
      byId("keys-told").textContent = wrong ? t("keys.digits", { name: t(`key.${wrong}`) }) : "";
      if (wrong) return;
      // Two that trade places stay two keys.
      if (taken) chosen[taken] = chosen[action];
      chosen[action] = event.key;
      for (const one of shows) one();
    });
    return { show, node: el("div", {}, el("label", { for: box.id }, t(`key.${action}`)), box) };
  });
  const shows = rows.map((row) => row.show);
  shows.forEach((show) => show());
  byId("key-list").replaceChildren(...rows.map((row) => row.node));
  byId("keys-off").checked = keys.off;
  byId("help-close").addEventListener("click", () => byId("help").close());
  byId("own-keys").addEventListener("submit", async (event) => {
    event.preventDefault();
    const off = byId("keys-off").checked;
    const changed = Object.fromEntries(Object.entries(chosen).filter(([action, key]) => DEFAULTS[action] !== key && action !== "off"));
    try {
      await send("PATCH", "/api/v1/me", { shortcuts: off ? { ...changed, off: "yes" } : changed });
      location.reload();
    } catch (error) {
      byId("help").close();
      say(error.message, "error");
    }
  });
}
