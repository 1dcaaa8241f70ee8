"""`metrics.jsonl`: one line a step, and never two for one step, also after a kill."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harken.data.lines import lines_of
from harken.types import JSON


class MetricsLog:
    """Appends lines `{"stage", "step", ...}` to a run's `metrics.jsonl`.

    Args:
        path: the file.
        stage: the stage that writes; it only ever drops lines of its own.
    """

    def __init__(self, path: Path, stage: str):
        self.path = path
        self.stage = stage

    def rewind(self, step: int) -> None:
        """Drop this stage's lines of steps from `step` on (they will be run again), and a line half written."""
        if not self.path.exists():
            return
        kept = []
        for line in lines_of(self.path):
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                continue  # the kill came in the middle of this line
            if record["stage"] != self.stage or record["step"] < step:
                kept.append(line)
        temporary = self.path.with_suffix(".rewinding")
        temporary.write_text("".join(line + "\n" for line in kept))
        os.replace(temporary, self.path)

    def write(self, step: int, metrics: Mapping[str, JSON]) -> None:
        """Append the figures of one step."""
        with self.path.open("a") as out:
            out.write(json.dumps({"stage": self.stage, "step": step, **metrics}) + "\n")


def read_metrics(path: Path, stage: str) -> list[dict[str, Any]]:
    """A stage's lines, in order."""
    if not path.exists():
        return []
    records = [json.loads(line) for line in lines_of(path)]
    return [record for record in records if record["stage"] == stage]
