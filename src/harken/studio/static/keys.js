// Shortcuts: shown on the buttons, the same whatever has the focus, off in text boxes, and everybody's own.

import { t } from "/static/words.js";

export const DEFAULTS = {
  first: "1",
  second: "2",
  tie: "3",
  both_bad: "4",
  submit: "Enter",
  same: "=",
  undo_place: "Backspace",
  skip: "s",
  flag: "f",
  comment: "c",
  back: "u",
  play: " ",
  next_media: "n",
  loop: "l",
  slower: ",",
  faster: ".",
  zoom: "z",
  help: "?",
};

export class Keys {
  constructor(own = {}) {
    this.own = { ...DEFAULTS, ...own };
    this.off = own.off === "yes";
    this.acts = new Map();
    // Whether somebody works with keys.
    this.used = false;
    addEventListener("keydown", (event) => this.pressed(event));
  }

  // What each action does now; digits may be claimed by a form.
  set(acts) {
    this.acts = new Map(Object.entries(acts));
  }

  pressed(event) {
    if (this.off || !event.key || event.ctrlKey || event.altKey || event.metaKey || event.isComposing || event.repeat) return;
    if (document.querySelector("dialog[open]")) return;
    const box = event.target.closest?.("input:not([type=radio]):not([type=checkbox]):not([type=range]), textarea, select, [contenteditable]");
    if (box) return;
    // Enter and space on a button or a link press it, as everywhere; space chooses a radio button.
    const presses = { Enter: "button, a, summary", " ": "button, a, summary, input" }[event.key];
    if (presses && event.target.closest?.(presses)) return;
    const digit = /^[0-9]$/.test(event.key) ? this.acts.get("digit") : undefined;
    if (digit && digit(Number(event.key)) !== false) {
      this.used = true;
      event.preventDefault();
      return;
    }
    for (const [action, key] of Object.entries(this.own)) {
      const act = this.acts.get(action);
      if (act && key.toLowerCase() === event.key.toLowerCase()) {
        this.used = true;
        event.preventDefault();
        act();
        return;
      }
    }
  }

  label(action) {
    return this.off ? "" : this.name(this.own[action]);
  }

  name(key) {
    const named = { " ": t("key.space"), Enter: t("key.enter"), Backspace: "⌫" };
    return named[key] ?? (key.length === 1 ? key.toUpperCase() : key);
  }
}
