"""How often something may be tried: so many times, and one more each so many seconds."""

import time
from collections.abc import Callable

MOST_NAMES = 10_000
"""That are remembered at once."""


class Throttle:
    """A bucket a name; forgotten when full again.

    Args:
        most: tries that may come at once.
        every: seconds until one more is allowed.
        clock: what time it is, in seconds.
    """

    def __init__(self, most: int, every: float, clock: Callable[[], float] = time.monotonic):
        self._most, self._every, self._clock = most, every, clock
        self._used: dict[str, tuple[float, float]] = {}

    def wait(self, name: str) -> float:
        """Take a try; seconds to wait where there is none left (0: go on)."""
        now = self._clock()
        if len(self._used) >= MOST_NAMES:
            self._forget(now)
        used, at = self._used.get(name, (0.0, now))
        used = max(0.0, used - (now - at) / self._every)
        if used + 1 > self._most:
            self._used[name] = (used, now)
            return (used + 1 - self._most) * self._every
        self._used[name] = (used + 1, now)
        return 0.0

    def give_back(self, name: str) -> None:
        """A try that was right after all counts for nothing."""
        if name in self._used:
            used, at = self._used[name]
            self._used[name] = (max(0.0, used - 1), at)

    def _forget(self, now: float) -> None:
        """Names that are full again; and where hardly one is, those that tried least lately."""
        self._used = {n: (u, t) for n, (u, t) in self._used.items() if u - (now - t) / self._every > 0}
        if len(self._used) > MOST_NAMES // 2:
            ordered = sorted(self._used.items(), key=lambda one: one[1][1])
            self._used = dict(ordered[-MOST_NAMES // 2 :])
