"""How quick the studio is, and whether anything is lost: `python -m benchmarks.studio --json FILE`.

Client and server on one machine, over loopback; the client is a process of its own and as light as can be, the server
is started as people start it. With `--postgresql local` the same on a PostgreSQL server that the command starts.
"""

import argparse
import asyncio
import gzip
import json
import os
import platform
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.studio.kill import kill_rounds
from benchmarks.studio.load import run
from benchmarks.studio.paint import key_to_paint, why_not
from benchmarks.studio.postgres import cluster
from benchmarks.studio.server import Server, fill, start, tokens_for
from benchmarks.studio.wire import Wire
from benchmarks.trl.machine import load_average, processor_name
from harken.demo.studio_seed import seed_studio

SECONDS, CLIENTS = 15.0, 16
ROUNDS = 5


def measure(place: str, folder: Path, seconds: float) -> dict[str, Any]:
    """Speed, memory, and the weight of the answering page."""
    fill(place, 20_000)
    tokens = tokens_for(place, [f"ann{n}" for n in range(CLIENTS)])
    begun = time.perf_counter()
    server = start(place, folder)
    try:
        _page(server, tokens[0], "/enter")
        first_page = time.perf_counter() - begun
        found: dict[str, Any] = {"first_page_s": round(first_page, 3), "rss_mib_start": round(server.rss_mib, 1)}
        asyncio.run(_project(server.port, tokens[0]))
        found["page_kb"] = round(page_weight(server, tokens[0]) / 1000, 1)
        for count in (1, CLIENTS):
            told = asyncio.run(run(server.port, tokens[:count], "speed", seconds))
            found[f"answers_per_second_{count}"] = round(len(told.kept) / told.elapsed, 1)
            for share in (50, 95, 99):
                found[f"p{share}_ms_{count}"] = round(told.quantile(share / 100), 2)
        found["rss_mib"] = round(server.rss_mib, 1)
        return found
    finally:
        server.stop()


async def _project(port: int, token: str) -> None:
    wire = Wire(port, token)
    await wire.send("POST", "/api/v1/projects", {"settings": {"title": "speed", "overlap": 2}})
    wire.close()


def _page(server: Server, token: str, path: str) -> bytes:
    headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "gzip"}
    asked = urllib.request.Request(f"http://127.0.0.1:{server.port}{path}", headers=headers)
    with urllib.request.urlopen(asked, timeout=30) as told:
        return bytes(told.read())


def page_weight(server: Server, token: str) -> int:
    """Bytes over the wire of the answering page with all its scripts and styles."""
    html = _page(server, token, "/p/speed")
    seen, total = {"/static/style.css", "/static/page.js", "/static/answer.js", "/static/icon.svg"}, len(html)
    waiting = sorted(seen)
    while waiting:
        data = _page(server, token, waiting.pop())
        total += len(data)
        for piece in gzip.decompress(data).decode().split('from "')[1:]:
            name = piece.split('"')[0]
            if name.startswith("/static/") and name not in seen:
                seen.add(name)
                waiting.append(name)
    return total


def painted() -> dict[str, Any]:
    """From a key press to the next item painted, in a real browser, on the demo's prompts with their media."""
    if missing := why_not():
        return {"key_to_paint_p95_ms": None, "key_to_paint": missing}
    with tempfile.TemporaryDirectory() as name:
        seed_studio(Path(name))
        server = start(str(Path(name) / "feedback.db"), Path(name))
        try:
            return key_to_paint(server.port, server.invite, "which-is-better")
        finally:
            server.stop()


@contextmanager
def places(asked: str) -> Iterator[tuple[str, str]]:
    """Two databases, one for the speed and one for the kills; empty for files of SQLite."""
    if asked == "local":
        with cluster(durable=True) as server:
            yield server.new("speed"), server.new("kills")
    elif asked:
        speed, _, kills = asked.partition(",")
        yield speed, kills
    else:
        yield "", ""


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="where the figures are written too")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of load, with one client and with sixteen")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of kill -9")
    parser.add_argument(
        "--postgresql",
        default="",
        help="instead of SQLite: `local` for a server of its own, or URLs of two empty "
        "databases with a comma between them",
    )
    given = parser.parse_args()
    with places(given.postgresql) as (first, second):
        with tempfile.TemporaryDirectory() as name:
            found = measure(first or str(Path(name) / "feedback.db"), Path(name), given.seconds)
        with tempfile.TemporaryDirectory() as name:
            place = second or str(Path(name) / "feedback.db")
            killed = kill_rounds(place, Path(name), given.rounds, CLIENTS, seed=0)
    found |= painted()
    found |= {"lost_after_kill": killed["lost"], "kills": killed}
    found["machine"] = {"processor": processor_name(), "cores": os.cpu_count(), "load": load_average()}
    found["python"], found["database"] = platform.python_version(), "postgresql" if given.postgresql else "sqlite"
    print(json.dumps(found, indent=1))
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
