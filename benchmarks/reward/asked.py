"""One arm of active learning: rounds of choosing pairs, having them answered and fitting lines to all answers."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from harken.data.seeds import derive
from harken.feedback.annotators.annotator import Annotator
from harken.feedback.queue import Staff, assign_pairs, compare
from harken.feedback.selection import Candidates, SelectionConfig, select_pairs
from harken.reward.linear import LinearConfig, LinePrior, Lines, fit_lines
from harken.reward.statements import labels_of, statements_of
from harken.reward.wording import Wording
from harken.types import Answer, Comparison, Completion, Prompt

HEADS = 16
PENALTIES = (10_000.0, 3000.0, 1000.0, 300.0, 100.0, 30.0, 10.0)


@dataclass(frozen=True)
class Task:
    """What is learnt, from whom, and how it is measured.

    Attributes:
        prompts: by id.
        completions: a row each.
        features: of the rows, (N, D).
        groups: of the rows: speakers, or prompts; left out together where the penalty is chosen.
        pairs: rows of the pairs that may be asked, (M, 2).
        annotators: who answers.
        accuracy: of scores of the rows, on what was held out.
        penalty: of the lines, on standardised features; `with_penalty` chooses it.
    """

    prompts: Mapping[str, Prompt]
    completions: Sequence[Completion]
    features: np.ndarray
    groups: Sequence[str]
    pairs: np.ndarray
    annotators: Sequence[Annotator]
    accuracy: Callable[[np.ndarray], float]
    penalty: float = math.nan


@dataclass(frozen=True)
class Arm:
    """How an arm chooses.

    Attributes:
        selection: policy and batch.
        random_share: share of each batch that is drawn at random.
        draws: another number is other draws.
    """

    selection: SelectionConfig
    random_share: float = 0.0
    draws: int = 0


@dataclass(frozen=True)
class Curve:
    """What an arm did.

    Attributes:
        answers: so many after each round.
        accuracy: on what was held out, after each round.
        ties: share of the answers that were ties or "both bad".
    """

    answers: list[int]
    accuracy: list[float]
    ties: float


def standardised(features: np.ndarray) -> np.ndarray:
    """Mean 0, spread 1."""
    spread = features.std(0)
    return (features - features.mean(0)) / np.where(spread > 1e-9, spread, 1.0)


def curve(task: Task, arm: Arm, seed: int, rounds: int) -> Curve:
    """Rounds of asking. The first batch is random, and the same for every arm of a seed."""
    features = standardised(task.features)
    asked, answers = np.empty((0, 2), dtype=np.int64), list[Answer]()
    scores = np.zeros((len(features), HEADS))
    out, first = Curve([], [], 0.0), Arm(replace(arm.selection, policy="random"))
    for turn in range(rounds):
        known = Candidates(task.pairs, scores, features, asked)
        chosen = choose(known, arm if turn else first, derive(seed, "turn", turn, arm.draws if turn else 0))
        pairs = task.pairs[chosen]
        asked = np.concatenate([asked, pairs])
        answers += said_of(task, pairs, seed)
        scores = lines_of(task, answers, seed)(torch.from_numpy(features)).numpy()
        out.answers.append(len(answers))
        out.accuracy.append(task.accuracy(scores.mean(1)))
    tied = np.mean([answer.feedback.choice in ("tie", "both_bad") for answer in answers])
    return replace(out, ties=float(tied))


def choose(known: Candidates, arm: Arm, seed: int) -> np.ndarray:
    """Places of a batch of pairs, a share of them drawn at random."""
    config, drawn = arm.selection, round(arm.random_share * arm.selection.batch)
    if config.policy == "random" or not drawn:
        return select_pairs(known, config, seed)
    first = select_pairs(known, replace(config, policy="random", batch=drawn), derive(seed, "random"))
    rest = replace(known, answered=np.concatenate([known.answered, known.pairs[first]]))
    return np.concatenate([first, select_pairs(rest, replace(config, batch=config.batch - drawn), seed)])


def said_of(task: Task, pairs: np.ndarray, seed: int) -> list[Answer]:
    """One annotator's answer to each pair; annotators get as many each."""
    who, by_id = {one.id: one for one in task.annotators}, {one.id: one for one in task.completions}
    out = []
    questions = [compare(task.completions[a], task.completions[b]) for a, b in pairs.tolist()]
    for assignment in assign_pairs(questions, Staff(sorted(who)), derive(seed, "staff")):
        annotator = who[assignment.annotator]
        said = annotator.answer(task.prompts, assignment.question, by_id)
        assert isinstance(said, Comparison), "everybody has an answer to every pair"
        out.append(Answer(assignment.key, annotator.id, annotator.kind, said))
    return out


def lines_of(
    task: Task, answers: Sequence[Answer], seed: int, heads: int = HEADS, penalties: tuple[float, ...] | None = None
) -> Lines:
    """An ensemble of lines on standardised features, from all answers."""
    by_id, row = {c.id: c for c in task.completions}, {c.id: n for n, c in enumerate(task.completions)}
    statements, _ = statements_of(answers, by_id, heads, seed)
    wording = Wording(sorted(annotator.id for annotator in task.annotators), [])
    labels = labels_of(statements, row, wording, by_id)
    config = LinearConfig(penalties=penalties or (task.penalty,), tolerance=1e-5)
    features, place = torch.from_numpy(standardised(task.features)), dict[str, int]()
    groups = [place.setdefault(name, len(place)) for name in task.groups]
    return fit_lines(features, labels, wording, config, groups, {"comparison": 1.0}, LinePrior(1.0, "penalty"))


def with_penalty(task: Task, seed: int, count: int) -> Task:
    """With the penalty under which random answers on groups that were left out are most likely."""
    pairs = np.random.default_rng(seed).permutation(task.pairs)[:count]
    return replace(task, penalty=lines_of(task, said_of(task, pairs, seed), seed, 1, PENALTIES).penalty)
