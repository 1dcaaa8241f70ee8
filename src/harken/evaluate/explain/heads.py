"""What is explained of a head: how sure it is of the class it says, its number, how near it finds two media."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from harken.data.batch import Batch
from harken.data.blobs import Blobs
from harken.evaluate.explain.shown import MINUS, signed
from harken.evaluate.explain.target import Kind, batch_of
from harken.models.fusion.config import FusionConfig
from harken.models.fusion.heads.classify import Classify
from harken.models.fusion.heads.contrast import Contrast
from harken.models.fusion.heads.match import Match
from harken.models.fusion.heads.regress import Regress
from harken.models.model import Model
from harken.models.predictor import Predictor
from harken.types import Prompt

HEADS = frozenset({"heads"})


@dataclass(frozen=True)
class SaidByHead:
    """One number of a head's.

    Attributes:
        model: whose.
        name: the head's.
        settings: the head's.
        which: of its classes or numbers.
        words: what it says of the prompt as it is.
        unit: of the number.
    """

    model: Model | Predictor
    name: str
    settings: Any
    which: int
    words: str
    unit: str
    kind: Kind = "head"

    @property
    def title(self) -> str:
        """What the page asks."""
        return f"Why {self.name} is {self.words}"

    @property
    def scale(self) -> str:
        """Heads, and numbers of one head, have units of their own, so bars are compared within one."""
        return f"head {self.name} {self.which}" if isinstance(self.settings, Regress) else f"head {self.name}"

    def extra(self, value: float, tokens: int) -> str:
        """A classification's probability."""
        return f"a probability of {torch.tensor(value).sigmoid():.3f}" if isinstance(self.settings, Classify) else ""

    def __call__(self, batch: Batch) -> Float[Tensor, " N"]:
        """The number for each of N prompts: the log-odds of a class or a match, a number, a cosine.

        Log-odds, and not log-probabilities: where a model is sure, these hardly change with anything.
        """
        said = self.model(batch, HEADS).heads
        assert said is not None, "the model gives what is needed"
        match self.settings:
            case Classify():
                logits = said[f"{self.name}.logits"].float()
                others = logits.masked_fill(
                    torch.arange(logits.shape[1], device=logits.device) == self.which, -torch.inf
                )
                return logits[:, self.which] - others.logsumexp(-1)
            case Regress():
                return said[f"{self.name}.values"][:, self.which]
            case Contrast():
                return (said[f"{self.name}.one"] * said[f"{self.name}.other"]).sum(-1)
            case _:
                return said[f"{self.name}.matched"].reshape(len(batch.prompts.ids))


@torch.no_grad()
def said_by_heads(model: Model | Predictor, prompt: Prompt, blobs: Blobs) -> list[SaidByHead]:
    """What a model's heads say of a prompt; a contrast and a match say nothing where one of their two is absent.

    Args:
        model: with heads or without.
        prompt: what they are asked about.
        blobs: its media.

    Raises:
        IntegrityError: if the model cannot read the prompt.
    """
    config = model.trunk.config
    if not isinstance(config, FusionConfig) or not config.heads:
        return []
    model.eval()
    encoded = model.processor.encode(prompt, blobs)
    said = model(batch_of(model, [encoded], torch.tensor([model.processor.end_id])), HEADS).heads
    assert said is not None, "the model gives what is needed"
    row = {name: value[0].float().cpu() for name, value in said.items() if value.dim()}
    return [
        SaidByHead(model, name, settings, which, words, unit)
        for name, settings in config.head_parts().items()
        if not isinstance(settings, Match) or settings.asks(encoded.placeholders, list(config.encoder_parts()))
        for which, words, unit in _said(name, settings, row)
    ]


def _said(name: str, settings: Any, row: dict[str, Tensor]) -> Iterator[tuple[int, str, str]]:
    """Which numbers of a head are explained, each in words and with its unit."""
    match settings:
        case Classify():
            best = int(row[f"{name}.logits"].argmax())
            yield best, str(best if isinstance(settings.classes, int) else settings.classes[best]), "log-odds"
        case Regress():
            for which, value in enumerate(row[f"{name}.values"].tolist()):
                of = f" (number {which + 1})" if settings.outputs > 1 else ""
                yield which, f"{value:.4g}".replace("-", MINUS) + of, "units"
        case Contrast():
            if bool(row[f"{name}.there"]):
                yield 0, f"a cosine of {signed(float(row[f'{name}.one'] @ row[f'{name}.other']))}", "cosine"
        case Match():
            share = float(row[f"{name}.matched"].sigmoid())
            yield 0, f"{'a match' if share > 0.5 else 'no match'} ({share:.3f})", "log-odds"
