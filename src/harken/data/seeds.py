"""Randomness as a function of names: what is drawn depends on the seed and on what it is for, never on history.

So a run that was killed draws again exactly what it would have drawn.
"""

import hashlib


def derive(seed: int, *names: str | int) -> int:
    """A seed of 63 bits for one purpose.

    Args:
        seed: the run's seed.
        names: what the draw is for, such as `("rollout", 12)`.
    """
    text = "\x1f".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
