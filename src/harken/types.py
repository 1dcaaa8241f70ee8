"""The records that rooms exchange. Standard library only, so that every room can read them.

A prompt is a conversation whose messages have parts: text, pictures, sounds, numbers. Media are named by the
SHA-256 of their bytes; the bytes lie in a `harken.data.blobs.Blobs` folder. A completion is one answer to
a prompt. Feedback is what somebody said of completions; an `Answer` is that statement in its envelope:
who said it, when, and the key that makes sending it twice harmless.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

JSON = None | bool | int | float | str | list[Any] | dict[str, Any]
"""Plain data. Not recursive: beartype cannot resolve a recursive alias that is used in other modules."""


@dataclass(frozen=True, slots=True)
class Text:
    """Words."""

    text: str


@dataclass(frozen=True, slots=True)
class Image:
    """A picture, named by the SHA-256 (hex) of its encoded bytes."""

    sha256: str


@dataclass(frozen=True, slots=True)
class Audio:
    """A sound, named by the SHA-256 (hex) of its encoded bytes."""

    sha256: str


@dataclass(frozen=True, slots=True)
class Numbers:
    """A vector or a time series, named by the SHA-256 (hex) of the CSV text that it is kept as."""

    sha256: str


Medium = Image | Audio | Numbers
Part = Text | Medium
Modality = Literal["image", "audio", "numbers"]
Role = Literal["system", "user", "assistant"]


MEDIA: dict[Modality, type[Image] | type[Audio] | type[Numbers]] = {"image": Image, "audio": Audio, "numbers": Numbers}
"""The part of each modality; its order is that in which modalities are listed everywhere."""
MODALITIES: dict[type, Modality] = {part: modality for modality, part in MEDIA.items()}


def modality_of(part: Medium) -> Modality:
    """What kind of medium a part is."""
    return MODALITIES[type(part)]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Prompt:
    """A conversation that waits for an answer.

    Attributes:
        id: unique within a run.
        messages: the turns; the last one is the user's.
        references: answers known to be good, for demonstrations and for BLEU and ROUGE.
        facts: what a rule can check about an answer (`harken.reward.rules` says which keys it reads).
    """

    id: str
    messages: tuple[Message, ...]
    references: tuple[str, ...] = ()
    facts: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Completion:
    """One answer to a prompt.

    Attributes:
        id: unique within a run; says nothing of the model (annotators may see it).
        prompt_id: the prompt that it answers.
        text: the answer.
        policy: who wrote it: the name of a policy, or `annotator:NAME` for a revision.
        finished: whether it ended by itself, and not because it ran out of room.
    """

    id: str
    prompt_id: str
    text: str
    policy: str
    finished: bool = True


Choice = Literal["a", "b", "tie", "both_bad"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Of two completions, which is better. `a` and `b` are completion ids; `a` was shown first.

    Both answer `prompt_id`, unless `other_prompt_id` says that `b` answers another prompt: two recordings, each a
    prompt of its own, of which one is spoken more fluently.

    `strength` says how much better the chosen one is, where that was asked: 1 a little, 2 clearly, 3 by far.
    """

    prompt_id: str
    a: str
    b: str
    choice: Choice
    criterion: str = "overall"
    other_prompt_id: str | None = None
    strength: int | None = None


@dataclass(frozen=True, slots=True)
class Ranking:
    """Completions in order. `tiers` holds completion ids, best tier first, those within one tier tied.

    `rest` were shown and not ranked: all of them are below the last tier (a top-k ranking). A choice of one among
    several is one tier of one, and the rest.
    """

    prompt_id: str
    tiers: tuple[tuple[str, ...], ...]
    rest: tuple[str, ...] = ()
    criterion: str = "overall"


@dataclass(frozen=True, slots=True)
class Rating:
    """A grade for one completion: `score` from 1 (worst) to `levels` (best), on one criterion."""

    prompt_id: str
    completion: str
    score: int
    levels: int = 5
    criterion: str = "overall"


@dataclass(frozen=True, slots=True)
class Edit:
    """What the annotator would rather have read: `revision` is the corrected text."""

    prompt_id: str
    completion: str
    revision: str


Feedback = Comparison | Ranking | Rating | Edit
AnnotatorKind = Literal["human", "simulated", "model"]


@dataclass(frozen=True, slots=True)
class Answer:
    """One statement of one annotator.

    Attributes:
        key: idempotency key: the store keeps the first answer of a key and returns it for every repeat.
        annotator: the annotator's id.
        annotator_kind: a person, a simulation or a model; kept for ever and shown everywhere.
        feedback: what was said.
        seconds: how long the annotator took, if known.
        amends: key of an earlier answer that this one replaces (the earlier one stays in the store).
        count: how many people said this, where the annotator is a crowd whose members are not told apart.
    """

    key: str
    annotator: str
    annotator_kind: AnnotatorKind
    feedback: Feedback
    seconds: float | None = None
    amends: str | None = None
    count: int = 1
