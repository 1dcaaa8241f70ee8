"""How long choosing pairs takes: `python -m benchmarks.reward.selection --json FILE`.

10,000 candidate pairs of 4,000 completions, an ensemble of 8 heads, 500 pairs answered before; one thread. Medians of
five, in seconds, the check and the sorting of the pairs included.
"""

import argparse
import json
import os
import platform
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np

from benchmarks.trl.machine import load_average, processor_name
from harken.feedback.selection import Candidates, Policy, SelectionConfig, select_pairs

BATCHES = (1, 16, 64)
WIDTHS = (64, 256)
REPEATS = 5


def candidates(width: int, pairs: int = 10_000, completions: int = 4_000, heads: int = 8) -> Candidates:
    """Scores whose heads differ, and features of spread 1."""
    chance = np.random.default_rng(0)
    features = chance.standard_normal((completions, width))
    scores = features @ chance.standard_normal((width, heads)) / width**0.5
    first = chance.integers(0, completions, pairs + 500)
    second = (first + chance.integers(1, completions, pairs + 500)) % completions
    both = np.stack([first, second], axis=1)
    return Candidates(both[:pairs], scores, features, both[pairs:])


def arms() -> dict[str, SelectionConfig]:
    """Every policy as it is by default, and badge on all pairs."""
    return {policy: SelectionConfig(policy) for policy in get_args(Policy)} | {
        "badge, keep 0": SelectionConfig("badge", keep=0)
    }


def seconds(asked: Candidates, config: SelectionConfig) -> float:
    """Median of five."""
    taken = []
    for seed in range(REPEATS):
        begun = time.perf_counter()
        select_pairs(asked, config, seed)
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", type=Path, help="where the figures are written too")
    to = parser.parse_args().json
    rows: list[dict[str, Any]] = []
    print("| policy | D | " + " | ".join(f"B = {batch}" for batch in BATCHES) + " |")
    print("|---|---|" + "---|" * len(BATCHES))
    for width in WIDTHS:
        asked = candidates(width)
        for policy, config in arms().items():
            found = {batch: seconds(asked, replace(config, batch=batch)) for batch in BATCHES}
            rows.append({"policy": policy, "width": width, "seconds": found})
            print(
                f"| {policy} | {width} | " + " | ".join(f"{value:.3f}" for value in found.values()) + " |", flush=True
            )
    if to:
        to.parent.mkdir(parents=True, exist_ok=True)
        machine = {"processor": processor_name(), "python": platform.python_version(), "numpy": np.__version__}
        threads = os.environ.get("OMP_NUM_THREADS", "not set")
        told = {"machine": machine, "threads": threads, "load": load_average(), "repeats": REPEATS, "rows": rows}
        to.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
