"""Run the table: `python -m benchmarks.trl --json runs/trl.json`.

Two processes a row, TRL's and harken's, live side by side and take turns step by step. Everything they need (model,
pictures, words) is made in code. docs/benchmarks.md tells what is measured, and what was found.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.trl.machine import load_average, machine
from benchmarks.trl.measure import ROOT, Plan, SideError, measure
from benchmarks.trl.rows import LARGE, ROWS, Row, chosen_rows, sweep_rows
from benchmarks.trl.table import missed, table

TWO_THREADS_STEPS = 3
"""Nothing is promised of this column, and it takes as long as the other."""
MINUTES = 22
"""After so many, no further row of the second column is begun."""


def make_models(folder: Path, rows: Sequence[Row], python: str) -> dict[int, Path]:
    """One folder a size of vocabulary. Made in a process of its own: this one stays small."""
    out = {}
    for vocabulary in sorted({row.vocabulary for row in rows}):
        out[vocabulary] = folder / f"llava_{vocabulary}"
        command = [python, "-m", "benchmarks.trl.model", str(out[vocabulary]), str(vocabulary)]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return out


def measure_rows(rows: Sequence[Row], plan: Plan, until: float = math.inf) -> dict[str, Any]:
    """Figures of every row; a row that failed says why and stops no other. None is begun after `until`."""
    out: dict[str, Any] = {}
    for row in rows:
        begun = time.monotonic()
        if begun > until:
            print(f"{row.name}, {plan.threads} threads: left out, for time", file=sys.stderr, flush=True)
            continue
        try:
            out[row.name] = measure(row, plan)
        except SideError as error:
            out[row.name] = {"error": str(error)}
            print(f"{row.name}: {error}", file=sys.stderr, flush=True)
            continue
        ratio = out[row.name].get("ratio")
        said = "" if ratio is None else f", ratio {ratio:.2f}"
        print(
            f"{row.name}, {plan.threads} thread(s): {time.monotonic() - begun:.0f} s{said}", file=sys.stderr, flush=True
        )
    return out


def run(given: argparse.Namespace) -> dict[str, Any]:
    """All that the command line asks for."""
    rows = chosen_rows(given.only)
    sweep = sweep_rows(given.sweep_prompts) if given.sweep else ()
    begun = time.monotonic()
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="harken-trl-") as folder:
        wanted = sweep if given.sweep else rows
        models = make_models(Path(folder), wanted, sys.executable)
        about = machine(given.trl_python)
        one = Plan(given.steps, given.warmup, 1, given.trl_python, models)
        result |= measure_rows(wanted, one)
        if given.two_threads and not given.sweep:
            steps = min(given.steps, TWO_THREADS_STEPS)
            two = Plan(steps, min(given.warmup, 1), 2, given.trl_python, models)
            small = [row for row in rows if row.vocabulary != LARGE]
            result["two_threads"] = measure_rows(small, two, begun + MINUTES * 60)
    about |= {"minutes": (time.monotonic() - begun) / 60, "load_after": load_average()}
    result["about"] = about | {"command": " ".join(["python -m benchmarks.trl", *sys.argv[1:]]), "steps": given.steps}
    return result


def shown(result: dict[str, Any], rows: Sequence[Row]) -> str:
    """The tables as text."""
    measured = {name: found for name, found in result.items() if "harken_s" in found}
    parts = ["One thread:", table(list(rows), measured)]
    if result.get("two_threads"):
        two = {name: found for name, found in result["two_threads"].items() if "harken_s" in found}
        parts += ["", "Two threads (nothing is promised of these):", table(list(rows), two, promises=False)]
    about = result["about"]
    parts += ["", f"{about['processor']}, {about['cores']} cores; {about['trl_side']}; {about['minutes']:.1f} minutes"]
    return "\n".join(parts)


def main() -> None:
    """Read the command line, measure, print the table, write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="where the figures go")
    parser.add_argument("--only", default="", help=f"rows, separated by commas: {','.join(row.name for row in ROWS)}")
    parser.add_argument("--steps", type=int, default=5, help="measured steps of each side")
    parser.add_argument("--warmup", type=int, default=2, help="steps before them")
    parser.add_argument("--no-two-threads", dest="two_threads", action="store_false", help="one thread only")
    parser.add_argument(
        "--sweep", action="store_true", help="GRPO at several groups and prompts, in place of the table"
    )
    parser.add_argument("--sweep-prompts", type=int, default=1, help="prompts a step in the sweep")
    parser.add_argument("--plot", type=Path, help="where the sweep's plot goes (.png or .svg)")
    parser.add_argument("--trl-python", default=sys.executable, help="the interpreter that has TRL")
    given = parser.parse_args()
    try:
        chosen_rows(given.only)
    except ValueError as error:
        parser.error(str(error))
    if min(given.steps, given.warmup + 1) < 1:
        parser.error("--steps is at least 1, and --warmup at least 0")
    result = run(given)
    print(shown(result, sweep_rows(given.sweep_prompts) if given.sweep else chosen_rows(given.only)))
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(result, indent=2) + "\n")
    if given.sweep and given.plot:
        from benchmarks.trl.plot import plot

        plot(result, given.plot)
    failed = [name for name, found in result.items() if "error" in found]
    for name in missed({name: found for name, found in result.items() if "harken_s" in found}):
        print(f"{name} does not reach what is promised", file=sys.stderr)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
