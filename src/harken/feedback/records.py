"""Records to plain data and back: every kind of feedback by its name, prompts, completions and answers."""

from collections.abc import Callable, Mapping
from typing import Any, get_args

from harken.feedback.kinds import comparison, edit, ranking, rating
from harken.feedback.strict import fields
from harken.types import (
    Audio,
    Comparison,
    Completion,
    Edit,
    Feedback,
    Image,
    Message,
    Numbers,
    Part,
    Prompt,
    Ranking,
    Rating,
    Role,
    Text,
)

ROLES: tuple[str, ...] = get_args(Role)
NAMES: dict[type, str] = {Comparison: "comparison", Ranking: "ranking", Rating: "rating", Edit: "edit"}
_FROM: dict[str, Callable[[Mapping[str, Any]], Feedback]] = {
    "comparison": comparison.from_json,
    "ranking": ranking.from_json,
    "rating": rating.from_json,
    "edit": edit.from_json,
}


def keepable(text: str) -> str:
    """A model's text as every store can keep it: a replacement letter for a NUL, and for half a letter."""
    return text.replace("\0", "\ufffd").encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def kind_of(said: Feedback) -> str:
    """The name of a kind of feedback."""
    return NAMES[type(said)]


def check(said: Feedback, completions: Mapping[str, Completion]) -> None:
    """Refuse feedback that makes no sense.

    Args:
        said: what was said.
        completions: the completions that it may speak of, by id.

    Raises:
        ValueError: what, of which prompt, and how to mend it.
    """
    match said:
        case Comparison():
            comparison.check(said, completions)
        case Ranking():
            ranking.check(said, completions)
        case Rating():
            rating.check(said, completions)
        case Edit():
            edit.check(said, completions)


def feedback_to_json(said: Feedback) -> dict[str, Any]:
    """As plain data, without its kind."""
    match said:
        case Comparison():
            return comparison.to_json(said)
        case Ranking():
            return ranking.to_json(said)
        case Rating():
            return rating.to_json(said)
        case Edit():
            return edit.to_json(said)


def feedback_from_json(kind: str, value: Mapping[str, Any]) -> Feedback:
    """From plain data of a kind.

    Raises:
        ValueError: if there is no such kind, or the data are not exactly of it.
    """
    if kind not in _FROM:
        raise ValueError(f"there is no kind of feedback {kind!r}; there are {', '.join(_FROM)}")
    return _FROM[kind](value)


def named_completions(said: Feedback) -> tuple[str, ...]:
    """Ids of the completions that were shown."""
    match said:
        case Comparison(a=a, b=b):
            return (a, b)
        case Ranking(tiers=tiers, rest=rest):
            return (*(name for tier in tiers for name in tier), *rest)
        case Rating(completion=name) | Edit(completion=name):
            return (name,)


def prompt_to_json(prompt: Prompt) -> dict[str, Any]:
    """As plain data; media by their SHA-256."""
    return {
        "id": prompt.id,
        "messages": [{"role": m.role, "content": [_part_to_json(part) for part in m.parts]} for m in prompt.messages],
        "references": list(prompt.references),
        "facts": dict(prompt.facts),
    }


def prompt_from_json(value: Mapping[str, Any]) -> Prompt:
    """What `prompt_to_json` wrote.

    Raises:
        ValueError: if it is not exactly that.
    """
    read = fields(value, "prompt", {"id": str, "messages": list, "references": list, "facts": dict})
    for reference in read["references"]:
        if not isinstance(reference, str):
            raise ValueError(f"prompt {read['id']!r}: a reference is text, not {reference!r}")
    messages = tuple(_message_from_json(message) for message in read["messages"])
    return Prompt(read["id"], messages, tuple(read["references"]), read["facts"])


def _message_from_json(value: object) -> Message:
    read = fields(value, "message", {"role": str, "content": list})
    if read["role"] not in ROLES:
        raise ValueError(f"message: the role is one of {', '.join(ROLES)}, not {read['role']!r}")
    return Message(read["role"], tuple(_part_from_json(part) for part in read["content"]))


def _part_to_json(part: Part) -> dict[str, str]:
    match part:
        case Text(text=text):
            return {"type": "text", "text": text}
        case Image(sha256=sha256):
            return {"type": "image", "sha256": sha256}
        case Audio(sha256=sha256):
            return {"type": "audio", "sha256": sha256}
        case Numbers(sha256=sha256):
            return {"type": "numbers", "sha256": sha256}


def _part_from_json(value: object) -> Part:
    match value:
        case {"type": "text"}:
            return Text(fields(value, "text", {"type": str, "text": str})["text"])
        case {"type": "image"}:
            return Image(fields(value, "image", {"type": str, "sha256": str})["sha256"])
        case {"type": "audio"}:
            return Audio(fields(value, "audio", {"type": str, "sha256": str})["sha256"])
        case {"type": "numbers"}:
            return Numbers(fields(value, "numbers", {"type": str, "sha256": str})["sha256"])
        case _:
            raise ValueError(f"a part is text, image, audio or numbers, not {value!r}")
