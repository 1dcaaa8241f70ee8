"""The losses that the heads of a family model are trained by."""

from collections.abc import Mapping
from typing import Any

from harken.algorithms.contrastive import Contrastive
from harken.algorithms.cross_entropy import CrossEntropy
from harken.algorithms.matching import Matching
from harken.algorithms.modality_adversarial import ModalityAdversarial
from harken.algorithms.multitask import MultiTask
from harken.algorithms.regression import Regression
from harken.algorithms.task import Task
from harken.models.fusion.heads.classify import Classify
from harken.models.fusion.heads.contrast import Contrast
from harken.models.fusion.heads.discriminate import Discriminate
from harken.models.fusion.heads.head import LEARNT
from harken.models.fusion.heads.match import Match
from harken.models.fusion.heads.regress import Regress


def task_of(head: Any) -> Task:
    """The loss of a head, by its settings."""
    match head:
        case Classify():
            return CrossEntropy(head.label_smoothing, head.class_weights)
        case Regress():
            return Regression(head.spread)
        case Contrast():
            return Contrastive(head.loss)
        case Match():
            return Matching()
        case Discriminate():
            return ModalityAdversarial()
        case _:
            raise TypeError(f"{type(head).__name__} is a head without a loss")


def learns_from_targets(head: Any) -> bool:
    """Whether a head needs targets: the others learn from which media stand together."""
    return isinstance(head, Classify | Regress)


def refuse_parts_of_one(heads: Mapping[str, Any], rows: int) -> None:
    """Refuse to compare what stands alone: a contrast and a match learn from the other rows of a part.

    Args:
        heads: their settings by name.
        rows: of the smallest part of a batch.

    Raises:
        ValueError: naming the heads that would learn nothing.
    """
    alone = [name for name, head in heads.items() if isinstance(head, Contrast | Match)]
    if alone and rows < 2:
        raise ValueError(
            f"heads.{', '.join(alone)}: what belongs together is learnt against the other rows of a batch's part, and "
            "here a part has one row; raise sft.data.batch, or lower sft.data.accumulate"
        )


def tasks_of(heads: Mapping[str, Any], language: tuple[str, float | str] | None = None) -> MultiTask:
    """The objective of a model's heads.

    Args:
        heads: their settings by name.
        language: the language head's name and the weight of its loss, where it is learnt too.
    """
    weights = {name: head.weight for name, head in heads.items()} | (dict([language]) if language else {})
    fixed = {name: None if weight == LEARNT else float(weight) for name, weight in weights.items()}
    return MultiTask({name: task_of(head) for name, head in heads.items()}, fixed, language[0] if language else None)
