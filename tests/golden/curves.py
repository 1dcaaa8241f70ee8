"""Golden curves: what each algorithm's figures were, step by step, and on which machine."""

import hashlib
import json
import platform
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from every_algorithm import Training, fingerprint

from harken.train.metrics_log import read_metrics
from harken.train.optimizers import OptimizerConfig

SLOW = OptimizerConfig(rate=2e-4, muon_rate=0.0, warmup=5, decay="cosine")
"""So slow that rounding, which differs between machines, does not grow to 1e-4 in twenty steps. Muon orthogonalises in
bfloat16, where it would; only supervised training has it here."""
OPTIMIZERS = {"sft": replace(SLOW, muon_rate=2e-4)}
CURVES = Path(__file__).parent / "curves"


def machine() -> str:
    """What the last bits of a sum depend on, as a short hash: processor, torch and its libraries, threads."""
    cpu = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith(("model name", "flags"))]
    said = [*sorted(set(cpu)), platform.machine(), torch.__version__, torch.__config__.show(), "one thread"]
    return hashlib.sha256("\n".join(said).encode()).hexdigest()[:16]


def curve_of(name: str, folder: Path) -> dict[str, Any]:
    """Train, and say what came of it."""
    torch.set_num_threads(1)
    model = Training(folder, optimizer=OPTIMIZERS.get(name, SLOW))(name)
    steps = read_metrics(folder / "metrics.jsonl", "training")
    figures = [{k: v for k, v in line.items() if k not in ("stage", "step")} for line in steps]
    return {"machine": machine(), "weights": fingerprint(model), "steps": figures}


def write_curve(name: str, curve: dict[str, Any]) -> None:
    CURVES.mkdir(exist_ok=True)
    steps = ",\n  ".join(json.dumps(step) for step in curve["steps"])
    head = {key: curve[key] for key in ("machine", "weights")}
    (CURVES / f"{name}.json").write_text(f'{json.dumps(head)[:-1]}, "steps": [\n  {steps}\n]}}\n')


def read_curve(name: str) -> dict[str, Any]:
    return json.loads((CURVES / f"{name}.json").read_text())
