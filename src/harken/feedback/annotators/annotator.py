"""Who answers questions: a person, a simulation, a model, or what people said before."""

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

    def answer(
        self, prompts: Mapping[str, Prompt], question: Question, completions: Mapping[str, Completion]
    ) -> Feedback | None:
        """What the annotator says; None where they skip the question.

        Args:
            prompts: by id, those that the question names among them.
            question: what is asked.
            completions: by id, those that the question names among them.

        Raises:
            StopAsking: if they want to stop.
        """
        ...


@runtime_checkable
class Concurrent(Protocol):
    """An annotator that may be asked several questions at a time; its answers depend on no other question."""

    @property
    def concurrency(self) -> int:
        """How many."""
        ...
