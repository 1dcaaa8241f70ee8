// Curves of runs that train: the part about runs comes anew every ten seconds while the page is looked at.

import { byId } from "/static/dom.js";

const EVERY = 10_000;
let before = "";

async function look() {
  if (document.hidden) return;
  const response = await fetch("/dashboard/runs", { credentials: "same-origin", redirect: "error" });
  if (!response.ok) return;
  const text = await response.text();
  if (text === before) return;
  before = text;
  const fresh = new DOMParser().parseFromString(text, "text/html").getElementById("runs");
  const here = byId("runs");
  for (const run of fresh.querySelectorAll("details")) {
    const shown = byId(run.id);
    if (shown) run.open = shown.open;
  }
  // A picture is there before its place changes, so that nothing jumps.
  const pictures = [...fresh.querySelectorAll("details[open] img")];
  for (const picture of pictures) picture.loading = "eager";
  const node = document.adoptNode(fresh);
  await Promise.allSettled(pictures.map((picture) => picture.decode()));
  const focused = here.contains(document.activeElement) ? document.activeElement.closest("details")?.id : "";
  here.replaceWith(node);
  if (focused) byId(focused)?.querySelector("summary").focus({ preventScroll: true });
}

setInterval(() => look().catch(() => {}), EVERY);
