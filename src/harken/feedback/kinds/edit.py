"""What the annotator would rather have read. The revision is a completion of its own, and beats the original."""

import hashlib
from collections.abc import Mapping
from typing import Any

from harken.feedback.strict import fields, known
from harken.types import Completion, Edit


def check(said: Edit, completions: Mapping[str, Completion]) -> None:
    """Refuse an edit that makes no sense.

    Raises:
        ValueError: if the completion is unknown or of another prompt, or the revision is empty or changes nothing.
    """
    known(said.completion, said.prompt_id, "edit", completions)
    if not said.revision.strip():
        raise ValueError(f"edit of {said.completion!r}: the revision is empty; rate the answer low, or skip it")
    if said.revision.strip() == completions[said.completion].text.strip():
        raise ValueError(f"edit of {said.completion!r}: the revision changes nothing; skip it, or rate it high")


def to_json(said: Edit) -> dict[str, Any]:
    """As plain data."""
    return {"prompt_id": said.prompt_id, "completion": said.completion, "revision": said.revision}


def from_json(value: Mapping[str, Any]) -> Edit:
    """From plain data.

    Raises:
        ValueError: if it is not exactly an edit.
    """
    return Edit(**fields(value, "edit", {"prompt_id": str, "completion": str, "revision": str}))


def revision(said: Edit, annotator: str) -> Completion:
    """The corrected text as a completion; the same edit of the same annotator gives the same id."""
    text = "\x1f".join([said.prompt_id, said.completion, annotator, said.revision])
    identity = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return Completion(identity, said.prompt_id, said.revision, f"annotator:{annotator}")


def pairs(said: Edit, annotator: str) -> list[tuple[str, str]]:
    """(better, worse): the revision beats the original."""
    return [(revision(said, annotator).id, said.completion)]
