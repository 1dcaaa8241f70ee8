"""Ask annotators what was planned, and keep each answer before the next question."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from harken.feedback.annotators.annotator import Annotator, StopAsking
from harken.feedback.queue import Assignment
from harken.feedback.store import FeedbackStore
from harken.types import Answer


@dataclass(frozen=True)
class CollectReport:
    """What became of assignments: answered before, answered now, skipped; and whether the annotator stopped."""

    before: int
    answered: int
    skipped: int
    stopped: bool


def collect(
    store: FeedbackStore,
    assignments: Sequence[Assignment],
    annotators: Mapping[str, Annotator],
    on_answer: Callable[[Assignment], None] = lambda assignment: None,
) -> CollectReport:
    """Have assignments answered; those whose key the store has are passed over, so it goes on where it stopped.

    Args:
        store: holds the prompts and completions already.
        assignments: what to ask.
        annotators: by id.
        on_answer: called after each assignment, answered or not.

    Raises:
        ValueError: if an annotator says what makes no sense.
    """
    prompts = {prompt.id: prompt for prompt in store.prompts()}
    completions = {completion.id: completion for completion in store.completions()}
    held = store.keys()
    before = answered = skipped = 0
    for assignment in assignments:
        if assignment.key in held:
            before += 1
        else:
            annotator, question = annotators[assignment.annotator], assignment.question
            started = time.monotonic()
            try:
                said = annotator.answer(prompts[question.prompt_id], question, completions)
            except StopAsking:
                return CollectReport(before, answered, skipped, stopped=True)
            if said is None:
                skipped += 1
            else:
                seconds = time.monotonic() - started if annotator.kind == "human" else None
                store.add(Answer(assignment.key, annotator.id, annotator.kind, said, seconds))
                answered += 1
        on_answer(assignment)
    return CollectReport(before, answered, skipped, stopped=False)
