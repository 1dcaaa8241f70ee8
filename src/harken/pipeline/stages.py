"""The order of the loop: which stages a recipe has, what each reads and leaves."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from harken.data.prompts import files_of
from harken.pipeline.ask import completions_work, feedback_work
from harken.pipeline.assess import evaluation_work
from harken.pipeline.choose import chosen_pairs, scores_work, selection_work
from harken.pipeline.predicting import speaks, stages_of
from harken.pipeline.recipe import Recipe, preference_objectives, resolved
from harken.pipeline.reporting import report_work
from harken.pipeline.run import Stage
from harken.pipeline.settings import ModelConfig
from harken.pipeline.teach import Work, align_work, preferences_work, reward_work, sft

DIGITS = ("mnist", "fsdd")
"""The folders of `data.root` that `spoken_digits` reads."""
OF_PARTS = ("path", "vectors")
"""The settings of encoders that name files and folders."""


class _Plan:
    """Makes the stages of one round.

    Args:
        recipe: the recipe.
        round_: which round, from 1.
        sources: what prompts are made of, outside the run.
    """

    def __init__(self, recipe: Recipe, round_: int, sources: tuple[Path, ...]):
        self.sources = sources
        self.plain = resolved(recipe)
        self.round = round_
        self.here = f"rounds/{round_}"
        self.newest = round_ == recipe.rounds
        self.policy = "sft" if round_ == 1 else f"rounds/{round_ - 1}/aligned"
        self.from_preferences = recipe.algorithm["name"] in preference_objectives()
        # Without rollouts there is no environment's reward to leave out.
        environment = recipe.align.rollout.mix.environment and not self.from_preferences
        self.arms = ("aligned", "human_only") if recipe.align.human_only and environment else ("aligned",)

    def settings(self, *names: str) -> dict[str, Any]:
        """Parts of the recipe."""
        return {name: self.plain[name] for name in names}

    def stage(self, verb: str, output: str, inputs: tuple[str, ...], settings: Any, work: Work, *more: str) -> Stage:
        """A stage that leaves `output` (and `more`), named after it; the newest round's is shown at the top."""
        name = output.split(".", maxsplit=1)[0]
        shown = self.newest and output in {"reward", "aligned", "evaluation.json", "report.html"}
        published = {f"{self.here}/{output}": output} if shown else {}
        outputs = tuple(f"{self.here}/{made}" for made in (output, *more))
        reads = self.sources if "data" in settings else ()
        return Stage(f"{self.here}/{name}", verb, outputs, inputs, settings, work, published, reads)

    def ask(self) -> list[Stage]:
        """Completions and feedback."""
        here, earlier = self.here, tuple(f"rounds/{r}/feedback" for r in range(1, self.round))
        answer = completions_work(self.round, self.policy)
        about = (f"{here}/completions", *earlier)
        ask, settings = feedback_work(self.round), self.settings("data", "feedback")
        config = self.plain["feedback"]
        more = ("judge.json",) if config["annotator"] == "judge" else ()
        out = [self.stage("collect", "completions.jsonl", (self.policy,), self.settings("data", "completions"), answer)]
        if config["select"]["policy"] != "random":
            known = tuple(f"rounds/{r}/{made}" for r in range(1, self.round) for made in ("completions", "feedback"))
            newest = (f"rounds/{self.round - 1}/reward",) if self.round > 1 else ()
            share, split = self.plain["completions"]["held_out"], self.plain["reward"]["split"]
            held = {"held_out": share, "split": split, **settings}
            choose = selection_work(self.round)
            out.append(self.stage("collect", "selection.jsonl", (f"{here}/completions", *known, *newest), held, choose))
            ask = feedback_work(self.round, partial(chosen_pairs, round_=self.round))
            about = (*about, f"{here}/selection")
        told = self.stage("collect", "feedback.jsonl", about, settings, ask, *more)
        if config["answers"] is not None:
            told = replace(told, reads=(*told.reads, Path(config["answers"])))
        return [*out, told]

    def teach(self) -> list[Stage]:
        """The reward model, and the policies moved towards it, or towards what was said."""
        here = self.here
        settings = {"reward": self.plain["reward"], "held_out": self.plain["completions"]["held_out"]}
        inputs = (self.policy, f"{here}/feedback")
        out = [self.stage("reward", "reward", inputs, settings, reward_work(self.round, self.policy))]
        if self.plain["feedback"]["answers"] is not None:
            # People answer elsewhere, and can be asked first where the heads differ.
            known, held = (f"{here}/completions", f"{here}/reward"), {**self.settings("data"), **settings}
            out.append(self.stage("reward", "scores.jsonl", known, held, scores_work(self.round)))
        if self.from_preferences:
            split = self.plain["reward"]["split"]
            settings = {"held_out": settings["held_out"], "split": split, **self.settings("data", "algorithm", "align")}
            work = preferences_work(self.round, self.policy)
            needed = ("sft", self.policy, f"{here}/feedback")
            return [*out, self.stage("align", "aligned", needed, settings, work, "aligned.samples.jsonl")]
        for arm in self.arms:
            work = align_work(self.round, self.policy, human_only=arm == "human_only")
            needed = ("sft", self.policy, f"{here}/reward")
            settings = self.settings("data", "algorithm", "align")
            out.append(self.stage("align", arm, needed, settings, work, f"{arm}.samples.jsonl"))
        return out

    def assess(self) -> list[Stage]:
        """Evaluation and report."""
        made = tuple(f"{self.here}/{name}" for name in ("feedback", "reward", *self.arms))
        settings = self.settings("data", "evaluation")
        work = evaluation_work(self.round, self.arms, self.policy)
        report = report_work(self.round)
        return [
            self.stage(
                "evaluate", "evaluation.json", ("sft", *made), settings, work, "answers.jsonl", "held_out.jsonl"
            ),
            self.stage("report", "report.html", (f"{self.here}/evaluation", *made), self.plain, report),
        ]


def sources_of(recipe: Recipe) -> tuple[Path, ...]:
    """The files and folders of a user's own that prompts are made of: what is in them counts, not their names alone."""
    data = recipe.data
    named = [Path(name) for name in (data.prompts, data.test) if name is not None]
    folders = [Path(data.root) / name for name in DIGITS] if data.root is not None else []
    return (*folders, *(file for path in named if path.is_file() for file in files_of(path)))


def begun_from(model: ModelConfig) -> tuple[Path, ...]:
    """The files and folders that a model to begin with is read from: its own, and those that its parts name."""
    if model.path is not None:
        named = [model.path]
    else:
        parts = [said for said in model.encoders.values() if said is not None]
        named = [said[key] for said in parts for key in OF_PARTS if said.get(key) is not None]
    return tuple(Path(name) for name in (*named, model.speech_to_text) if name is not None)


def stages(recipe: Recipe) -> list[Stage]:
    """All stages of a recipe, in order."""
    plain = resolved(recipe)
    settings = {name: plain[name] for name in ("data", "model", "sft")}
    sources = sources_of(recipe)
    begun = begun_from(recipe.model)
    if not speaks(recipe.model):
        return stages_of(plain, (*sources, *begun))
    out = [Stage("sft", "sft", ("sft",), (), settings, sft, reads=(*sources, *begun))]
    for round_ in range(1, recipe.rounds + 1):
        plan = _Plan(recipe, round_, sources)
        out += [*plan.ask(), *plan.teach(), *plan.assess()]
    return out
