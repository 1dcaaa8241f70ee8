"""From a key to the next item on the screen, in a real Chromium: `python -m benchmarks.studio.paint PORT INVITE SLUG`.

A time begins with the key's own time stamp, so that its way to the page counts, and ends with the second frame after
the next item's question is in the page: the first has painted it then.
"""

import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any

CHROMIUM = os.environ.get("HARKEN_CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
ITEMS, BETWEEN_MS = 60, 250
WATCH = """() => {
  window.paints = [];
  let pressed = null;
  addEventListener("keydown", (event) => (pressed = event.timeStamp), true);
  new MutationObserver((changes) => {
    const added = changes.flatMap((change) => [...change.addedNodes]);
    if (pressed === null || !added.some((node) => node.id === "question")) return;
    const from = pressed;
    pressed = null;
    requestAnimationFrame(() => requestAnimationFrame(() => window.paints.push(performance.now() - from)));
  }).observe(document.getElementById("task"), { childList: true });
}"""


def why_not() -> str:
    """What is missing to measure this here; empty if nothing."""
    if importlib.util.find_spec("playwright") is None:
        return "playwright is not installed: pip install playwright"
    if not Path(CHROMIUM).exists():
        return f"there is no {CHROMIUM}: apt-get install chromium, or say where it is in HARKEN_CHROMIUM"
    return ""


def key_to_paint(port: int, invite: str, slug: str, items: int = ITEMS) -> dict[str, Any]:
    """Answer some items by one key each, as a quick person would.

    Args:
        port: of a studio on 127.0.0.1.
        invite: of somebody who may answer.
        slug: of a project of comparisons with more than so many items for them.
        items: how many.

    Returns:
        `key_to_paint_p50_ms`, `key_to_paint_p95_ms`, `key_to_paint_max_ms`, `key_to_paint_items`.

    Raises:
        RuntimeError: if there is no browser, or not every key brought an item.
    """
    if missing := why_not():
        raise RuntimeError(missing)
    from playwright.sync_api import sync_playwright

    address = f"http://127.0.0.1:{port}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1200, "height": 800})
        page.goto(f"{address}/enter#{invite}")
        page.wait_for_url(f"{address}/")
        page.goto(f"{address}/p/{slug}")
        page.wait_for_selector("#question")
        page.wait_for_load_state("networkidle")
        page.evaluate(WATCH)
        for n in range(items):
            page.keyboard.press("12"[n % 2])
            page.wait_for_timeout(BETWEEN_MS)
        found = sorted(page.evaluate("window.paints"))
        browser.close()
    if len(found) < items:
        raise RuntimeError(f"{items} keys brought {len(found)} items: {slug!r} is too small, or the studio too slow")
    return {
        "key_to_paint_p50_ms": round(found[len(found) // 2], 1),
        "key_to_paint_p95_ms": round(found[int(0.95 * (len(found) - 1))], 1),
        "key_to_paint_max_ms": round(found[-1], 1),
        "key_to_paint_items": len(found),
    }


if __name__ == "__main__":
    print(json.dumps(key_to_paint(int(sys.argv[1]), sys.argv[2], sys.argv[3]), indent=1))
