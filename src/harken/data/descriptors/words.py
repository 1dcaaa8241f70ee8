"""What a text looks like: its length, its marks, and which words it uses, as named numbers."""

import hashlib
import re
from collections.abc import Mapping

import numpy as np

WORD = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]|\w+")
BUCKETS = 64
"""Words are counted in so many, by a hash, half of them with a minus (Weinberger 2009, 0902.2206)."""


def describe_words(text: str) -> Mapping[str, float]:
    """A text as named numbers; the same names for every text."""
    words = [word.lower() for word in WORD.findall(text)]
    count = max(1, len(words))
    lines = text.count("\n") + 1
    buckets = np.zeros(BUCKETS)
    for word in words:
        code = int.from_bytes(hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=4).digest())
        buckets[code % BUCKETS] += 1 if (code >> 16) % 2 else -1
    plain = {
        "log words": np.log1p(len(words)),
        "log letters": np.log1p(len(text)),
        "letters a word": sum(map(len, words)) / count,
        "different words": len(set(words)) / count,
        "log lines": np.log(lines),
        "digits": sum(c.isdigit() for c in text) / max(1, len(text)),
        "marks": sum(not (c.isalnum() or c.isspace()) for c in text) / max(1, len(text)),
        "capitals": sum(c.isupper() for c in text) / max(1, len(text)),
        "ends": float(text.rstrip().endswith((".", "!", "?", "\u3002"))),
        "asks": float(text.count("?")),
    }
    spread = {f"bucket {n}": value / np.sqrt(count) for n, value in enumerate(buckets)}
    return {f"words/{name}": float(value) for name, value in {**plain, **spread}.items()}
