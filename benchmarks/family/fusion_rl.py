"""The demo's job with each way of joining: how good the supervised and the aligned model are, and what they cost.

python -m benchmarks.family.fusion_rl --json FILE [--work FOLDER] [--only NAME,...] [--set KEY=VALUE ...] [--seed N]

Each way learns the demo's whole recipe: supervised, feedback from simulated annotators, reward model, PPO. `aligned`
is how often its aligned model's answers beat those of its own supervised one by the hidden preference, ties half;
`against joined` is how often they beat the supervised model of the default way, which is one opponent for all. The same
prompts, seeds and annotators for all. Stopped and started again with the same --work, finished stages are kept.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

import harken.models.fusion.fuse
from benchmarks.family.command import write_figures
from harken.demo.recipe import demo_recipe
from harken.demo.world import make_world
from harken.evaluate.metrics.exactness import exactness
from harken.evaluate.metrics.win_rate import WinRate, win_rate
from harken.models.fusion import parts
from harken.models.load import load_model
from harken.pipeline.ask import read_completions
from harken.pipeline.reward_figures import SAME
from harken.pipeline.run import Run
from harken.pipeline.stages import stages
from harken.reward.rules import right_answer

DEFAULT = "joined"
STAGES = {"supervised": "sft", "reward model": "rounds/1/reward", "PPO": "rounds/1/aligned"}


def learnt(folder: Path, fuse: str, seed: int, overrides: Sequence[str]) -> Run:
    """A run of the demo with one way of joining, to its evaluation."""
    recipe = demo_recipe(
        seed,
        False,
        "simulated",
        [f"model.fuse.name={fuse}", "evaluation.explain=0", "align.human_only=false", *overrides],
    )
    run = Run(folder, recipe, make_world)
    with run.locked():
        run.open(resume=(folder / "run.json").is_file())
        for stage in stages(recipe):
            if stage.verb != "report":
                run.execute([stage])
                tqdm.write(f"{fuse}: {stage.name}")
    return run


def judged(run: Run, policy: str) -> dict[str, np.ndarray]:
    """What the hidden preference and the question's own rule say of a policy's answers, one each a held-out prompt."""
    answers = {c.prompt_id: c for c in read_completions(run, "rounds/1/answers.jsonl") if c.policy == policy}
    pairs = [(prompt, answers[prompt.id]) for prompt in run.world.test]
    assert run.world.gold is not None
    return {
        "gold": np.array([run.world.gold(prompt, answer) for prompt, answer in pairs]),
        "exact": np.array([right_answer(prompt, answer) == 1 for prompt, answer in pairs]),
    }


def shown(found: WinRate) -> dict[str, Any]:
    """A win rate with its interval."""
    return {"win_rate": round(found.rate, 4), "interval": [round(found.low, 4), round(found.high, 4)]}


def share(right: np.ndarray) -> dict[str, Any]:
    """A share of right answers with its interval."""
    found = exactness(right)
    return {"share": round(found.rate, 4), "interval": [round(found.low, 4), round(found.high, 4)]}


def cost(run: Run) -> dict[str, Any]:
    """Seconds and the most memory of the stages, and weights."""
    out: dict[str, Any] = {}
    for name, stage in STAGES.items():
        marker = json.loads((run.folder / "stages" / f"{stage.replace('/', '.')}.json").read_text())
        out[name] = {"seconds": round(marker["seconds"], 1), "MiB": round(marker["peak_mib"])}
    out["weights"] = sum(p.numel() for p in load_model(run.folder / "sft").parameters())
    return out


def main() -> None:
    """Learn, judge, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, required=True, help="where the figures are written")
    parser.add_argument("--work", type=Path, help="folder for the runs; a second start goes on with them")
    parser.add_argument("--only", default="", help="ways of joining besides the default, by name; all if not said")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="over the demo's recipe")
    parser.add_argument("--seed", type=int, default=0)
    said = parser.parse_args()
    known = parts.names_in(harken.models.fusion.fuse)
    asked = [name for name in said.only.split(",") if name] or known
    names = [DEFAULT, *(name for name in asked if name != DEFAULT)]
    with tempfile.TemporaryDirectory() as folder:
        work = said.work or Path(folder)
        runs = {name: learnt(work / name, name, said.seed, said.set) for name in tqdm(names, "runs", disable=None)}
        opponent, figures = judged(runs[DEFAULT], "sft"), {}
        for name, run in runs.items():
            before, after = judged(run, "sft"), judged(run, "aligned")
            figures[name] = {
                "supervised against joined": shown(win_rate(before["gold"], opponent["gold"], SAME)),
                "aligned": shown(win_rate(after["gold"], before["gold"], SAME)),
                "aligned against joined": shown(win_rate(after["gold"], opponent["gold"], SAME)),
                "supervised exact": share(before["exact"]),
                "aligned exact": share(after["exact"]),
                "cost": cost(run),
            }
            print(name, json.dumps(figures[name]), flush=True)
        prompts = len(runs[DEFAULT].world.test)
    write_figures(said.json, {"table": figures, "prompts": prompts, "seed": said.seed, "set": said.set})


if __name__ == "__main__":
    main()
