"""A side's end of the measurement: it does a step when it is told to, and says how long that took.

Both sides live through a row in processes of their own and take turns step by step, so that what else the machine does
meets both alike. A step is timed from the moment it is allowed until the trainer says that it is done: the making of
the batch is in it. Standard library only.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_mib() -> float:
    """The most memory this process held since `forget_peak`, in MiB."""
    if STATUS.exists():
        for line in STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def forget_peak() -> None:
    """The peak begins anew at what is held now, where the system allows it: loading a model is not a step."""
    try:
        CLEAR.write_text("5")
    except OSError:
        return


def fingerprint(rows: Iterable[Sequence[int]]) -> str:
    """SHA-256 of token ids, whatever the order of their rows."""
    return sha256(json.dumps(sorted([int(i) for i in row] for row in rows)).encode()).hexdigest()


class Turns:
    """Lines of JSON on what was the standard output; whatever a library prints goes to the standard error."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w", buffering=1)
        os.dup2(2, 1)
        self._left = 0
        self._wall = self._cpu = 0.0

    def _say(self, **what: Any) -> None:
        self._out.write(json.dumps(what) + "\n")

    def ready(self, steps: int, tokens: str, **more: Any) -> None:
        """All is loaded; `tokens` is the fingerprint of what the first step is fed. Waits for the first turn."""
        self._left = steps
        forget_peak()
        self._say(ready=True, tokens=tokens, base_mib=peak_mib(), **more)
        self._await()

    def step_done(self, **more: Any) -> None:
        """One step is over. Waits for the next turn, if there is one."""
        wall, cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu
        self._left -= 1
        self._say(seconds=wall, cpu=cpu, peak_mib=peak_mib(), **more)
        if self._left:
            self._await()

    def _await(self) -> None:
        if not sys.stdin.readline():
            raise SystemExit("the measurement was given up")
        self._wall, self._cpu = time.perf_counter(), time.process_time()
