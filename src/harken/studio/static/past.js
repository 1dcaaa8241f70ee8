// The last ten, to be opened again and changed.

import { send } from "/static/api.js";
import { byId, el } from "/static/dom.js";
import { t } from "/static/words.js";

const LAST = 10;

export class Past {
  // `reopen`: called with the one that is to be changed.
  constructor(slug, outbox, reopen) {
    Object.assign(this, { slug, outbox, reopen });
    this.here = [];
    byId("past").addEventListener("close", () => (this.shown = null));
  }

  add(one) {
    this.here = [one, ...this.here.filter((other) => other.key !== one.key)].slice(0, LAST);
  }

  // What was refused is not what stands: that the studio says.
  async correct(key) {
    const found = await this.mine().catch(() => []);
    const stands = found.filter((one) => one.key === key);
    this.here = this.here.flatMap((one) => (one.key === key ? stands : [one]));
  }

  async mine() {
    const { items } = await send("GET", `/api/v1/projects/${this.slug}/mine`);
    return items.map((one) => ({ ...one, amends: one.next_amends }));
  }

  // At once what this window knows, which is newer than what the studio knows; then the studio's, where it can be reached.
  async open() {
    const dialog = byId("past");
    if (dialog.open) return;
    this.draw(dialog, this.here, true);
    dialog.showModal();
    const unsent = new Set((await this.outbox.all()).map((one) => one.answer.key));
    const known = new Set(this.here.map((one) => one.key));
    let items = [];
    try {
      items = await this.mine();
    } catch { /* out of reach: what this window knows is shown */ }
    if (!dialog.open) return;
    const more = items.filter((one) => !known.has(one.key) && !unsent.has(one.key));
    this.draw(dialog, [...this.here, ...more].slice(0, LAST), false);
  }

  draw(dialog, list, loading) {
    // What has the focus stays where it is: the list only grows.
    const at = [...dialog.querySelectorAll("button")].indexOf(document.activeElement);
    const rows = list.map((one) => el("li", {}, el("button", { type: "button", on: { click: () => this.take(one) } }, el("span", {}, about(one)), el("strong", {}, said(one)))));
    const none = loading ? t("loading") : t("past.none");
    dialog.replaceChildren(el("h2", {}, t("past")), rows.length ? el("ol", {}, rows) : el("p", {}, none), el("button", { type: "button", on: { click: () => dialog.close() } }, t("close")));
    if (at >= 0 && rows.length) dialog.querySelectorAll("button")[at].focus();
  }

  take(one) {
    byId("past").close();
    this.here = this.here.filter((other) => other.key !== one.key);
    this.reopen(one);
  }
}

function about(one) {
  const words = one.prompt.flatMap((m) => m.parts).filter((p) => p.type === "text").map((p) => p.text).join(" ");
  return (words || one.candidates[0].text).slice(0, 90);
}

// What was said of it, in a few words.
function said(one) {
  const { choice, tiers, scores, revision } = one.said;
  const number = (id) => one.candidates.findIndex((other) => other.id === id);
  if (choice) return number(choice) < 0 ? t(choice) : t(`choose.${number(choice)}`);
  if (tiers) return tiers.map((tier) => tier.map((id) => number(id) + 1).join(" = ")).join(" > ");
  if (scores) return Object.values(scores).join(", ");
  return revision === undefined ? t("skipped") : revision.slice(0, 60);
}
