"""Runs beside the studio's folder, as the dashboard shows them: what they measured, their curves while they train."""

import json
import time
from pathlib import Path
from typing import Any

NEWEST = 20
"""Runs that are shown."""
POINTS = 200
"""Of a curve."""
FRESH = 60.0
"""Seconds for which a run counts as under way after its last step."""
WANTED = ("reward", "loss", "kl", "accuracy")
FIGURES = ("win_rate", "reward_accuracy", "reward_accuracy_annotators", "calibration_error")


def runs(folder: Path) -> list[dict[str, Any]]:
    """The newest runs: name, whether it is under way, figures (value, low, high), reliability bins, curves."""
    found = sorted(folder.glob("*/run.json"), key=_touched, reverse=True)[:NEWEST]
    return [_run(path.parent) for path in found]


def curves(folder: Path) -> list[dict[str, Any]]:
    """Reward, divergence, loss and accuracy by step, as far as a run has come."""
    lines: dict[tuple[str, str], list[tuple[float, float]]] = {}
    path = folder / "metrics.jsonl"
    if not path.is_file():
        return []
    with path.open(encoding="utf-8") as file:
        for text in file:
            try:
                row = json.loads(text)
            except ValueError:
                continue  # the line that is being written now
            for name in WANTED:
                value = row.get(name)
                if isinstance(value, int | float) and isinstance(row.get("step"), int):
                    lines.setdefault((str(row.get("stage", "")), name), []).append((float(row["step"]), float(value)))
    return [
        {"stage": stage, "name": name, "x": [x for x, _ in _thin(line)], "y": [y for _, y in _thin(line)]}
        for (stage, name), line in lines.items()
        if len(line) > 1
    ]


def _run(folder: Path) -> dict[str, Any]:
    said = _json(folder / "evaluation.json")
    evaluation: dict[str, Any] = said if isinstance(said, dict) else {}
    return {
        "name": folder.name,
        "going": time.time() - _touched(folder / "run.json") < FRESH and not (folder / "report.html").exists(),
        "figures": {name: _figure(evaluation, name) for name in FIGURES if _is_number(evaluation.get(name))},
        "reliability": evaluation.get("reliability") or [],
        "curves": curves(folder),
    }


def _figure(evaluation: dict[str, Any], name: str) -> tuple[float, float | None, float | None]:
    low, high = evaluation.get(f"{name}_interval") or (None, None)
    return float(evaluation[name]), low, high


def _touched(run: Path) -> float:
    """When a run last wrote: of its own file, or the last step."""
    steps = run.with_name("metrics.jsonl")
    return max(path.stat().st_mtime for path in (run, steps) if path.exists())


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _thin(line: list[tuple[float, float]]) -> list[tuple[float, float]]:
    every = max(1, len(line) // POINTS)
    return line[::every]


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
