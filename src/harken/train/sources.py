"""Demonstrations and people's statements as batches; each step's batch is a function of (seed, step)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from harken.algorithms.multitask import TOKENS
from harken.data.batch import Batch, Outputs, collate
from harken.data.bounds import at_least
from harken.data.encoded import EncodedPrompts
from harken.data.seeds import derive
from harken.types import JSON, Completion, Prompt, Text, modality_of


def shuffled(count: int, seed: int, *names: str | int) -> list[int]:
    """The numbers below `count` in an order that depends on the seed and the names alone."""
    generator = torch.Generator().manual_seed(derive(seed, *names))
    return torch.randperm(count, generator=generator).tolist()


def take(count: int, size: int, step: int, seed: int, name: str) -> list[int]:
    """The items of one step: `size` of `count`, going through all of them in a new order each epoch."""
    out: list[int] = []
    position = step * size
    while len(out) < size:
        epoch, offset = divmod(position, count)
        order = shuffled(count, seed, name, epoch)
        chosen = order[offset : offset + size - len(out)]
        out += chosen
        position += len(chosen)
    return out


def parts(items: Sequence[int], count: int) -> list[Sequence[int]]:
    """Numbers in `count` parts, as equal as can be; fewer if there are fewer numbers."""
    size = -(-len(items) // count)
    return [items[start : start + size] for start in range(0, len(items), size)]


Change = Callable[[Mapping[str, Tensor], Mapping[str, Tensor], torch.Generator], dict[str, Tensor]]
"""Media tensors, and how many rows of each belong to each prompt, to media tensors: what augmentation is."""


def changed(batches: Sequence[Batch], change: Change | None, step: int, seed: int) -> list[Batch]:
    """A step's batches with their media changed, by draws that depend on seed and step alone."""
    if change is None:
        return list(batches)
    generator = torch.Generator().manual_seed(derive(seed, "augmentation", step))
    out = []
    for batch in batches:
        prompts = batch.prompts
        media = change(prompts.media, prompts.media_rows, generator)
        out.append(replace(batch, prompts=replace(prompts, media=media, media_keys=("",) * len(prompts.ids))))
    return out


def without_some(prompt: Prompt, share: float, generator: torch.Generator) -> Prompt:
    """A prompt that lacks each kind of media with a chance of `share` (ModDrop, 1501.00102).

    Words stay, and one kind of media: of the prompt, and of each message that has no words.
    """
    held = [[None if isinstance(part, Text) else modality_of(part) for part in m.parts] for m in prompt.messages]
    kinds = sorted({kind for message in held for kind in message if kind is not None})
    drawn = torch.rand(len(kinds), generator=generator).tolist()
    chance = dict(zip(kinds, drawn, strict=True))
    lost = {kind for kind in kinds if chance[kind] < share}
    wordless = [{kind for kind in message if kind is not None} for message in held if None not in message]
    for mine in (set(kinds), *wordless):
        if mine and mine <= lost:
            lost -= {max(sorted(mine), key=chance.__getitem__)}
    if not lost:
        return prompt
    messages = tuple(
        replace(m, parts=tuple(part for part, kind in zip(m.parts, kinds_in, strict=True) if kind not in lost))
        for m, kinds_in in zip(prompt.messages, held, strict=True)
    )
    return replace(prompt, id=f"{prompt.id} without {' and '.join(sorted(lost))}", messages=messages)


class Stateless:
    """A source that remembers nothing between steps."""

    def observe(self, step: int, batch: Batch, outputs: Outputs) -> Mapping[str, float]:
        """Nothing to say."""
        return {}

    def metrics(self) -> Mapping[str, float]:
        """None of its own."""
        return {}

    def samples(self) -> list[dict[str, JSON]]:
        """None."""
        return []

    def state(self) -> tuple[dict[str, Tensor], JSON]:
        """Nothing."""
        return {}, None

    def restore(self, tensors: dict[str, Tensor], state: JSON) -> None:
        """Nothing to put back."""


@dataclass(frozen=True)
class DemonstrationsConfig:
    """How much supervised training there is.

    Attributes:
        steps: optimizer steps.
        batch: demonstrations a step.
        accumulate: parts in which a step goes through the model, to save memory. What compares a batch's rows with each
            other (contrast, match, batch norm) then sees a part's alone.
    """

    steps: int = 400
    batch: int = 32
    accumulate: int = 1

    def __post_init__(self) -> None:
        at_least(self, "sft.data", steps=0, batch=1, accumulate=1)


@dataclass(frozen=True)
class Taught:
    """What demonstrations teach besides their answers.

    Attributes:
        targets: of other heads, by head, each with a row for each demonstration.
        change: what is done to media before they are learnt from.
        drop: how often a prompt lacks a kind of media, as in `without_some`.
    """

    targets: Mapping[str, Tensor] = field(default_factory=dict)
    change: Change | None = None
    drop: float = 0.0


class Demonstrations(Stateless):
    """Pairs of a prompt and a good answer, `config.batch` a step."""

    def __init__(
        self,
        pairs: Sequence[tuple[Prompt, str]],
        encoded: EncodedPrompts,
        config: DemonstrationsConfig,
        seed: int,
        taught: Taught | None = None,
    ):
        if not pairs:
            raise ValueError("there are no demonstrations to train on; prompts need `references` for this")
        self.pairs = pairs
        self.encoded = encoded
        self.config = config
        self.seed = seed
        self.taught = taught or Taught()
        processor = encoded.processor
        self._ids = [
            processor.encode_completion(Completion(prompt.id, prompt.id, text, "demonstration"))
            for prompt, text in pairs
        ]

    @property
    def steps(self) -> int:
        """Optimizer steps."""
        return self.config.steps

    def batches(self, step: int) -> list[Batch]:
        """One step's demonstrations; two of one prompt share its computation."""
        size = min(self.config.batch, len(self.pairs))
        chosen = take(len(self.pairs), size, step, self.seed, "demonstrations")
        asked = self._asked(chosen, step)
        made = [self._batch(part, asked) for part in parts(chosen, self.config.accumulate)]
        if len(made) > 1:
            mean = sum(int(batch.completions.mask.sum()) for batch in made) / len(chosen)
            made = [
                replace(batch, labels={**batch.labels, TOKENS: torch.full((len(batch.completions.ids),), mean)})
                for batch in made
            ]
        return changed(made, self.taught.change, step, self.seed)

    def batch_of(self, chosen: Sequence[int]) -> Batch:
        """Some demonstrations, by number, with all of their media."""
        return self._batch(chosen, {i: self.pairs[i][0] for i in chosen})

    def _asked(self, chosen: Sequence[int], step: int) -> dict[int, Prompt]:
        """The prompts of a step's demonstrations, by number, some without some of their media."""
        asked = {i: self.pairs[i][0] for i in chosen}
        if self.taught.drop:
            generator = torch.Generator().manual_seed(derive(self.seed, "drop", step))
            asked = {i: without_some(prompt, self.taught.drop, generator) for i, prompt in asked.items()}
        return asked

    def _batch(self, chosen: Sequence[int], asked: Mapping[int, Prompt]) -> Batch:
        prompts: dict[str, Prompt] = {}
        for i in chosen:
            prompts.setdefault(asked[i].id, asked[i])
        rows = {name: row for row, name in enumerate(prompts)}
        return collate(
            self.encoded(list(prompts.values())),
            [self._ids[i] for i in chosen],
            [rows[asked[i].id] for i in chosen],
            self.encoded.processor.pad_id,
            {name: targets[torch.as_tensor(list(chosen))] for name, targets in self.taught.targets.items()},
        )
