"""The stages that ask: completions of the policy, people's feedback on them."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from harken.data.blobs import Blobs
from harken.data.encoded import EncodedPrompts
from harken.data.lines import lines_of
from harken.data.seeds import derive
from harken.feedback.annotators.annotator import Annotator
from harken.feedback.annotators.human import HumanAnnotator
from harken.feedback.annotators.judge import JudgeAnnotator
from harken.feedback.exchange.parcel import answer_from_json
from harken.feedback.position_bias import JudgeReport
from harken.feedback.queue import Compare
from harken.feedback.records import named_completions, prompt_from_json, prompt_to_json
from harken.feedback.store import FeedbackStore
from harken.pipeline.artefact import write_text
from harken.pipeline.roles import load_as
from harken.pipeline.run import Run, RunError
from harken.pipeline.teach import Work
from harken.pipeline.verbs import ask
from harken.train.answering import Sampling, sample_completions
from harken.train.loop import Interrupted
from harken.types import Answer, Completion, Prompt, Text, modality_of

HELD_OUT = "held_out.jsonl"
"""The prompts that an evaluation was of, beside its figures."""


def completions_work(round_: int, policy: str) -> Work:
    """Have a policy answer the prompts that people will be asked about."""

    def work(run: Run, key: str) -> None:
        config, stage = run.recipe.completions, f"rounds/{round_}/completions"
        model = load_as(run.folder / policy, run.recipe.model)
        prompts = run.world.prompts[: config.prompts]
        name = f"{run.recipe.name}/round-{round_}/{policy.rsplit('/', maxsplit=1)[-1]}"

        def on_batch(done: int) -> None:
            run.progress.advance(stage, done, len(prompts))
            run.end_if_asked(stage)

        how = Sampling(name, config.each, config.decoding, derive(run.recipe.seed, stage))
        made = sample_completions(model, prompts, EncodedPrompts(model.processor, run.blobs), how, on_batch)
        write_completions(run, f"rounds/{round_}/completions.jsonl", made)

    return work


def write_completions(run: Run, name: str, completions: Sequence[Completion]) -> None:
    """One completion a line."""
    fields = ("id", "prompt_id", "text", "policy", "finished")
    lines = [json.dumps({f: getattr(c, f) for f in fields}, ensure_ascii=False) + "\n" for c in completions]
    write_text(run.folder / name, "".join(lines))


def write_prompts(run: Run, name: str, prompts: Sequence[Prompt]) -> None:
    """One prompt a line, its media by hash."""
    lines = [json.dumps(prompt_to_json(prompt), ensure_ascii=False) + "\n" for prompt in prompts]
    write_text(run.folder / name, "".join(lines))


def read_held_out(folder: Path, blobs: Blobs) -> list[Prompt]:
    """The prompts that a run's newest evaluation held out; their media go into `blobs`.

    Raises:
        RunError: if the folder is no run's, or nothing in it was evaluated yet.
    """
    found = sorted(folder.glob(f"rounds/*/{HELD_OUT}"), key=lambda path: int(path.parent.name))
    found = found or list(folder.glob(HELD_OUT))  # heads alone are judged once
    if not found:
        raise RunError(
            f"{folder} holds no held-out prompts (rounds/N/{HELD_OUT}; of heads alone {HELD_OUT}); name the "
            "folder of a run after `harken evaluate` (with --resume, where an older harken evaluated it), or a file"
        )
    prompts = [prompt_from_json(json.loads(line)) for line in lines_of(found[-1])]
    kept = Blobs(folder / "blobs")
    for part in (part for prompt in prompts for message in prompt.messages for part in message.parts):
        if not isinstance(part, Text):
            blobs.put(kept.read(part.sha256), modality_of(part))
    return prompts


def read_completions(run: Run, name: str) -> list[Completion]:
    """What `write_completions` wrote."""
    return [Completion(**json.loads(line)) for line in lines_of(run.folder / name)]


def annotators_of(run: Run, round_: int) -> list[Annotator]:
    """Who answers: the person at the terminal, a model, or the world's simulated annotators.

    Raises:
        RunError: if the world has no simulated annotators.
        ValueError: if the environment variable of a judge's key is not set.
    """
    config = run.recipe.feedback
    if config.annotator == "me":
        return [HumanAnnotator("me", run.blobs)]
    if config.judge is not None and config.annotator == "judge":
        return [JudgeAnnotator(config.judge, run.blobs, run.folder / f"rounds/{round_}/judge.jsonl")]
    if not run.world.annotators:
        raise RunError(
            "these prompts have no simulated annotators (only the demo's worlds have); say feedback.annotator=me "
            "to answer in the terminal, or feedback.annotator=judge to have a model answer"
        )
    return list(run.world.annotators)


def report_judge(run: Run, round_: int, report: JudgeReport) -> None:
    """Keep what a judge did, and say it: whether it goes by position above all."""
    write_text(
        run.folder / f"rounds/{round_}/judge.json", json.dumps(report.to_json(), indent=1, ensure_ascii=False) + "\n"
    )
    run.progress.say(report.text())


def take_answers(run: Run, store: FeedbackStore, completions: Sequence[Completion], path: Path) -> None:
    """Take what people said elsewhere of the run's completions; what they said of others is counted and left out.

    Args:
        run: told of what was left out.
        store: the run's, which holds the completions of this round and of those before.
        completions: of this round; without an answer about them there is nothing to go on with.
        path: the answers, one a line.

    Raises:
        Interrupted: if nobody has answered yet: the run waits.
        RunError: if a line is no answer.
    """
    given = read_answers(path) if path.is_file() else []
    known, asked = {c.id for c in store.completions()}, {c.id for c in completions}
    about = [answer for answer in given if known.issuperset(named_completions(answer.feedback))]
    if not any(asked.intersection(named_completions(answer.feedback)) for answer in about):
        raise Interrupted(
            f"{run.folder / 'feedback.db'} holds {len(completions)} new completions that people can be asked about, "
            f"and the run waits for their answers in {path}"
        )
    if len(about) < len(given):
        run.progress.say(
            f"{len(given) - len(about)} of {len(given)} answers in {path} speak of other completions and are left out"
        )
    store.add_answers(about)


def read_answers(path: Path) -> list[Answer]:
    """Answers, one a line, as a store writes them (`seq`, which the studio adds, is read over).

    Raises:
        RunError: naming the first line that is none.
    """
    out = []
    for number, line in enumerate(lines_of(path), 1):
        try:
            said = json.loads(line)
            out.append(answer_from_json({key: value for key, value in said.items() if key != "seq"}))
        except (ValueError, AttributeError) as error:
            raise RunError(
                f"{path}, line {number}: {error}; write answers as rounds/1/feedback.jsonl has them"
            ) from error
    return out


def feedback_work(round_: int, chosen: Callable[[Run], Sequence[Compare]] | None = None) -> Work:
    """Ask people, or the world's simulated annotators, about a round's completions.

    Args:
        round_: which.
        chosen: the pairs to compare, where they are not random.
    """

    def work(run: Run, key: str) -> None:
        stage = f"rounds/{round_}/feedback"
        completions = read_completions(run, f"rounds/{round_}/completions.jsonl")
        used = {completion.prompt_id for completion in completions}
        prompts = [prompt for prompt in run.world.prompts if prompt.id in used]

        def on_answer(done: int, total: int) -> None:
            run.progress.advance(stage, done, total)
            if run.stop():
                raise Interrupted(f"{stage} stopped after {done} of {total} questions; every answer is kept")

        with FeedbackStore(run.folder / "feedback.db") as store:
            seed = derive(run.recipe.seed, stage)
            store.add_prompts(prompts)
            store.add_completions(completions)
            if run.recipe.feedback.answers is not None:
                take_answers(run, store, completions, Path(run.recipe.feedback.answers))
                store.export_jsonl(run.folder / f"rounds/{round_}/feedback.jsonl")
                return
            annotators = annotators_of(run, round_)
            pairs = None if chosen is None else chosen(run)
            report = ask(store, completions, annotators, run.recipe.feedback, seed, on_answer, pairs)
            if report.stopped:
                raise Interrupted(f"{stage} stopped; every answer is kept")
            for annotator in annotators:
                if isinstance(annotator, JudgeAnnotator):
                    report_judge(run, round_, annotator.report())
            if not store.answers():
                raise RunError("nobody answered anything, so there is nothing to learn from; run `collect` again")
            store.export_jsonl(run.folder / f"rounds/{round_}/feedback.jsonl")

    return work
