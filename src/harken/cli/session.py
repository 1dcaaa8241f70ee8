"""What all verbs do: read the recipe, open the run's folder, run stages, and say in words what went wrong."""

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import torch
import typer
from rich.markup import escape
from safetensors import SafetensorError

from harken.cli.options import console, errors
from harken.cli.progress import Bars
from harken.demo.recipe import demo_recipe
from harken.demo.world import make_world
from harken.models.load import Dtype, weights_dtype
from harken.pipeline.recipe import Recipe, read_recipe
from harken.pipeline.run import InputMissing, Run, RunError, Stage
from harken.pipeline.stages import stages
from harken.train.loop import Interrupted


def said_dtype(name: str) -> torch.dtype:
    """The type of weights that --dtype names.

    Raises:
        ValueError: if it is none.
    """
    if name not in Dtype.__args__:  # type: ignore[attr-defined]
        raise ValueError(f"--dtype is one of {', '.join(Dtype.__args__)}, not {name!r}")  # type: ignore[attr-defined]
    return weights_dtype(name)  # type: ignore[arg-type]


class Stop:
    """Set by Ctrl-C: the run ends after the step, with a checkpoint. A second Ctrl-C ends it at once."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self) -> bool:
        """Whether the run should stop."""
        return self.asked

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """Remember the first signal; obey the second."""
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        errors.print("stopping after this step; Ctrl-C again stops at once")


@contextmanager
def doors(stop: Stop, again: str = "go on with --resume") -> Iterator[None]:
    """Errors become words here, and nowhere deeper; harken's own say what, where and how to mend it.

    Args:
        stop: hears of Ctrl-C.
        again: how one goes on with what was stopped.
    """
    before = signal.signal(signal.SIGINT, stop.on_signal)
    try:
        yield
    except Interrupted as stopped:
        errors.print(f"{stopped}; {again}", highlight=False, soft_wrap=True, markup=False)
        raise typer.Exit(130) from stopped
    except KeyboardInterrupt as stopped:
        errors.print(f"stopped at once; what was finished is kept: {again}", highlight=False, soft_wrap=True)
        raise typer.Exit(130) from stopped
    except (RunError, ValueError, OSError, FloatingPointError, SafetensorError, torch.OutOfMemoryError) as error:
        errors.print(f"[red]error:[/red] {escape(str(error))}", highlight=False, soft_wrap=True, markup=True)
        raise typer.Exit(2) from error
    finally:
        signal.signal(signal.SIGINT, before)


def go(make_recipe: Callable[[], Recipe], out: Path | None, resume: bool, verb: str | None = None) -> Run:
    """Run a recipe, or those of its stages that one verb names.

    Args:
        make_recipe: reads the recipe (so that its errors become words too).
        out: the run's folder; `runs/NAME` if not said.
        resume: go on with what the folder holds.
        verb: one verb's stages; the whole loop if None.
    """
    stop = Stop()
    with doors(stop):
        recipe = make_recipe()
        interactive = recipe.feedback.annotator == "me"
        if interactive and not sys.stdin.isatty():
            raise RunError("feedback.annotator=me asks at the terminal, and there is none; run it in one")
        folder = out or Path("runs") / recipe.name
        with Bars(console, interactive) as bars:
            run = Run(folder, recipe, make_world, bars, stop)
            with run.locked():
                run.open(resume, whole=verb is None)
                if verb is None:
                    run.execute(stages(recipe))
                    run.finish()
                else:
                    _execute_verb(run, _stages_of(verb, recipe))
    if verb is not None and "world" in vars(run):
        for notice in run.world.notices:
            console.print(notice, style="yellow", highlight=False)
    return run


def _stages_of(verb: str, recipe: Recipe) -> list[Stage]:
    found = stages(recipe)
    known = list(dict.fromkeys(stage.verb for stage in found))
    if verb not in known:
        raise RunError(
            f"{verb}: this recipe's model has no language head, so it answers nothing that people could compare; "
            f"its verbs are {', '.join(known)}"
        )
    return [stage for stage in found if stage.verb == verb]


def _execute_verb(run: Run, chosen: Sequence[Stage]) -> None:
    """One verb's stages of all rounds, as far as other verbs have prepared them; not even one is an error."""
    for count, stage in enumerate(chosen):
        try:
            run.execute([stage])
        except InputMissing:
            if count == 0:
                raise
            return


def go_recipe(
    recipe: Path,
    overrides: Sequence[str] | None,
    out: Path | None,
    resume: bool,
    skip_bad: bool,
    verb: str | None = None,
) -> Run:
    """Run a recipe's file: overrides as typed, and those that flags stand for; the rest as `go`."""
    said = [*(overrides or []), *(["data.skip_bad=true"] if skip_bad else [])]
    return go(lambda: read_recipe(recipe, said), out, resume, verb)


def go_demo(
    seed: int, quick: bool, annotator: str, overrides: Sequence[str] | None, out: Path | None, resume: bool
) -> Run:
    """Run the demo's recipe."""
    return go(lambda: demo_recipe(seed, quick, annotator, overrides or []), out, resume)
