"""What goes between a run and the studio's store: completions to answer about, answers to learn from, and what the
model said before and after.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import func, select

from harken.data.blobs import Blobs
from harken.data.lines import lines_of
from harken.feedback.desk.keeping import NewItem
from harken.feedback.intake import answer_record
from harken.feedback.records import keepable, named_completions, prompt_from_json
from harken.feedback.schema import answers, prompts
from harken.feedback.store import FeedbackStore
from harken.studio.state import Studio
from harken.studio.teaching import TeachError
from harken.types import Completion, Prompt, Text, modality_of

FIGURES = ("prompts", "reward_before", "reward_after", "exactness_before", "exactness_after")


@dataclass(frozen=True)
class Lesson:
    """Prompts with completions of some policies, and the pairs that a run chose to ask about, where it chose."""

    prompts: tuple[Prompt, ...]
    completions: tuple[Completion, ...]
    chosen: tuple[NewItem, ...] = ()

    @property
    def policies(self) -> tuple[str, ...]:
        """Who wrote them."""
        return tuple(dict.fromkeys(completion.policy for completion in self.completions))


def rounds(run: Path, file: str) -> list[int]:
    """The rounds of a run that have left a file."""
    found = [path.parent.name for path in run.glob(f"rounds/*/{file}")]
    return sorted(int(name) for name in found if name.isdecimal())


def questions(run: Path) -> Lesson:
    """The newest completions of a run that people can be asked about, with their prompts.

    Raises:
        TeachError: if there are none yet.
    """
    done, store = rounds(run, "completions.jsonl"), run / "feedback.db"
    if not done or not store.is_file():
        raise TeachError("the run has no completions to answer about yet; wait until it waits for answers")
    made = _completions(run / f"rounds/{done[-1]}/completions.jsonl")
    asked = {completion.prompt_id for completion in made}
    with FeedbackStore(store) as opened, opened.reading() as connection:
        found = [prompt_from_json(c) for c in connection.scalars(select(prompts.c.content).order_by(prompts.c.seq))]
    about = tuple(prompt for prompt in found if prompt.id in asked)
    return Lesson(about, tuple(made), tuple(_chosen(run / f"rounds/{done[-1]}/selection.jsonl")))


def _chosen(path: Path) -> Iterator[NewItem]:
    """What active learning chose, in the order of choice; nothing where all is random."""
    if path.is_file():
        for place, line in enumerate(lines_of(path)):
            pair = json.loads(line)
            yield NewItem("comparison", pair["prompt_id"], (pair["a"], pair["b"]), float(place))


def scores(run: Path) -> dict[str, list[float]]:
    """What each head of a run's newest reward model says of the completions that people were asked about.

    Raises:
        TeachError: if it has not been trained on people's answers.
    """
    done = rounds(run, "scores.jsonl")
    if not done:
        raise TeachError("the run has no reward model yet that could say where it is unsure; train it first")
    lines = lines_of(run / f"rounds/{done[-1]}/scores.jsonl")
    return {row["completion"]: row["scores"] for row in map(json.loads, lines)}


def before_and_after(run: Path, name: str, number: int) -> Lesson:
    """What a run's model said to held-out prompts before it was taught and afterwards.

    Args:
        run: its folder.
        name: of the policies: `NAME/before`, and `NAME/after`, with the number from the second on.
        number: of the evaluation, from 1.

    Raises:
        TeachError: if the run has not been evaluated.
    """
    here = run / f"rounds/{_evaluated(run)}"
    after = f"{name}/after" + (f"-{number}" if number > 1 else "")
    policies = {"sft": f"{name}/before", "aligned": after}
    made = [
        Completion(_id(policies[c.policy], c), c.prompt_id, c.text, policies[c.policy], c.finished)
        for c in _completions(here / "answers.jsonl")
        if c.policy in policies
    ]
    lines = lines_of(here / "held_out.jsonl")
    return Lesson(tuple(prompt_from_json(json.loads(line)) for line in lines), tuple(made))


def evaluation_digest(run: Path) -> str:
    """Hash of what the newest evaluation's models said.

    Raises:
        TeachError: if the run has not been evaluated.
    """
    return hashlib.sha256((run / f"rounds/{_evaluated(run)}/answers.jsonl").read_bytes()).hexdigest()[:16]


def evaluation_of(run: Path) -> dict[str, float]:
    """What a run's newest evaluation measured, as far as it did."""
    try:
        found = json.loads((run / "evaluation.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {name: float(found[name]) for name in FIGURES if isinstance(found.get(name), int | float)}


def _evaluated(run: Path) -> int:
    done = [n for n in rounds(run, "answers.jsonl") if n in rounds(run, "held_out.jsonl")]
    if not done:
        raise TeachError("the run has not answered held-out prompts yet; train it first")
    return done[-1]


def _id(policy: str, made: Completion) -> str:
    return hashlib.sha256("\x1f".join((policy, made.id, made.prompt_id, made.text)).encode()).hexdigest()[:32]


def _completions(path: Path) -> list[Completion]:
    found = [Completion(**json.loads(line)) for line in lines_of(path)]
    return [replace(one, text=keepable(one.text)) for one in found]


def bring(studio: Studio, run: Path, lesson: Lesson) -> None:
    """Put prompts with their media, and completions, into the studio's store; what is there already must be the same.

    Raises:
        StoreError: if an id is taken by another prompt or completion.
        MediaError: if a medium of the run is missing or broken.
    """
    source = Blobs(run / "blobs")
    for prompt in lesson.prompts:
        for message in prompt.messages:
            for part in message.parts:
                if not isinstance(part, Text) and part.sha256 not in studio.blobs:
                    studio.blobs.put(source.read(part.sha256), modality_of(part))
    studio.store.add_prompts(lesson.prompts)
    studio.store.add_completions(lesson.completions)


def write_answers(studio: Studio, run: Path, path: Path) -> int:
    """Write all answers about a run's completions, amended ones too, for the run to learn from.

    Returns:
        how many they are.

    Raises:
        TeachError: if the run has no completions yet.
    """
    made = [_completions(run / f"rounds/{n}/completions.jsonl") for n in rounds(run, "completions.jsonl")]
    if not made:
        raise TeachError("the run has no completions to answer about yet; wait until it waits for answers")
    lines = list(_about(studio, {completion.id for several in made for completion in several}))
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".writing")
    draft.write_text("".join(lines), encoding="utf-8")
    draft.replace(path)
    return len(lines)


def _about(studio: Studio, known: set[str]) -> Iterable[str]:
    for answer in studio.store.answers(amended=True):
        if known.issuperset(named_completions(answer.feedback)):
            yield json.dumps(answer_record(answer), ensure_ascii=False) + "\n"


def count_answers(studio: Studio, run: Path, known: dict[Path, tuple[object, int]]) -> int:
    """How many answers there are about a run's completions now.

    Args:
        studio: whose store.
        run: its folder.
        known: what was counted before, by run; counted again only where something changed.
    """
    files = [run / f"rounds/{n}/completions.jsonl" for n in rounds(run, "completions.jsonl")]
    with studio.store.reading() as connection:
        newest = connection.scalar(select(func.max(answers.c.seq)))
    state = (newest, [file.stat().st_mtime_ns for file in files])
    if run not in known or known[run][0] != state:
        names = {completion.id for file in files for completion in _completions(file)}
        about = (names.issuperset(named_completions(answer.feedback)) for answer in studio.store.answers())
        known[run] = (state, sum(about) if names else 0)
    return known[run][1]
