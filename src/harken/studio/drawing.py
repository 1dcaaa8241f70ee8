"""Plots for pages, drawn by another process and kept while what they show is the same."""

import asyncio
import hashlib
import json
import sys
from collections import OrderedDict
from typing import Any

KEPT = 64
SECONDS = 30.0


class Drawings:
    """Plots by the hash of what they show; one is drawn at a time."""

    def __init__(self) -> None:
        self._told: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._drawn: OrderedDict[str, bytes] = OrderedDict()
        self._one = asyncio.Lock()

    def address(self, told: dict[str, Any]) -> str:
        """Where a page finds this drawing."""
        name = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:32]
        _keep(self._told, name, told)
        return f"/plots/{name}.svg"

    async def svg(self, name: str) -> bytes | None:
        """A drawing that a page was told of; None if there is none, or it could not be drawn."""
        async with self._one:
            if name not in self._drawn:
                if name not in self._told:
                    return None
                made = await _draw(self._told[name])
                if made is None:
                    return None
                _keep(self._drawn, name, made)
            return self._drawn[name]


def _keep(where: OrderedDict[str, Any], name: str, what: Any) -> None:
    where[name] = what
    where.move_to_end(name)
    while len(where) > KEPT:
        where.popitem(last=False)


async def _draw(told: dict[str, Any]) -> bytes | None:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "harken.studio.draw", stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        made, _ = await asyncio.wait_for(process.communicate(json.dumps(told).encode()), SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
        return None
    return made if process.returncode == 0 else None
