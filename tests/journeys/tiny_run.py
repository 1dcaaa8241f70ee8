"""A whole run, tiny: every stage, in seconds. Also a program: `tiny_run.py FOLDER [PLACE COUNT]` kills itself with
SIGKILL at the COUNT-th call of a place, or runs to the end."""

import importlib
import os
import signal
import sys
from pathlib import Path
from typing import Any

from harken.demo.recipe import demo_recipe
from harken.demo.world import make_world
from harken.pipeline.recipe import Recipe
from harken.pipeline.run import Progress, Run
from harken.pipeline.stages import stages

OVERRIDES = [
    "name=tiny",
    "threads=1",
    "checkpoint_every=3",
    "data.demonstrations=24",
    "data.ask=16",
    "data.held_out=8",
    "model.heads.answer.hidden=32",
    "model.heads.answer.layers=2",
    "model.heads.answer.heads=2",
    "model.heads.answer.intermediate=48",
    "model.encoders.image.hidden=16",
    "model.encoders.image.heads=2",
    "model.encoders.audio.hidden=16",
    "model.encoders.audio.heads=2",
    "sft.data.steps=8",
    "sft.data.batch=6",
    "completions.prompts=12",
    "completions.each=2",
    "completions.decoding.max_tokens=10",
    "feedback.comparisons=10",
    "feedback.ratings=6",
    "feedback.edits=3",
    "reward.steps=5",
    "reward.batch=6",
    "reward.model.heads=2",
    "align.rollout.iterations=3",
    "align.rollout.prompts=6",
    "align.rollout.minibatches=2",
    "align.rollout.decoding.max_tokens=10",
    "algorithm.group=2",
    "algorithm.epochs=2",
    "evaluation.decoding.max_tokens=10",
    "evaluation.resamples=200",
    "evaluation.examples=2",
    "evaluation.explain=1",
]

PLACES = {
    "sampling a token": ("harken.models.generate", "choose"),
    "a rollout": ("harken.train.sampler", "generate"),
    "scoring a rollout": ("harken.reward.mix", "Mix.combine"),
    "a checkpoint's file": ("harken.train.checkpoint", "save_file"),
    "a checkpoint before its name": ("harken.train.checkpoint", "flush"),
    "a line of metrics": ("harken.train.metrics_log", "MetricsLog.write"),
    "an answer": ("harken.feedback.store", "FeedbackStore.add"),
    "fixing the scale": ("harken.reward.model", "RewardModel.fix_scale"),
    "saving a model": ("harken.models.model", "Model.save"),
    "marking a stage": ("harken.pipeline.run", "mark"),
    "publishing": ("harken.pipeline.run", "publish"),
    "a restored checkpoint": ("harken.train.checkpoint", "read"),
}


def tiny_recipe(*overrides: str) -> Recipe:
    return demo_recipe(0, False, "simulated", [*OVERRIDES, *overrides])


def run_tiny(folder: Path, *overrides: str, progress: Progress | None = None, resume: bool = False) -> Run:
    recipe = tiny_recipe(*overrides)
    run = Run(folder, recipe, make_world, progress)
    with run.locked():
        run.open(resume)
        run.execute(stages(recipe))
        run.finish()
    return run


def kill_at(place: str, count: int) -> None:
    """Have the COUNT-th call of a function kill this process, after the function's work was half done or done."""
    module, name = PLACES[place]
    owner: Any = importlib.import_module(module)
    *path, last = name.split(".")
    for step in path:
        owner = getattr(owner, step)
    real, calls = getattr(owner, last), 0

    def deadly(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)

    setattr(owner, last, deadly)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        kill_at(sys.argv[2], int(sys.argv[3]))
    run_tiny(Path(sys.argv[1]), resume=True)
