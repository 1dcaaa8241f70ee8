"""Who answers questions: a person, a simulation, later a model."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from harken.feedback.queue import Question
from harken.types import AnnotatorKind, Completion, Feedback, Prompt


class StopAsking(Exception):
    """The annotator wants no more questions now."""


@runtime_checkable
class Annotator(Protocol):
    """Answers questions about completions."""

    @property
    def id(self) -> str:
        """The annotator's name, for ever the same."""
        ...

    @property
    def kind(self) -> AnnotatorKind:
        """A person, a simulation or a model."""
        ...

    def answer(self, prompt: Prompt, question: Question, completions: Mapping[str, Completion]) -> Feedback | None:
        """What the annotator says; None where they skip the question.

        Raises:
            StopAsking: if they want to stop.
        """
        ...
