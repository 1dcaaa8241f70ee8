// Answers on their way: kept in IndexedDB until the studio says that they are on its disk, and sent once each.

import { Refused, send } from "/static/api.js";

const NAME = "harken-outbox";
const STORE = "answers";
const AT_ONCE = 20;
const LONGEST = 15000;
// Statuses that say that what was sent is wrong: sending it again would not help.
const WRONG = [400, 413, 422];
// Statuses that somebody can mend elsewhere: the answer is kept, and put aside until it is asked for or the page is opened.
const ASIDE = [403, 409];

function open() {
  return new Promise((resolve, reject) => {
    const asked = indexedDB.open(NAME, 1);
    asked.onupgradeneeded = () => asked.result.createObjectStore(STORE, { keyPath: "seq", autoIncrement: true });
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
  });
}

function done(transaction) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onerror = transaction.onabort = () => reject(transaction.error);
  });
}

export class Outbox {
  // `user`: whose answers; others on this computer have theirs sent when they are here themselves.
  constructor(user, { onCount, onRefused, onAside, onAway }) {
    Object.assign(this, { user, onCount, onRefused, onAside, onAway });
    this.opened = open();
    // Where the browser keeps nothing (some private windows), answers wait here.
    this.held = [];
    // Keys of what was put aside.
    this.aside = new Set();
    this.opened.catch(() => {});
    this.wait = 0;
    this.timer = null;
    addEventListener("online", () => this.soon(0));
    document.addEventListener("visibilitychange", () => this.soon(0));
  }

  // Returns once the answer is in the browser's own store; where there is none, throws, and sends it all the same.
  async put(answer) {
    try {
      const transaction = (await this.opened).transaction(STORE, "readwrite");
      transaction.objectStore(STORE).add({ user: this.user, answer });
      await done(transaction);
    } catch (error) {
      this.held.push({ user: this.user, answer });
      throw error;
    } finally {
      this.count();
      this.soon(0);
    }
  }

  async all() {
    const opened = await this.opened.catch(() => null);
    if (!opened) return [...this.held];
    const transaction = opened.transaction(STORE, "readonly");
    const asked = transaction.objectStore(STORE).getAll();
    await done(transaction);
    return [...asked.result.filter((one) => one.user === this.user), ...this.held];
  }

  async forget(sent) {
    this.held = this.held.filter((one) => !sent.includes(one));
    const stored = sent.filter((one) => one.seq !== undefined);
    if (!stored.length) return;
    const transaction = (await this.opened).transaction(STORE, "readwrite");
    for (const one of stored) transaction.objectStore(STORE).delete(one.seq);
    await done(transaction);
  }

  again() {
    this.aside.clear();
    this.soon(0);
  }

  // Throw away what was put aside.
  async drop() {
    await this.forget((await this.all()).filter((one) => this.aside.has(one.answer.key)));
    this.again();
  }

  // What is sent by itself.
  async waiting() {
    return (await this.all()).filter((one) => !this.aside.has(one.answer.key));
  }

  async count() {
    this.onCount((await this.all()).length);
  }

  soon(wait) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.flush(), wait);
  }

  // One window sends at a time, in the order in which things were said.
  flush() {
    const work = () => this.sendAll();
    return navigator.locks ? navigator.locks.request(NAME, work) : work();
  }

  async sendAll() {
    let most = AT_ONCE;
    for (;;) {
      const waiting = (await this.waiting()).slice(0, most);
      if (!waiting.length) break;
      let results;
      let aside = false;
      try {
        results = (await send("POST", "/api/v1/answers", { answers: waiting.map((one) => one.answer) })).results;
      } catch (error) {
        if (![...WRONG, ...ASIDE].includes(error.status)) return this.later(error);
        // One that cannot be taken must not hold up the others: each by itself.
        if (waiting.length > 1) {
          most = 1;
          continue;
        }
        aside = ASIDE.includes(error.status);
        results = [{ key: waiting[0].answer.key, status: "refused", why: error.message }];
      }
      this.wait = 0;
      this.onAway(null);
      if (aside) {
        this.aside.add(waiting[0].answer.key);
        this.onAside(results[0].why);
        continue;
      }
      await this.forget(waiting);
      results.forEach((result, i) => {
        if (result.status === "refused" || result.status === "other") this.onRefused(result, waiting[i].answer);
      });
      this.count();
    }
    this.count();
  }

  // Away, busy or not entered: what waits goes on waiting.
  later(error) {
    this.wait = Math.min(LONGEST, this.wait ? this.wait * 2 : 500);
    this.onAway(error instanceof Refused ? error.status : 0);
    this.soon(this.wait);
  }
}
