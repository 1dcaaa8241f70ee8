"""People's answers as batches: each step some statements of all kinds, their completions computed once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor

from harken.data.batch import Batch, collate
from harken.data.encoded import EncodedPrompts
from harken.reward.statements import labels_of, statements_of
from harken.reward.wording import Wording
from harken.train.sources import Stateless, parts, take
from harken.types import Answer, Completion, Prompt


@runtime_checkable
class StatementsConfig(Protocol):
    """What the source reads of the reward model's settings."""

    @property
    def steps(self) -> int: ...  # noqa: D102

    @property
    def batch(self) -> int: ...  # noqa: D102

    @property
    def accumulate(self) -> int: ...  # noqa: D102


@dataclass
class Statements(Stateless):
    """Answers of every kind, `config.batch` a step, as labels that `reward.objective` reads.

    Attributes:
        answers: what was said.
        prompts: by id.
        completions: by id.
        encoded: prompts as the reward model reads them.
        wording: knows the annotators.
        config: steps and batch.
        seed: of order and bootstrap.
        members: of the ensemble, K.
        spans: whether labels say where edits changed their texts.
    """

    answers: Sequence[Answer]
    prompts: Mapping[str, Prompt]
    completions: Mapping[str, Completion]
    encoded: EncodedPrompts
    wording: Wording
    config: StatementsConfig
    seed: int
    members: int = 1
    spans: bool = False

    def __post_init__(self) -> None:
        if not self.answers:
            raise ValueError("there is no feedback to learn a reward model from; collect some first")
        self._statements, self.completions = statements_of(self.answers, self.completions, self.members, self.seed)
        self._ids = {
            name: self.encoded.processor.encode_completion(self.completions[name])
            for statement in self._statements
            for name in statement.completions
        }

    @property
    def steps(self) -> int:
        """Optimizer steps."""
        return self.config.steps

    def batches(self, step: int) -> list[Batch]:
        """One step's statements of all kinds."""
        size = min(self.config.batch, len(self._statements))
        chosen = take(len(self._statements), size, step, self.seed, "statements")
        return [self.batch_of(part) for part in parts(chosen, self.config.accumulate)]

    def batch_of(self, numbers: Sequence[int]) -> Batch:
        """Some statements, by number; the completions that they speak of are computed once."""
        chosen = [self._statements[i] for i in numbers]
        chosen.sort(key=lambda statement: statement.answer.feedback.prompt_id)
        names = list(dict.fromkeys(name for statement in chosen for name in statement.completions))
        row = {name: n for n, name in enumerate(names)}
        return self.rows(
            names, labels_of(chosen, row, self.wording, self.completions, self._ids if self.spans else None)
        )

    def rows(self, names: Sequence[str], labels: Mapping[str, Tensor] | None = None) -> Batch:
        """The batch of N completions, by their ids; each prompt is computed once."""
        place = {name: p for p, name in enumerate(dict.fromkeys(self.completions[name].prompt_id for name in names))}
        return collate(
            self.encoded([self.prompts[name] for name in place]),
            [self._ids[name] for name in names],
            [place[self.completions[name].prompt_id] for name in names],
            self.encoded.processor.pad_id,
            labels,
        )

    @property
    def names(self) -> list[str]:
        """The ids of all completions that are spoken of, those of one prompt together."""
        return sorted(self._ids, key=lambda name: (self.completions[name].prompt_id, name))

    def every_label(self) -> dict[str, Tensor]:
        """All statements, over the rows of `names`."""
        row = {name: n for n, name in enumerate(self.names)}
        return labels_of(self._statements, row, self.wording, self.completions)
