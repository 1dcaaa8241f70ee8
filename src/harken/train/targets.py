"""What prompts say that heads should say: a head's target stands in `facts` under the head's name."""

import difflib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from harken.models.fusion.heads.classify import Classify
from harken.models.fusion.heads.regress import Regress
from harken.train.tasks import learns_from_targets
from harken.types import Prompt


class TargetError(ValueError):
    """A prompt's fact that its head cannot learn from."""


def targets_of(prompts: Sequence[Prompt], heads: Mapping[str, Any]) -> dict[str, Tensor]:
    """Targets of all heads that learn from some, each with a row for each prompt.

    A class is its number from 0 or its name, or a list of one number for each class (people's votes; they are made
    shares). A regression's target is a number, or a list of them. A prompt without the fact has no target.

    Args:
        prompts: whose facts are read.
        heads: the heads' settings by name.

    Raises:
        TargetError: naming the prompt, the fact, what is wrong and how to mend it; or a head for which no prompt has
            a fact.
    """
    found: dict[str, Tensor] = {}
    for name, head in heads.items():
        if not learns_from_targets(head):
            continue
        said = [prompt.facts.get(name) for prompt in prompts]
        if all(fact is None for fact in said):
            raise TargetError(
                f"heads.{name} has no data: none of the {len(prompts)} prompts has facts.{name}; write it into them, "
                "or leave the head out"
            )
        rows = [_row(prompt, name, fact, head) for prompt, fact in zip(prompts, said, strict=True)]
        found[name] = _tensor(rows, head)
    return found


def _row(prompt: Prompt, name: str, fact: Any, head: Classify | Regress) -> list[float] | int | None:
    where = f"prompt {prompt.id!r}: facts.{name}"
    if fact is None:
        return None
    if isinstance(head, Classify):
        return _class(where, fact, head)
    numbers = fact if isinstance(fact, list) else [fact]
    if len(numbers) != head.outputs or not all(_finite(number) for number in numbers):
        raise TargetError(f"{where} is {fact!r}; the head learns {head.outputs} finite number(s)")
    return [float(number) for number in numbers]


def _class(where: str, fact: Any, head: Classify) -> list[float] | int:
    names = head.classes if isinstance(head.classes, tuple) else ()
    if isinstance(fact, list):
        if len(fact) != head.count or not all(_finite(x) and x >= 0 for x in fact) or not sum(fact) > 0:
            raise TargetError(f"{where} is {fact!r}; votes are {head.count} numbers from 0 up that are not all 0")
        return [float(x) / sum(fact) for x in fact]
    if isinstance(fact, str) and fact in names:
        return names.index(fact)
    if isinstance(fact, int) and not isinstance(fact, bool) and 0 <= fact < head.count:
        return fact
    near = difflib.get_close_matches(str(fact), names, 1)
    known = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names) or f'0 to {head.count - 1}'}"
    raise TargetError(f"{where} is {fact!r}, none of the head's classes; {known}")


def _finite(number: Any) -> bool:
    return isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number)


def _tensor(rows: Sequence[list[float] | int | None], head: Classify | Regress) -> Tensor:
    if isinstance(head, Classify) and not any(isinstance(row, list) for row in rows):
        return torch.tensor([-1 if row is None else row for row in rows], dtype=torch.long)
    width = head.count if isinstance(head, Classify) else head.outputs
    out = torch.full((len(rows), width), torch.nan)
    for n, row in enumerate(rows):
        if isinstance(row, int):
            out[n] = torch.nn.functional.one_hot(torch.tensor(row), width).float()
        elif row is not None:
            out[n] = torch.tensor(row)
    return out
