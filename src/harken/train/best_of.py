"""The best of n completions: at answering time, and as demonstrations to learn from (rejection sampling)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from harken.data.processor import Processor
from harken.data.seeds import derive
from harken.models.generate import Decoding
from harken.train.sampler import Sampler
from harken.train.scorer import Scorer
from harken.types import Completion, Prompt


@dataclass(frozen=True)
class Draws:
    """How completions are drawn.

    Attributes:
        n: completions a prompt.
        decoding: how they are sampled.
        seed: of all draws.
        batch: prompts at a time; another number draws others.
    """

    n: int
    decoding: Decoding
    seed: int
    batch: int = 16

    def __post_init__(self) -> None:
        if min(self.n, self.batch) < 1:
            raise ValueError(f"there is at least one completion a prompt, and one prompt at a time: {self}")


@dataclass(frozen=True)
class Scored:
    """A completion, its prompt and its score."""

    prompt: Prompt
    completion: Completion
    score: float


def draw(
    sampler: Sampler, processor: Processor, scorer: Scorer, prompts: Sequence[Prompt], how: Draws
) -> list[list[Scored]]:
    """`how.n` completions of each prompt with their scores, best first; of equal ones the first drawn comes first.

    Args:
        sampler: who answers.
        processor: the answering model's; reads its ids.
        scorer: who says what an answer is worth, as at the end of training.
        prompts: what is asked.
        how: how many, and how.
    """
    out: list[list[Scored]] = []
    for start in range(0, len(prompts), how.batch):
        part = prompts[start : start + how.batch]
        rows = torch.arange(len(part)).repeat_interleave(how.n)
        sampled = sampler.sample(part, rows, how.decoding, derive(how.seed, "best of", start))
        completions = [
            Completion(
                f"{derive(how.seed, 'best of', part[row].id, n % how.n):016x}",
                part[row].id,
                processor.decode(ids),
                f"best_of_{how.n}",
                bool(sampled.finished[n]),
            )
            for n, (row, ids) in enumerate(zip(rows.tolist(), sampled.ids, strict=True))
        ]
        scores = scorer(part, completions, rows.tolist(), 1.0).total.tolist()
        for row, prompt in enumerate(part):
            mine = slice(row * how.n, (row + 1) * how.n)
            group = [Scored(prompt, c, s) for c, s in zip(completions[mine], scores[mine], strict=True)]
            out.append(sorted(group, key=lambda scored: -scored.score))
    return out


def best_of_n(
    sampler: Sampler, processor: Processor, scorer: Scorer, prompts: Sequence[Prompt], how: Draws
) -> list[Scored]:
    """The best of `how.n` completions of each prompt (2009.01325; 2112.09332, section 3.2).

    Arguments as in `draw`.
    """
    return [group[0] for group in draw(sampler, processor, scorer, prompts, how)]


@dataclass(frozen=True)
class Selection:
    """Which of the drawn completions become demonstrations.

    Attributes:
        each: at most so many of a prompt, best first; 1 is RAFT (2304.06767, algorithm 1). No text is taken twice for
            one prompt (2308.01825, RFT, which learns from all right answers that differ).
        quantile: a score must reach this quantile of all scores, from 0 (every score does) to 1.
        above: a score must be above this number; None for no such bound. With a verifiable reward, 0 takes what is
            right, as RFT does.
    """

    each: int = 1
    quantile: float = 0.0
    above: float | None = None

    def __post_init__(self) -> None:
        if self.each < 1 or not 0 <= self.quantile <= 1:
            raise ValueError(f"a selection takes at least 1 of each prompt, and a quantile is from 0 to 1: {self}")


def demonstrations(drawn: Sequence[Sequence[Scored]], selection: Selection) -> list[tuple[Prompt, str]]:
    """Prompts with the answers to learn from, as `train.sources.Demonstrations` takes them: rejection-sampling SFT.

    A completion that ran out of room is never taken: a demonstration ends with the end of the turn, and this one did
    not. Prompts of which nothing is good enough are left out.

    Args:
        drawn: of each prompt its completions, best first (`draw`).
        selection: which are good enough.

    Raises:
        ValueError: if none is.
    """
    scores = torch.tensor([scored.score for group in drawn for scored in group], dtype=torch.float64)
    least = float(scores.quantile(selection.quantile)) if len(scores) else 0.0
    out: list[tuple[Prompt, str]] = []
    for group in drawn:
        good = [
            scored
            for scored in group
            if scored.completion.finished
            and scored.score >= least
            and (selection.above is None or scored.score > selection.above)
        ]
        texts = dict.fromkeys(scored.completion.text for scored in good)
        out += [(group[0].prompt, text) for text in list(texts)[: selection.each]]
    if not out:
        raise ValueError(
            f"none of {len(scores)} completions is finished and good enough for {selection}; draw more of each prompt, "
            "allow more tokens, or ask for less"
        )
    return out
