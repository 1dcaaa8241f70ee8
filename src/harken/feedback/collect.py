"""Ask annotators what was planned, and keep each answer before the next question."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from harken.feedback.annotators.annotator import Annotator, Concurrent, StopAsking
from harken.feedback.queue import Assignment, completions_of, prompts_of
from harken.feedback.store import FeedbackStore
from harken.types import Answer, Completion, Feedback, Prompt


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
        ValueError: if an assignment names what is not there (before anybody is asked), or an annotator says what
            makes no sense.
    """
    prompts = {prompt.id: prompt for prompt in store.prompts()}
    completions = {completion.id: completion for completion in store.completions()}
    held = store.keys()
    for assignment in assignments:
        _check(assignment, annotators, prompts, completions)
    before = answered = skipped = 0
    with _asking(prompts, completions, annotators) as asking:
        for place, assignment in enumerate(assignments):
            if assignment.key in held:
                before += 1
            else:
                annotator = annotators[assignment.annotator]
                asking.ahead(assignments[place : place + asking.most], held)
                started = time.monotonic()
                try:
                    said = asking.answer(assignment)
                except StopAsking:
                    return CollectReport(before, answered, skipped, stopped=True)
                if said is None:
                    skipped += 1
                else:
                    seconds = time.monotonic() - started if annotator.kind == "human" else None
                    store.add(Answer(assignment.key, annotator.id, annotator.kind, said, seconds))
                    held.add(assignment.key)
                    answered += 1
            on_answer(assignment)
    return CollectReport(before, answered, skipped, stopped=False)


class _Asking:
    """Asks, and asks those ahead who may be asked several questions at a time; answers are kept in the plan's order."""

    def __init__(
        self,
        prompts: Mapping[str, Prompt],
        completions: Mapping[str, Completion],
        annotators: Mapping[str, Annotator],
        pool: ThreadPoolExecutor,
    ):
        self._prompts, self._completions, self._annotators, self._pool = prompts, completions, annotators, pool
        self._asked: dict[str, Future[Feedback | None]] = {}
        self.most = max((_at_a_time(annotator) for annotator in annotators.values()), default=1)

    def ahead(self, assignments: Sequence[Assignment], held: Set[str]) -> None:
        """Put the next questions to those who take several."""
        for assignment in assignments:
            several = _at_a_time(self._annotators[assignment.annotator]) > 1
            if several and assignment.key not in held and assignment.key not in self._asked:
                self._asked[assignment.key] = self._pool.submit(self._put, assignment)

    def answer(self, assignment: Assignment) -> Feedback | None:
        """What is said, now or ahead."""
        future = self._asked.pop(assignment.key, None)
        return self._put(assignment) if future is None else future.result()

    def _put(self, assignment: Assignment) -> Feedback | None:
        annotator = self._annotators[assignment.annotator]
        return annotator.answer(self._prompts, assignment.question, self._completions)


@contextmanager
def _asking(
    prompts: Mapping[str, Prompt], completions: Mapping[str, Completion], annotators: Mapping[str, Annotator]
) -> Iterator[_Asking]:
    """Where it ends early, questions that were not put yet are not put."""
    pool = ThreadPoolExecutor(max((_at_a_time(annotator) for annotator in annotators.values()), default=1))
    try:
        yield _Asking(prompts, completions, annotators, pool)
    finally:
        pool.shutdown(cancel_futures=True)


def _at_a_time(annotator: Annotator) -> int:
    return annotator.concurrency if isinstance(annotator, Concurrent) else 1


def _check(
    assignment: Assignment,
    annotators: Mapping[str, Annotator],
    prompts: Mapping[str, Prompt],
    completions: Mapping[str, Completion],
) -> None:
    question, name = assignment.question, assignment.annotator
    if name not in annotators or annotators[name].id != name:
        raise ValueError(f"a question is assigned to annotator {name!r}, who is not among {', '.join(annotators)}")
    about = prompts_of(question)
    for prompt in about:
        if prompt not in prompts:
            raise ValueError(f"a question is about prompt {prompt!r}; add it to the store first")
    for place, shown in enumerate(completions_of(question)):
        if shown not in completions:
            raise ValueError(f"a question shows completion {shown!r}; add it to the store first")
        prompt = about[place % len(about)]
        if completions[shown].prompt_id != prompt:
            raise ValueError(
                f"a question shows completion {shown!r} as an answer to prompt {prompt!r}, and it answers "
                f"{completions[shown].prompt_id!r}; a comparison across prompts says so in other_prompt_id"
            )
