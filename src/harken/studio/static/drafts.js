// What is half said of a turn: it outlives a reload and a closed tab, until the answer is sent.

import { say } from "/static/dom.js";
import { t } from "/static/words.js";

const START = "harken-draft-";
const MOST = 100;

export class Draft {
  // `key`: the turn's.
  constructor(key) {
    this.place = START + key;
    this.said = JSON.parse(localStorage[this.place] ?? "{}");
  }

  keep(more) {
    this.said = { ...this.said, ...more };
    try {
      if (!(this.place in localStorage)) makeRoom();
      localStorage[this.place] = JSON.stringify(this.said);
    } catch (error) {
      say(t("not_kept", { why: error.message }), "error");
    }
  }

  forget() {
    this.said = {};
    delete localStorage[this.place];
  }
}

// Keys begin with the time at which the turn was made.
function makeRoom() {
  const there = Object.keys(localStorage).filter((name) => name.startsWith(START)).sort();
  for (const old of there.slice(0, Math.max(0, there.length - MOST + 1))) delete localStorage[old];
}
