// A prompt: its turns, with pictures at their reserved size, sounds and numbers.

import { byId, el } from "/static/dom.js";
import { showNumbers } from "/static/series.js";
import { Sound } from "/static/sound.js";
import { t } from "/static/words.js";

const SMALL = 128;
// Of the window's height; the rest is the bar's.
const HIGH = 0.78;

// Where nothing has a shortcut.
const NO_KEYS = { label: () => "" };

// Returns the node, and the sounds and pictures in it.
export function showPrompt(messages, keys = NO_KEYS) {
  const sounds = [];
  const pictures = [];
  const numbers = [];
  const turns = messages.map((message) =>
    el("div", { class: `turn ${message.role}` },
      messages.length > 1 ? el("p", { class: "who" }, t(`role.${message.role}`)) : null,
      message.parts.map((part) => showPart(part, sounds, pictures, numbers, keys))));
  return { node: el("section", { class: "prompt", "aria-label": t("prompt") }, turns), sounds, pictures };
}

function showPart(part, sounds, pictures, numbers, keys) {
  if (part.type === "text") return el("p", { class: "text" }, part.text);
  if (part.type === "image") {
    const name = t("picture.name", { n: pictures.length + 1 });
    const image = el("img", { class: sharp(part), src: part.url, width: part.width, height: part.height, alt: name, decoding: "sync" });
    const ratio = part.width / part.height;
    const button = el("button", { type: "button", class: "picture", "aria-label": `${t("picture.zoom")}: ${name}`, on: { click: () => zoom(part, name) } }, image, pictures.length ? null : el("kbd", { "aria-hidden": "true" }, keys.label("zoom")));
    // The whole picture, at most so wide and so high, and a very small one larger than it is; known before it is here.
    button.style.width = `min(100%, 32rem, ${(45 * ratio).toFixed(2)}vh, ${Math.max(part.width, SMALL)}px)`;
    pictures.push({ part, name });
    return button;
  }
  if (part.type === "numbers") {
    numbers.push(part);
    return showNumbers(part, numbers.length);
  }
  const sound = new Sound(part, sounds.length + 1, keys);
  sounds.push(sound);
  return sound.node;
}

// Of a picture of few pixels each is seen, and of others none.
const sharp = (part) => (part.width < SMALL ? "sharp" : null);

// As large as the window allows, and never smaller than the picture is.
export function zoom(part, name) {
  const dialog = byId("zoom");
  const image = el("img", { class: sharp(part), src: part.url, alt: name });
  let scale = 1;
  let most = 16;
  const set = (by) => {
    scale = Math.min(most, Math.max(0.1, scale * by));
    image.width = Math.floor(part.width * scale);
  };
  const button = (label, act) => el("button", { type: "button", on: { click: act } }, label);
  const place = el("div", { class: "zoomed", tabindex: "0", role: "group", "aria-label": name }, image);
  dialog.replaceChildren(
    el("div", { class: "bar" }, button(t("zoom.in"), () => set(1.5)), button(t("zoom.out"), () => set(1 / 1.5)), button(t("close"), () => dialog.close())),
    place);
  dialog.onkeydown = (event) => {
    if (event.key === "+" || event.key === "=") set(1.5);
    if (event.key === "-") set(1 / 1.5);
    if (event.key.toLowerCase() === "z") {
      event.stopPropagation(); // or it would be the shortcut that opens the dialog
      dialog.close();
    }
  };
  dialog.showModal();
  scale = Math.max(1, Math.min(place.clientWidth / part.width, (innerHeight * HIGH) / part.height));
  most = Math.max(most, scale * 4);
  set(1);
}

// Have an item's media in the browser, pictures decoded, before it is shown.
export function prefetch(item) {
  item.media = [];
  for (const message of item.prompt)
    for (const part of message.parts) {
      if (part.type === "image") {
        const image = new Image();
        image.src = part.url;
        image.decode().catch(() => {});
        item.media.push(image); // held, so that it is not thrown away before it is seen
      }
      if (part.type === "audio") {
        fetch(part.url).then((r) => r.arrayBuffer()).catch(() => {});
        fetch(part.peaks).then((r) => r.json()).then((found) => (part.drawn = found.peaks)).catch(() => {});
      }
    }
}
