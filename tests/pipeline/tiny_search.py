"""A search of a tiny recipe. Also a program: `tiny_search.py FOLDER [PLACE COUNT]` kills itself at the COUNT-th call
of a place."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "journeys"))

from tiny_run import OVERRIDES, kill_at  # noqa: E402

from harken.demo.world import make_world  # noqa: E402
from harken.pipeline.recipe import read_plain  # noqa: E402
from harken.pipeline.run import Progress  # noqa: E402
from harken.pipeline.searched import Search, make_search  # noqa: E402
from harken.pipeline.tune import Tuning  # noqa: E402

BAD = 1e-9
"""A rate that learns nothing."""
OVER = {"sft.optimizer.rate": [0.02, 0.03, BAD], "sft.data.batch": "4..8"}


def tiny_search(trials: int = 5, over: dict | None = None, **tune: object) -> Search:
    said = {"over": OVER if over is None else over, "trials": trials, "startup": 2, **tune}
    small = ["sft.data.steps=6", "sft.optimizer.warmup=0", "sft.stopping.every=2", "sft.optimizer.muon_rate=0"]
    plain = read_plain(ROOT / "recipes" / "demo.yaml", [*OVERRIDES, *small])
    return make_search({**plain, "tune": said})


class Told(Progress):
    """Remembers what was said."""

    def __init__(self):
        self.said: list[str] = []
        self.stages: list[tuple[str, str]] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def stage(self, name: str, state: str) -> None:
        self.stages.append((name, state))


def run_search(folder: Path, search: Search, progress: Progress | None = None, stop=lambda: False):
    return Tuning(folder, search, make_world, progress, stop).run()


if __name__ == "__main__":
    if len(sys.argv) > 2:
        kill_at(sys.argv[2], int(sys.argv[3]))
    run_search(Path(sys.argv[1]), tiny_search())
