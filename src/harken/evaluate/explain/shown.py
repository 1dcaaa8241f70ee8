"""An explanation as a page shows it: words, numbers and small pictures. No torch."""

from collections.abc import Sequence
from dataclasses import dataclass

from harken.evaluate.embed import Embedded, embed

Part = str | bytes
MINUS = "\u2212"
LEAST = 0.05
"""Nats a token, or spreads of a score: what is smaller than this, all together, is not painted in full colour."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one modality added.

    Attributes:
        name: of the modality.
        value: its Shapley value, in the target's unit.
    """

    name: str
    value: float

    @property
    def signed(self) -> str:
        """The value as people read it."""
        return signed(self.value)


@dataclass(frozen=True, slots=True)
class Map:
    """One picture of heat or attention.

    Attributes:
        title: what it shows.
        picture: PNG.
        alt: the same in words, for who does not see it.
        note: a figure below it.
    """

    title: str
    picture: bytes
    alt: str
    note: str = ""

    @property
    def embedded(self) -> Embedded:
        """For the page."""
        return embed(self.picture)


@dataclass(frozen=True, slots=True)
class Word:
    """A piece of the prompt's text, as the tokenizer cuts it.

    Attributes:
        text: the piece.
        heat: by integrated gradients.
        shade: how strongly it is painted, -1 to 1.
        attention: the share of the rollout; None where the model tells none.
    """

    text: str
    heat: float
    shade: float
    attention: float | None = None

    @property
    def signed(self) -> str:
        """The heat as people read it."""
        return signed(self.heat)


@dataclass(frozen=True, slots=True)
class View:
    """One number of one answer, taken apart.

    Attributes:
        title: what is asked.
        scale: of views of one scale bars can be compared.
        unit: of all values.
        value: with all of the prompt.
        blank: with all of it blanked.
        extra: another figure of the value, such as the sum over tokens.
        shares: of each modality.
        coalitions: what was left in, and the value then; every coalition.
        maps: heat and attention, on pictures and sounds.
        words: the prompt's words with their heat.
        word_note: a figure below the words.
        notes: what could not be shown, and why.
    """

    title: str
    scale: str
    unit: str
    value: float
    blank: float
    extra: str
    shares: tuple[Share, ...]
    coalitions: tuple[tuple[str, str], ...]
    maps: tuple[Map, ...] = ()
    words: tuple[Word, ...] = ()
    word_note: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Explained:
    """One answer, explained.

    Attributes:
        prompt: its words and media.
        answer: the answer.
        by: who wrote it.
        prompt_id: of the prompt.
        views: of the policy, of the reward model, or of both.
        task: what the prompt is about, if it says so.
    """

    prompt: tuple[Part, ...]
    answer: str
    by: str
    prompt_id: str
    views: tuple[View, ...]
    task: str = ""


def longest_bars(explained: Sequence[Explained]) -> dict[str, float]:
    """The longest bar of each scale on a page, so that bars of one scale can be compared all over it."""
    out: dict[str, float] = {}
    for view in (view for one in explained for view in one.views):
        out[view.scale] = max([out.get(view.scale, LEAST), *(abs(share.value) for share in view.shares)])
    return out


def signed(value: float) -> str:
    """A number with its sign, and a true minus."""
    text = f"{value:+.3f}"
    return ("0.000" if text in ("+0.000", "-0.000") else text).replace("-", MINUS)
