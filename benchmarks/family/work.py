"""Where a long training of a benchmark works: a folder that a second start goes on from, and the time spent in it."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from harken.data.blobs import Blobs
from harken.pipeline.verbs import Workplace


@contextmanager
def in_work(folder: Path | None, stage: str, seed: int) -> Iterator[tuple[Workplace, Callable[[], float]]]:
    """A workplace with a progress bar, and the minutes that earlier starts spent before its last checkpoint.

    Args:
        folder: for checkpoints; None to keep none.
        stage: the training's name.
        seed: of everything drawn.
    """
    begun, kept = time.monotonic(), folder / "minutes.json" if folder else None
    before = float(json.loads(kept.read_text())) if kept is not None and kept.is_file() else 0.0
    bar = tqdm(desc=stage, disable=None)

    def on_step(done: int, total: int, metrics: Mapping[str, float]) -> None:
        bar.total = total
        bar.update(done - bar.n)
        bar.set_postfix(loss=round(metrics["loss"], 3))
        if kept is not None and (done % 50 == 0 or done == total):
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps(before + (time.monotonic() - begun) / 60))

    where = folder / "training" if folder else None
    blobs = Blobs((folder or Path("runs")) / "blobs")
    try:
        yield Workplace(blobs, seed, where, stage, options={"on_step": on_step}), lambda: before
    finally:
        bar.close()
