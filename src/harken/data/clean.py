"""Before training: which prompts are there twice, what they hold, and splits that share nothing."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from harken.data.record import content_id
from harken.types import Prompt, Text, modality_of


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A prompt whose messages another had before.

    Attributes:
        id: the later prompt.
        first: the earlier prompt.
        differs: whether references or facts are not the same, so that leaving it out loses something.
    """

    id: str
    first: str
    differs: bool


@dataclass(frozen=True, slots=True)
class Cleaned:
    """The prompts without repeats, and what was left out."""

    prompts: tuple[Prompt, ...]
    duplicates: tuple[Duplicate, ...]


@dataclass(frozen=True, slots=True)
class Leak:
    """Something that stands on both sides of a split.

    Attributes:
        what: `messages`, `image`, `audio`, `numbers`, or the name of a fact.
        key: the SHA-256 of the medium, the id that the messages have by their content, or the fact's value.
        train: ids of the prompts on the one side.
        test: ids of the prompts on the other.
    """

    what: str
    key: str
    train: tuple[str, ...]
    test: tuple[str, ...]


def clean(prompts: Iterable[Prompt]) -> Cleaned:
    """Leave out prompts whose messages (words and media) were there before; the first one stays."""
    first: dict[str, Prompt] = {}
    duplicates = []
    for prompt in prompts:
        kept = first.setdefault(_said(prompt), prompt)
        if kept is not prompt:
            differs = (kept.references, dict(kept.facts)) != (prompt.references, dict(prompt.facts))
            duplicates.append(Duplicate(prompt.id, kept.id, differs))
    return Cleaned(tuple(first.values()), tuple(duplicates))


def count_modalities(prompts: Iterable[Prompt]) -> dict[str, int]:
    """How many prompts there are of each mixture, such as `{"text": 3, "audio+image+text": 2}`."""
    mixtures = Counter(
        "+".join(sorted({type(p).__name__.lower() for m in x.messages for p in m.parts})) for x in prompts
    )
    return dict(sorted(mixtures.items()))


def leaks(train: Iterable[Prompt], test: Iterable[Prompt], facts: Sequence[str] = ()) -> list[Leak]:
    """What both sides of a split hold: the same messages, the same medium, or the same value of one of some facts."""
    left, right = _holders(train, facts), _holders(test, facts)
    return [Leak(*key, tuple(left[key]), tuple(right[key])) for key in sorted(left.keys() & right.keys())]


def split(
    prompts: Sequence[Prompt],
    fractions: Mapping[str, float],
    by: Callable[[Prompt], str] | None = None,
) -> dict[str, list[Prompt]]:
    """Prompts in several sets that share no messages, no medium and no group.

    Where a prompt goes depends on a hash of what it hangs together with, not on order or chance, so that a prompt
    stays in its set when others are added (unless they join its group to another). Sizes are right on average only.

    Args:
        prompts: prompts, in any order; each set keeps their order.
        fractions: for each set its share; they sum to 1.
        by: a prompt's group, such as who spoke or wrote it; groups are never torn apart.

    Raises:
        ValueError: if the shares are not above 0 or do not sum to 1, or a set would be empty.
    """
    if any(share <= 0 for share in fractions.values()) or abs(sum(fractions.values()) - 1) > 1e-9:
        raise ValueError(f"the shares {dict(fractions)} must be above 0 and sum to 1")
    ties = _ties(prompts, by)
    place = _places(ties)
    sets: dict[str, list[Prompt]] = {name: [] for name in fractions}
    for prompt, tied in zip(prompts, ties, strict=True):
        sets[_set(place[tied[0]], fractions)].append(prompt)
    empty = [name for name, members in sets.items() if not members]
    if empty:
        raise ValueError(
            f"nothing falls to {empty}: {len(prompts)} prompts hang together in {len(set(place.values()))} groups; "
            "give it a larger share, or group by something finer"
        )
    return sets


def tied(prompts: Sequence[Prompt], by: Callable[[Prompt], str] | None = None) -> dict[str, str]:
    """For each prompt's id a name that all have who hang together with it, by messages, media and group."""
    ties = _ties(prompts, by)
    place = _places(ties)
    return {prompt.id: str(place[tied[0]]) for prompt, tied in zip(prompts, ties, strict=True)}


Key = tuple[str, str]


def _ties(prompts: Sequence[Prompt], by: Callable[[Prompt], str] | None) -> list[list[Key]]:
    return [[*_keys(prompt), *([("group", by(prompt))] if by else [])] for prompt in prompts]


def _said(prompt: Prompt) -> str:
    return content_id(Prompt("messages", prompt.messages))


def _keys(prompt: Prompt) -> list[Key]:
    """What may stand on one side of a split only."""
    media = [part for message in prompt.messages for part in message.parts if not isinstance(part, Text)]
    names = {(modality_of(part), part.sha256) for part in media}
    return [("messages", _said(prompt)), *sorted(names)]


def _holders(prompts: Iterable[Prompt], facts: Sequence[str]) -> dict[Key, list[str]]:
    holders: dict[Key, list[str]] = {}
    for prompt in prompts:
        for key in [*_keys(prompt), *((name, str(prompt.facts[name])) for name in facts if name in prompt.facts)]:
            holders.setdefault(key, []).append(prompt.id)
    return holders


def _places(ties: Iterable[Sequence[Key]]) -> dict[Key, float]:
    """For each key a number in [0, 1), the same for all keys that hang together."""
    parent: dict[Key, Key] = {}

    def root(key: Key) -> Key:
        while parent.setdefault(key, key) != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for tied in ties:
        for key in tied:
            # The lesser hash is the root, so that the root does not depend on the order of the prompts.
            low, high = sorted((root(tied[0]), root(key)), key=_hash)
            parent[high] = low
    # Hashed anew: the least of several hashes lies near 0 more often than chance has it.
    return {key: _hash(("place", *root(key))) for key in parent}


def _hash(key: tuple[str, ...]) -> float:
    return int.from_bytes(hashlib.sha256("\x1f".join(key).encode()).digest()[:6], "big") / 2**48


def _set(place: float, fractions: Mapping[str, float]) -> str:
    edge = 0.0
    for name, share in fractions.items():
        edge += share
        if place < edge:
            return name
    return name
