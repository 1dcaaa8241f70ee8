"""The demo's supervised policy asked in other words, and with its prompts' embeddings attacked, by how it was taught.

Embeddings are moved by a share of the prompt's own (their root mean square), which is practised or judged; the same
length in a direction by lot is beside it, and as many more steps as the attack costs.
"""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.family.robust_policy import Told, answers, conditions
from harken.algorithms.sft import SFT
from harken.data.batch import collate
from harken.data.encoded import EncodedPrompts
from harken.demo.recipe import recipe_file
from harken.demo.world import make_world
from harken.evaluate.metrics.bootstrap import bootstrap_interval
from harken.evaluate.metrics.exactness import exactness
from harken.models.embeddings import TOKENS
from harken.models.load import load_model
from harken.models.model import Model
from harken.pipeline.recipe import read_recipe
from harken.pipeline.run import Run
from harken.pipeline.stages import stages
from harken.reward.rules import right_answer
from harken.train.adversarial import Attack, attacked, reading_what_moves
from harken.types import Prompt

PLAIN = "as usual"
RADII = (0.03, 0.1, 0.3)
LOT = 3**0.5
"""An ascent of no length stays where it began: by lot, evenly within the radius, which is so much of its own mean."""
JUDGED = 0.1


def trainings(overrides: Sequence[str]) -> dict[str, list[str]]:
    """What is said of each training over the demo's recipe."""
    steps = read_recipe(recipe_file("demo"), list(overrides)).sft.data.steps

    def against(radius: float, more: str = "") -> list[str]:
        return [f"sft.attack={{radius: {{{TOKENS}: {radius}}}, norm: snr{more}}}"]

    return {
        PLAIN: [],
        "twice the steps": [f"sft.data.steps={2 * steps}"],
        f"noise of {JUDGED}": against(JUDGED * LOT, ", steps: 2, step: 0"),
        **{f"attacked by {radius}": against(radius) for radius in RADII},
    }


def taught(folder: Path, overrides: Sequence[str], threads: int) -> tuple[Run, float]:
    """The demo's supervised policy, trained or read again, and the minutes that it took now."""
    recipe = read_recipe(recipe_file("demo"), [f"threads={threads}", "align.human_only=false", *overrides])
    run, started = Run(folder, recipe, make_world, Told()), time.monotonic()
    with run.locked():
        run.open(resume=True)
        run.execute([stage for stage in stages(recipe) if stage.verb == "sft"])
    return run, (time.monotonic() - started) / 60


def right_tokens(model: Model, prompts: Sequence[Prompt], run: Run, attack: Attack) -> np.ndarray:
    """Of each prompt's reference the share of tokens that are the likeliest after those before, under an attack."""
    encoded, pad_id, out = EncodedPrompts(model.processor, run.blobs), model.processor.pad_id, []
    module, generator = reading_what_moves(model, attack), torch.Generator().manual_seed(0)
    for start in range(0, len(prompts), 50):
        part = prompts[start : start + 50]
        ids = [torch.tensor(model.processor.encode_text(prompt.references[0])) for prompt in part]
        batch = collate(encoded(part), ids, range(len(part)), pad_id)
        asked = attacked(module, SFT(), batch, attack, generator)
        with torch.no_grad():
            logits = module(asked, frozenset({"logits"})).logits
        right = (logits.argmax(-1) == batch.completions.ids) & batch.completions.mask
        out.append((right.sum(1) / batch.completions.mask.sum(1)).double().numpy())
    return np.concatenate(out)


def words_table(work: Path, overrides: Sequence[str], threads: int, steps: int) -> dict[str, Any]:
    """The whole part: by condition, the trainings side by side, each with what it changed against the first."""
    table: dict[str, dict[str, Any]] = {}
    before: dict[str, np.ndarray] = {}
    minutes = {}
    asked = {name: how for name, how in conditions(steps).items() if how.attack is None and how.having is None}
    for name, said in trainings(overrides).items():
        run, minutes[name] = taught(work / "words" / name.replace(" ", "-"), [*overrides, *said], threads)
        model = load_model(run.folder / "sft").eval()
        held = [prompt for prompt in run.world.test if prompt.references]
        found = {
            condition: np.array([right_answer(p, a) for p, a in zip(held, answers(model, held, how, run), strict=True)])
            for condition, how in asked.items()
        }
        attack = Attack({TOKENS: JUDGED}, steps, norm="snr")
        found[f"tokens of references, embeddings attacked by {JUDGED}"] = right_tokens(model, held, run, attack)
        for condition, right in found.items():
            apart = right - before.setdefault(condition, right)
            table.setdefault(condition, {})[name] = {
                "right": _share(right),
                "change": [round(x, 3) for x in (float(apart.mean()), *bootstrap_interval(apart))],
            }
            print(f"{name:16s} {condition:48s} {json.dumps(table[condition][name])}", flush=True)
    return table | {"minutes of training": {name: round(value, 2) for name, value in minutes.items()}}


def _share(right: np.ndarray) -> list[float]:
    if set(np.unique(right)) <= {0.0, 1.0}:
        share = exactness(right)
        return [round(share.rate, 3), round(share.low, 3), round(share.high, 3)]
    return [round(x, 3) for x in (float(right.mean()), *bootstrap_interval(right))]
