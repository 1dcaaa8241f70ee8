// What was said in this window, so that it is here after a reload too.

import { say } from "/static/dom.js";
import { t } from "/static/words.js";

const PLACE = "harken-conversation";

export class Conversation {
  // `user`: whose; another one who enters in this window does not see it.
  constructor(user) {
    const kept = JSON.parse(sessionStorage[PLACE] ?? "{}");
    this.user = user;
    // Each with what was said, its answers, and what they were found to be worth.
    this.turns = kept.user === user ? kept.turns : [];
    // What is being written.
    this.message = kept.user === user ? kept.message : "";
  }

  keep(more) {
    Object.assign(this, more);
    try {
      sessionStorage[PLACE] = JSON.stringify(this);
    } catch (error) {
      say(t("chat.not_kept", { why: error.message }), "error");
    }
  }

  // The answer that what is said next goes on from.
  get last() {
    const turn = this.turns.at(-1);
    return turn ? turn.answers[turn.choice === "b" ? 1 : 0].id : null;
  }
}
