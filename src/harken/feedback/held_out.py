"""What people said, divided into what is learnt from and what only measures; and what stands on both sides."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from harken.data.clean import Leak, leaks, tied
from harken.data.seeds import derive
from harken.types import Answer, Comparison, Modality, Prompt

PROMPT, MEDIA, ANNOTATOR = "prompt", "media", "annotator"
ALWAYS = ("messages", *get_args(Modality), ANNOTATOR)
NAMED = 3


@dataclass(frozen=True)
class SplitConfig:
    """How feedback is divided, and what may stand on both sides.

    Attributes:
        by: what is held out together: `prompt`; `media` (prompts that share words or a medium); or a fact of
            prompts, such as `speaker`, and what shares media with it.
        facts: facts of prompts that must not have one value on both sides, where prompts have them.
        allow: what may: `messages`, `image`, `audio`, `numbers`, `annotator`, or one of `facts`. By default annotators:
            in the loop the same few people answer in every round, and the reward is asked about new prompts, not new
            people.
    """

    by: str = PROMPT
    facts: tuple[str, ...] = ("speaker",)
    allow: tuple[str, ...] = (ANNOTATOR,)

    def __post_init__(self) -> None:
        known = (*ALWAYS, *self.facts)
        for name in self.allow:
            if name not in known:
                raise ValueError(f"split.allow: one of {', '.join(known)}, not {name!r}")


class LeakageError(ValueError):
    """What is measured stands among what is learnt from."""


@dataclass(frozen=True)
class Divided:
    """Answers on either side.

    Attributes:
        learnt: what is learnt from.
        measured: what only measures.
        astride: comparisons of a held-out prompt with one that is learnt from: on neither side.
    """

    learnt: tuple[Answer, ...]
    measured: tuple[Answer, ...]
    astride: int = 0


def held_out_prompts(prompts: Sequence[Prompt], share: float, seed: int, by: str = PROMPT) -> set[str]:
    """Ids of prompts whose feedback only measures; where one goes depends on its name or what it hangs together with.

    Args:
        prompts: all that feedback speaks of.
        share: of them, on average.
        seed: of the draw.
        by: as in `SplitConfig`.

    Raises:
        ValueError: if a prompt lacks the fact that is to be held out by.
    """
    names = {prompt.id: prompt.id for prompt in prompts}
    if by == MEDIA:
        names = tied(prompts)
    elif by != PROMPT:
        lacking = next((prompt.id for prompt in prompts if by not in prompt.facts), None)
        if lacking is not None:
            raise ValueError(
                f"split.by: prompt {lacking!r} has no fact {by!r}; name one that all have, or prompt, media"
            )
        names = tied(prompts, lambda prompt: str(prompt.facts[by]))
    return {name for name, group in names.items() if derive(seed, "held out", group) % 10_000 < share * 10_000}


def divide(answers: Iterable[Answer], held: Collection[str]) -> Divided:
    """Answers by whether their prompts are held out."""
    sides: dict[bool, list[Answer]] = {True: [], False: []}
    astride = 0
    for answer in answers:
        places = {name in held for name in prompts_of(answer)}
        if len(places) > 1:
            astride += 1
        else:
            sides[places.pop()].append(answer)
    return Divided(tuple(sides[False]), tuple(sides[True]), astride)


def prompts_of(answer: Answer) -> tuple[str, ...]:
    """Ids of the prompts that an answer speaks of: two for a comparison across prompts."""
    match answer.feedback:
        case Comparison(prompt_id=one, other_prompt_id=str() as other):
            return (one, other)
    return (answer.feedback.prompt_id,)


def shared(
    learnt: Iterable[Answer], measured: Iterable[Answer], prompts: Mapping[str, Prompt], facts: Sequence[str] = ()
) -> list[Leak]:
    """What stands on both sides: the same messages (the same prompt, therefore), medium, value of a fact, or annotator.

    Args:
        learnt: answers that are learnt from.
        measured: answers that measure.
        prompts: by id.
        facts: those that must not be shared.
    """
    sides = [list(learnt), list(measured)]
    left, right = (dict.fromkeys(name for answer in side for name in prompts_of(answer)) for side in sides)
    found = leaks([prompts[name] for name in left], [prompts[name] for name in right], facts)
    said = [{answer.annotator: prompts_of(answer)[0] for answer in reversed(side)} for side in sides]
    both = sorted(said[0].keys() & said[1].keys())
    return found + [Leak(ANNOTATOR, name, (said[0][name],), (said[1][name],)) for name in both]


def refuse_leaks(found: Iterable[Leak], allow: Collection[str], how: str) -> None:
    """Refuse what stands on both sides and was not allowed to.

    Args:
        found: what does.
        allow: kinds of it that may.
        how: how to mend it, for the error; `{}` stands for the kinds that would have to be allowed.

    Raises:
        LeakageError: how much of each kind, with examples.
    """
    bad = [leak for leak in found if leak.what not in allow]
    if not bad:
        return
    counts = Counter(leak.what for leak in bad)
    many = ", ".join(f"{what} {count}" for what, count in sorted(counts.items()))
    shown = "; ".join(
        f"{leak.what} {leak.key[:16]!r} in {leak.train[0]!r} and in {leak.test[0]!r}"
        for leak in [next(leak for leak in bad if leak.what == what) for what in sorted(counts)][:NAMED]
    )
    raise LeakageError(
        f"what is held out was learnt from, so that figures on it would flatter ({many} on both sides): "
        f"{shown} (held out); {how.format(', '.join([*sorted(allow), *sorted(counts)]))}"
    )
