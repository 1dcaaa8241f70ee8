"""Clients that answer as fast as they can: each takes five items at a time and answers them one by one."""

import asyncio
import time
from dataclasses import dataclass, field

from benchmarks.studio.wire import Wire


@dataclass
class Told:
    """What clients saw.

    Attributes:
        seconds: of each answer, from sending it to its acknowledgement.
        kept: keys whose answers were acknowledged.
        elapsed: from the first request to the last acknowledgement.
    """

    seconds: list[float] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    elapsed: float = 0.0

    def quantile(self, share: float) -> float:
        """Of the seconds, in milliseconds."""
        ordered = sorted(self.seconds)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def client(port: int, token: str, slug: str, tab: str, until: float, told: Told) -> None:
    """Answer until the time is over, nothing is left, or the server goes away."""
    wire = Wire(port, token)
    try:
        while time.perf_counter() < until:
            found = await wire.send("POST", f"/api/v1/projects/{slug}/next", {"tab": tab, "want": 5})
            if not found["items"]:
                return
            for item in found["items"]:
                said = {"choice": item["candidates"][0]["id"]}
                begun = time.perf_counter()
                body = {"answers": [{"key": item["key"], "said": said, "seconds": 1.5}]}
                results = (await wire.send("POST", "/api/v1/answers", body))["results"]
                told.seconds.append(time.perf_counter() - begun)
                if results[0]["status"] not in ("kept", "there"):
                    raise ValueError(f"an answer was not kept: {results}")
                told.kept.append(item["key"])
                if time.perf_counter() > until:
                    return
    except ConnectionError:
        return
    finally:
        wire.close()


async def run(
    port: int, tokens: list[str], slug: str, seconds: float, told: Told | None = None, release: bool = False
) -> Told:
    """All clients at once.

    Args:
        port: of the studio.
        tokens: one a client.
        slug: of the project.
        seconds: how long, at most.
        told: where what they see is noted as it happens.
        release: whether windows that were closed give back what they held, first.
    """
    told, begun = told or Told(), time.perf_counter()
    until = begun + seconds
    if release:
        for n, token in enumerate(tokens):
            wire = Wire(port, token)
            await wire.send("POST", f"/api/v1/projects/{slug}/release", {"tab": f"tab{n}"})
            wire.close()
    await asyncio.gather(*(client(port, t, slug, f"tab{n}", until, told) for n, t in enumerate(tokens)))
    told.elapsed = time.perf_counter() - begun
    return told
