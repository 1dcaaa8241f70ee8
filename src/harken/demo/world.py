"""Worlds by name: what `data.name` of a recipe says."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8

from harken.data.blobs import Blobs
from harken.data.clean import leaks, split
from harken.data.prompts import PromptError, load_prompts
from harken.data.seeds import derive
from harken.demo import digits, spoken_digits, voices
from harken.demo.annotators import annotators
from harken.demo.gold import gold
from harken.demo.manners import MANNERS
from harken.demo.tasks import LARGEST_ADDEND, QUESTIONS, Maker, Source
from harken.pipeline.predicting import speaks
from harken.pipeline.recipe import Recipe, RecipeError
from harken.pipeline.settings import DataConfig
from harken.pipeline.world import World
from harken.types import Prompt, Text

SIMULATED = "The annotators of this run are simulated: three programs that follow one hidden rule with noise."
CORPUS = 2_000


@dataclass(frozen=True)
class DemoSource:
    """Scans of scikit-learn's digits, and a synthesiser's voices."""

    speaks: bool
    rate: int = voices.RATE
    digits: int = 3

    def picture(self, number: str, test: bool, rng: np.random.Generator) -> UInt8[np.ndarray, "H W 3"]:
        """Scans of a number's digits, side by side."""
        return digits.picture(number, test, rng)

    def sound(self, number: str, test: bool, rng: np.random.Generator) -> Float32[np.ndarray, " S"]:
        """A number said by a training voice or a test voice."""
        return voices.spoken(number, voices.TEST_VOICES if test else voices.TRAIN_VOICES, rng)


def make_world(recipe: Recipe, blobs: Blobs) -> World:
    """The task of a recipe, its media put into `blobs`.

    Raises:
        RecipeError: if the recipe lacks what its world needs.
        FileNotFoundError: if data are not where the recipe says.
    """
    worlds: dict[str, Callable[[Recipe, Blobs], World]] = {
        "demo": _demo,
        "spoken_digits": _spoken_digits,
        "prompts": _prompts,
    }
    return worlds[recipe.data.name](recipe, blobs)


def _demo(recipe: Recipe, blobs: Blobs) -> World:
    try:
        voices.digits()
    except voices.VoiceUnavailable as missing:
        return _world(DemoSource(speaks=False), recipe, blobs, f"Sound is left out: {missing}.")
    return _world(DemoSource(speaks=True), recipe, blobs)


def _spoken_digits(recipe: Recipe, blobs: Blobs) -> World:
    if recipe.data.root is None:
        raise RecipeError("data.root: say where mnist and fsdd lie, such as data.root=../shared/data")
    return _world(spoken_digits.load(Path(recipe.data.root)), recipe, blobs)


def _world(source: Source, recipe: Recipe, blobs: Blobs, *notices: str) -> World:
    config, maker = recipe.data, Maker(source, blobs, recipe.seed)
    shown = [maker.make("demonstration", i, test=False) for i in range(config.demonstrations)]
    demonstrations = tuple((prompt, _said(prompt, recipe.seed)) for prompt in shown)
    return World(
        demonstrations=demonstrations,
        prompts=tuple(maker.make("ask", i, test=False) for i in range(config.ask)),
        test=tuple(maker.make("test", i, test=True) for i in range(config.held_out)),
        annotators=annotators(recipe.seed),
        gold=gold,
        corpus=corpus(recipe.seed, demonstrations),
        notices=(*_annotated(recipe), *notices),
    )


def _annotated(recipe: Recipe) -> tuple[str, ...]:
    """Who annotates, where that is not a person, and where anybody does."""
    if not speaks(recipe.model):
        return ()
    judge = recipe.feedback.judge
    if recipe.feedback.annotator == "judge" and judge is not None:
        return (f"The annotator of this run is a model, {judge.model}, and not a person.",)
    return (SIMULATED,) if recipe.feedback.annotator == "simulated" else ()


def _said(prompt: Prompt, seed: int) -> str:
    """A true answer in one manner of many."""
    rng = np.random.default_rng(derive(seed, "manner", prompt.id))
    weights = np.array([manner.weight for manner in MANNERS])
    manner = MANNERS[int(rng.choice(len(MANNERS), p=weights / weights.sum()))]
    return manner.write(str(prompt.facts["statement"]))


def corpus(seed: int, demonstrations: tuple[tuple[Prompt, str], ...]) -> tuple[str, ...]:
    """Texts of questions and answers, for the tokenizer."""
    questions = [text for options in QUESTIONS.values() for text in options] + [
        f"Add {n}." for n in range(LARGEST_ADDEND + 1)
    ]
    answers = [text for _, text in demonstrations[:CORPUS]]
    return (*questions * max(1, len(answers) // 100), *answers)


def _prompts(recipe: Recipe, blobs: Blobs) -> World:
    """Prompts of JSONL files: references are demonstrations; people annotate, and nothing is simulated."""
    config = recipe.data
    if config.prompts is None:
        raise RecipeError("data.prompts: name the JSONL of prompts, such as data.prompts=prompts.jsonl")
    notices = [notice for notice in _annotated(recipe) if notice != SIMULATED]
    asked = _read(config, config.prompts, blobs, notices)
    if config.test is not None:
        held_out = _read(config, config.test, blobs, notices)
    else:
        try:
            parts = split(asked, {"ask": 0.9, "test": 0.1})
        except ValueError as error:
            raise RecipeError(f"{config.prompts}: {error}; or name held-out prompts: data.test=FILE") from error
        asked, held_out = parts["ask"], parts["test"]
    shared = leaks(asked, held_out)
    if shared:
        notices.append(
            f"{len(shared)} media or texts of held-out prompts are in the training prompts too: {shared[0]}."
        )
    demonstrations = tuple((prompt, text) for prompt in asked for text in prompt.references)
    said = tuple(p.text for prompt in asked for m in prompt.messages for p in m.parts if isinstance(p, Text))
    texts = (*said, *(text for _, text in demonstrations))
    return World(demonstrations, tuple(asked), tuple(held_out), corpus=texts, notices=tuple(notices))


def _read(config: DataConfig, name: str, blobs: Blobs, notices: list[str]) -> list[Prompt]:
    skipped: list[PromptError] = []
    found = load_prompts(Path(name), blobs, skip_bad=config.skip_bad, on_skip=skipped.append)
    if skipped:
        notices.append(f"{len(skipped)} bad records of {name} were left out: " + "; ".join(str(e) for e in skipped[:5]))
    return found
