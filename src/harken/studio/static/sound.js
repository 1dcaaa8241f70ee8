// A sound: its waveform from the server's peaks, one playing at a time, loop and speed.

import { el } from "/static/dom.js";
import { t } from "/static/words.js";

const SPEEDS = [0.5, 0.75, 1, 1.25, 1.5, 2];
let playing = null;

export class Sound {
  constructor(part, number, keys) {
    this.audio = el("audio", { preload: "metadata", src: part.url });
    this.canvas = el("canvas", { width: 600, height: 64, "aria-hidden": "true" });
    const name = t("sound.name", { n: number });
    const key = (...actions) => el("kbd", { "aria-hidden": "true" }, actions.map((action) => keys.label(action)).filter(Boolean).join(" "));
    this.name = name;
    this.mark = el("span", { "aria-hidden": "true" }, "▶");
    this.said = el("span", { class: "visually-hidden" }, `${t("sound.play")}: ${name}`);
    this.button = el("button", { type: "button", class: "play", on: { click: () => this.toggle() } }, this.mark, this.said, key("play"), key("next_media"));
    this.button.lastChild.classList.add("next");
    this.place = el("input", { type: "range", min: "0", max: String(part.seconds), step: "0.01", "aria-label": `${t("sound.place")}: ${name}`, on: { input: () => (this.audio.currentTime = Number(this.place.value)) } });
    this.place.value = "0";
    this.clock = el("span", { class: "clock" }, clock(0, part.seconds));
    this.looped = el("button", { type: "button", "aria-pressed": "false", on: { click: () => this.loop() } }, t("sound.loop"), " ", key("loop"));
    this.speed = el("button", { type: "button", on: { click: () => this.faster(1, true) } });
    this.rate = el("span", {}, "1×");
    this.speed.append(el("span", { class: "visually-hidden" }, `${t("sound.speed")}: `), this.rate, " ", key("slower", "faster"));
    this.node = el("div", { class: "sound", role: "group", "aria-label": name }, this.button, el("div", { class: "wave" }, this.canvas, this.place), this.clock, this.looped, this.speed, this.audio);
    this.seconds = part.seconds;
    this.peaks = [];
    for (const event of ["seeked", "pause", "ended"]) this.audio.addEventListener(event, () => this.draw());
    this.audio.addEventListener("play", () => this.follow());
    this.audio.addEventListener("error", () => (this.clock.textContent = t("sound.broken")));
    const drawn = part.drawn ? Promise.resolve({ peaks: part.drawn }) : fetch(part.peaks).then((r) => r.json());
    drawn.then((found) => { this.peaks = found.peaks ?? []; this.draw(); }).catch(() => {});
  }

  toggle() {
    if (this.audio.paused) {
      if (playing && playing !== this) playing.audio.pause();
      playing = this;
      this.audio.play().catch(() => {});
    } else this.audio.pause();
  }

  loop() {
    this.audio.loop = !this.audio.loop;
    this.looped.setAttribute("aria-pressed", String(this.audio.loop));
  }

  faster(by, round = false) {
    const at = SPEEDS.indexOf(this.audio.playbackRate) + by;
    this.audio.playbackRate = SPEEDS[round ? (at + SPEEDS.length) % SPEEDS.length : Math.min(SPEEDS.length - 1, Math.max(0, at))];
    this.rate.textContent = `${this.audio.playbackRate}×`;
  }

  stop() {
    this.audio.pause();
    this.audio.removeAttribute("src"); // lets go of what is still being loaded
  }

  // The line moves as smoothly as the screen does.
  follow() {
    this.draw();
    if (!this.audio.paused) requestAnimationFrame(() => this.follow());
  }

  draw() {
    const { canvas, peaks, audio } = this;
    const ink = getComputedStyle(document.documentElement);
    const pen = canvas.getContext("2d");
    const done = this.seconds ? audio.currentTime / this.seconds : 0;
    pen.clearRect(0, 0, canvas.width, canvas.height);
    const step = canvas.width / Math.max(1, peaks.length);
    peaks.forEach((peak, i) => {
      const tall = Math.max(2, peak * canvas.height);
      pen.fillStyle = ink.getPropertyValue(i / peaks.length < done ? "--accent" : "--faint");
      pen.fillRect(i * step, (canvas.height - tall) / 2, Math.max(1, step - 1), tall);
    });
    this.place.value = String(audio.currentTime);
    this.clock.textContent = clock(audio.currentTime, this.seconds);
    if (this.playing === !audio.paused) return;
    this.playing = !audio.paused;
    this.mark.textContent = this.playing ? "❚❚" : "▶";
    this.said.textContent = `${t(this.playing ? "sound.pause" : "sound.play")}: ${this.name}`;
  }
}

function clock(now, whole) {
  const shown = (s) => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, "0")}`;
  return `${shown(now)} / ${shown(Math.max(1, Math.round(whole)))}`;
}
