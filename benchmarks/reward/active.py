"""Do people need to answer less if pairs are chosen? `python -m benchmarks.reward.active --json FILE`.

--world speechocean: pairs of recordings, answered by experts' own recorded grades; accuracy on speakers never asked
about. --world demo: pairs of completions of the demo's supervised model (`harken sft recipes/demo.yaml --out
runs/demo`), answered by its simulated annotators; accuracy against gold on prompts never asked about.

Every arm of a seed has the same split, the same pool and the same first batch, which is random. Policies are set
against the mean of two draws of random. `random, again`, the second draw, is also set against the first: that is what
the measure makes of no difference at all.
"""

import argparse
import json
import math
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.reward.asked import Arm, Curve, Task, curve, with_penalty
from benchmarks.reward.asked_plot import plot
from benchmarks.reward.asked_worlds import World, demo, speech
from benchmarks.reward.saving import goal_of, saving_of
from harken.feedback.selection import SelectionConfig

BATCH = 32
ROUNDS = {"speechocean": 15, "demo": 16}
"""Of `BATCH` answers: until random hardly rises any more (speechocean), or a sixth of the pool is asked."""
TUNING = 1000
"""The seed on whose training side the penalty is chosen; no curve is of it."""
RANDOM, AGAIN = "random", "random, again"


def arms(penalty: float) -> dict[str, Arm]:
    """Every policy as it is by default; the ridge is the lines' penalty, which says the same thing."""
    plain = SelectionConfig(batch=BATCH, ridge=penalty)
    bald = replace(plain, policy="bald")
    return {
        RANDOM: Arm(replace(plain, policy="random")),
        AGAIN: Arm(replace(plain, policy="random"), draws=1),
        "disagreement": Arm(replace(plain, policy="disagreement")),
        "bald": Arm(bald),
        "bald, the best": Arm(replace(bald, power=math.inf)),
        "badge": Arm(replace(plain, policy="badge")),
        "k_centre": Arm(replace(plain, policy="k_centre")),
        "d_optimal": Arm(replace(plain, policy="d_optimal")),
        "v_optimal": Arm(replace(plain, policy="v_optimal")),
    }


_TASKS: list[Task] = []
"""Of the world that is measured, by seed; processes that are forked from this one find them here."""


def _curves(name: str, rounds: int) -> list[Curve]:
    arm = arms(_TASKS[0].penalty)[name]
    return [curve(task, arm, seed, rounds) for seed, task in enumerate(_TASKS)]


def measured(world: World, seeds: int, rounds: int, processes: int = 1) -> dict[str, Any]:
    """Curves of all arms, and what each saves."""
    begun = time.monotonic()
    penalty = with_penalty(world.make(TUNING), TUNING, rounds * BATCH).penalty
    _TASKS[:] = [replace(world.make(seed), penalty=penalty) for seed in range(seeds)]
    out: dict[str, Any] = {**world.told, "penalty": penalty, "seeds": seeds, "batch": BATCH}
    out |= {"pool": len(_TASKS[0].pairs), "arms": {}}
    names = list(arms(penalty))
    with get_context("fork").Pool(processes) as pool:
        for name, found in zip(names, pool.imap(partial(_curves, rounds=rounds), names), strict=True):
            out["answers"] = found[0].answers
            mine = out["arms"][name] = {
                "accuracy": [[round(value, 5) for value in one.accuracy] for one in found],
                "ties": float(np.mean([one.ties for one in found])),
            }
            print(name, np.round(np.mean(mine["accuracy"], axis=0), 3).tolist(), flush=True)
    return out | {"seconds": round(time.monotonic() - begun, 1)}


def add_savings(found: dict[str, Any]) -> None:
    """Set every policy against the mean of both draws of random, and the second draw against the first."""
    drawn = [np.array(found["arms"][name]["accuracy"]) for name in (RANDOM, AGAIN)]
    found["goal"], found["random_answers"] = goal_of(np.array(found["answers"]), (drawn[0] + drawn[1]) / 2)
    for name, arm in found["arms"].items():
        base = drawn[0] if name in (RANDOM, AGAIN) else (drawn[0] + drawn[1]) / 2
        arm["saving"] = asdict(saving_of(np.array(found["answers"]), base, np.array(arm["accuracy"])))


def shown_rounds(answers: Sequence[int]) -> list[int]:
    """Rounds that a table shows: the first, then about every quarter."""
    return sorted({0, *(round(part * len(answers)) - 1 for part in (0.25, 0.5, 0.75, 1.0))})


def head_of(answers: Sequence[int]) -> str:
    """The table's head."""
    at = " | ".join(f"{answers[turn]} answers" for turn in shown_rounds(answers))
    head = f"| policy | {at} | less random, over all rounds | answers needed | saved | ties |"
    return head + "\n|" + "---|" * (len(shown_rounds(answers)) + 5)


def row_of(name: str, arm: Mapping[str, Any], answers: Sequence[int]) -> str:
    """One policy's row."""
    means, found = np.mean(arm["accuracy"], axis=0), arm["saving"]
    cells = [name, *(f"{means[turn]:.3f}" for turn in shown_rounds(answers))]
    if name == RANDOM:
        cells += ["", "", "", f"{arm['ties']:.2f}"]
        return "| " + " | ".join(cells) + " |"
    low, high = found["gain_interval"]
    cells.append(f"{found['gain']:+.3f} ({low:+.3f} to {high:+.3f})")
    cells.append("not reached" if found["answers"] is None else f"{found['answers']:.0f}")
    low, high = found["interval"]
    lowest = "below -100" if low <= -1 else f"{100 * low:.0f}"
    share = "" if found["answers"] is None else f"{100 * found['share']:.0f} % "
    cells += [f"{share}({lowest} to {100 * high:.0f} %)", f"{arm['ties']:.2f}"]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, required=True, help="where the figures are written")
    parser.add_argument("--world", choices=("speechocean", "demo", "both"), default="both")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/speechocean"), help="recordings and grades")
    parser.add_argument("--run", type=Path, default=Path("runs/demo"), help="holds sft/, the demo's supervised model")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--rounds", type=int, help="fewer, for a trial")
    parser.add_argument("--processes", type=int, default=1, help="arms at a time; the figures are the same")
    parser.add_argument("--svg", type=Path, help="where the curves are drawn")
    parser.add_argument("--draw", nargs="*", type=Path, help="measure nothing: draw and print what these files hold")
    asked = parser.parse_args()
    out: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name, rounds in ROUNDS.items():
            if asked.draw is None and asked.world in (name, "both"):
                print(f"## {name}", flush=True)
                world = speech(asked.data, Path(scratch)) if name == "speechocean" else demo(asked.run)
                out[name] = measured(world, asked.seeds, asked.rounds or rounds, asked.processes)
    for path in asked.draw or ():
        out |= json.loads(path.read_text())
    for found in out.values():
        add_savings(found)
    for name, found in out.items():
        rows = [row_of(arm, what, found["answers"]) for arm, what in found["arms"].items()]
        goal = f"the goal, {found['goal']:.3f}, takes random {found['random_answers']:.0f} answers"
        print("\n".join([f"\n{name}: {goal}; penalty {found['penalty']:g}", "", head_of(found["answers"]), *rows]))
    asked.json.parent.mkdir(parents=True, exist_ok=True)
    asked.json.write_text(json.dumps(out, indent=1) + "\n")
    if asked.svg:
        plot(out, asked.svg)


if __name__ == "__main__":
    main()
