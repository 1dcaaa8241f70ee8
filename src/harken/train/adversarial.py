"""Adversarial training: media are moved against the model, less than people notice, and then learnt from.

Words are no numbers; their embeddings are (1605.07725, section 3), and are moved as media are.

FGSM is one step (1412.6572, section 4), PGD several from a random place in the ball (1706.06083, section 2.1).

The attack is on the model as it is used, in evaluation: nothing is left out at random, and batch norms read their
running statistics and do not move them. (In training every step of an attack would move them towards media that nobody
learns from; 2010.00467 compares the two.) The one forward that is learnt from is a training forward, and moves them by
the moved media.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor, nn

from harken.algorithms.objective import Objective
from harken.data.batch import Batch, EncodedPrompt, Outputs
from harken.data.bounds import at_least
from harken.data.bounds import share as is_share
from harken.data.processor import SAMPLES
from harken.models.embeddings import EMBEDDINGS, REAL, TEXT, TOKENS, ReadingEmbeddings
from harken.models.hearing import Hearing
from harken.models.model import Model
from harken.models.predictor import Predictor

FILLED = {
    "input_features": ("feature_lengths", -1),
    "samples": ("sample_lengths", 1),
    "series": ("series_lengths", 1),
}
"""The tensors that are filled up: what says how much of each is real, and along which axis."""
TINY = 1e-30
HAIR = 1e-5
"""By how much of its radius a ball of `snr` is smaller: what rounding could add to it."""


Norm = Literal["inf", "snr"]


@dataclass(frozen=True)
class Attack:
    """How media are moved.

    Attributes:
        radius: of the ball, by the name of the media tensor: `{pixel_values: 0.0157}` is 4/255 a pixel. `samples` are
            sounds as they are played (full scale is 1); `input_features` are the frames that encoders read of them;
            `text_embeddings` are a text encoder's of its words, `token_embeddings` a language model's of the prompt's.
        steps: of the ascent; 1 is FGSM.
        step: length of each, in radii; 2.5 / steps if not said.
        norm: `inf` bounds each number by the radius; `snr` bounds each medium's root mean square by the radius times
            its own (an SNR of 40 dB is a radius of 0.01). One for all, or by name, `inf` where nothing is said.
        low: what no number goes below, by name.
        high: what none goes above, by name.
        share: of the media that are moved in training; the others are learnt from as they are.
    """

    radius: Mapping[str, float]
    steps: int = 1
    step: float | None = None
    norm: Norm | Mapping[str, Norm] = "inf"
    low: Mapping[str, float] = field(default_factory=lambda: {"pixel_values": 0.0})
    high: Mapping[str, float] = field(default_factory=lambda: {"pixel_values": 1.0})
    share: float = 1.0

    def __post_init__(self) -> None:
        at_least(self, "attack", steps=1, step=0)
        is_share(self, "attack", "share")
        if not self.radius or any(not 0 < r < torch.inf for r in self.radius.values()):
            raise ValueError(f"attack.radius names media tensors and a radius above 0 each, not {dict(self.radius)}")
        if self.moves_samples and "input_features" in self.radius:
            raise ValueError("attack.radius: input_features are made of samples again; name one of the two")

        if not isinstance(self.norm, str) and not set(self.norm) <= set(self.radius):
            raise ValueError(f"attack.norm names {', '.join(self.norm)}, and attack.radius {', '.join(self.radius)}")

    def norm_of(self, name: str) -> Norm:
        """How the ball of a media tensor is measured."""
        return self.norm if isinstance(self.norm, str) else self.norm.get(name, "inf")

    @property
    def moves_samples(self) -> bool:
        """Whether sounds are moved as they are played: the gradient goes through their frames (`models.hearing`)."""
        return SAMPLES[0] in self.radius

    @property
    def embeddings(self) -> frozenset[str]:
        """What it moves of words: their embeddings (`models.embeddings`)."""
        return frozenset(EMBEDDINGS) & set(self.radius)

    @property
    def length(self) -> float:
        """Of a step, in radii."""
        if self.step is not None:
            return self.step
        return 2.5 / self.steps if self.steps > 1 else 1.0


def refuse_unseen(attack: Attack, encoded: Iterable[EncodedPrompt]) -> None:
    """Refuse to move what is not there, which would be no attack at all.

    Raises:
        ValueError: naming a tensor that no prompt has, and those that they have.
    """
    seen: set[str] = {TOKENS} & set(attack.radius)  # every prompt has tokens; whether the model reads them it says
    for prompt in encoded:
        seen |= {name for name, tensor in prompt.media.items() if _is_moved(tensor)}
        seen |= {TEXT} if "text_ids" in prompt.media else set()
        if set(attack.radius) <= seen:
            return
    for name in attack.radius:
        if name not in seen:
            known = f"there are {', '.join(sorted(seen))}" if seen else "they have nothing that can be moved"
            raise ValueError(f"attack.radius.{name}: no prompt has such a media tensor of numbers; {known}")


def attacked(
    module: nn.Module, objective: Objective, batch: Batch, attack: Attack, generator: torch.Generator | None = None
) -> Batch:
    """A batch whose media are moved up the objective's loss; as it is, where it has no such media.

    Args:
        module: called as `module(batch, needs)`; it is attacked as it is in evaluation, and left as it was. To move
            samples or embeddings it has to read them (`reading_what_moves`).
        objective: whose loss rises.
        batch: with media as floating point numbers, or pixels as whole numbers from 0 to 255.
        attack: how.
        generator: draws where PGD begins; torch's own if None.

    Raises:
        ValueError: if media are no such numbers, or lie outside the attack's own bounds.
    """
    batch = _laid_open(module, batch)
    balls = {name: _ball(batch.prompts.media, name, attack) for name in attack.radius if name in batch.prompts.media}
    if not balls:
        return batch
    moved = {name: ball.clean for name, ball in balls.items()}
    if attack.steps > 1:
        moved = {
            name: ball.within(ball.clean + ball.radius * _noise(ball.clean, generator)) for name, ball in balls.items()
        }
    with _as_used(module):
        for _ in range(attack.steps):
            leaves = {name: tensor.detach().requires_grad_() for name, tensor in moved.items()}
            with torch.enable_grad():
                loss = objective.loss(module(_with(batch, leaves), objective.needs), batch).value
            # What the loss does not read at all has no gradient.
            gradients = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
            for name, gradient in zip(leaves, gradients, strict=True):
                if gradient is not None:
                    moved[name] = balls[name].step(moved[name], gradient, attack.length)
    return _with(batch, moved)


@contextmanager
def _as_used(module: nn.Module) -> Iterator[None]:
    """Within, what differs between training and use is as in use; but for recurrent layers, which a GPU differentiates
    in training alone.
    """
    turned = [part for part in module.modules() if part.training and not isinstance(part, nn.RNNBase)]
    for part in turned:
        part.training = False
    try:
        yield
    finally:
        for part in turned:
            part.training = True


@dataclass(frozen=True)
class _Ball:
    """Where one tensor of media may go.

    Attributes:
        clean: as it was, n media.
        real: which numbers are no filling, broadcast to them.
        radius: of each medium, broadcast to them.
        norm: how the radius is measured.
        low: what no number goes below.
        high: what none goes above.
    """

    clean: Tensor
    real: Tensor
    radius: Tensor
    norm: Norm
    low: float | None
    high: float | None

    def step(self, moved: Tensor, gradient: Tensor, length: float) -> Tensor:
        """A step up the gradient, and back into the ball."""
        gradient = gradient * self.real
        if self.norm == "inf":
            return self.within(moved + length * self.radius * gradient.sign())
        # Scaled first: squares of a small gradient are 0 in single precision.
        scaled = gradient / _each(gradient.flatten(1).abs().amax(1), gradient).clamp(min=TINY)
        return self.within(moved + length * self.radius * scaled / _size(scaled, self.real).clamp(min=TINY))

    def within(self, moved: Tensor) -> Tensor:
        """The nearest in the ball and the bounds."""
        away = (moved - self.clean) * self.real
        if self.norm == "inf":
            away = torch.maximum(torch.minimum(away, self.radius), -self.radius)
        else:
            away = away * (self.radius / _size(away, self.real).clamp(min=TINY)).clamp(max=1.0)
        return (self.clean + away).clamp(self.low, self.high) if self._bounded else self.clean + away

    @property
    def _bounded(self) -> bool:
        return self.low is not None or self.high is not None


def _ball(media: Mapping[str, Tensor], name: str, attack: Attack) -> _Ball:
    if not _is_moved(media[name]):
        raise ValueError(f"attack.radius.{name}: {media[name].dtype} are no numbers that can be moved a little")
    clean, low, high = _as_numbers(media[name]), attack.low.get(name), attack.high.get(name)
    real = _real(media, name)
    if clean.numel() and not (
        float(clean.min()) >= _or(low, -torch.inf) and float(clean.max()) <= _or(high, torch.inf)
    ):
        raise ValueError(
            f"{name} go from {float(clean.min()):g} to {float(clean.max()):g}, outside attack.low and attack.high "
            f"({low} and {high}); say in both what they can be for this model"
        )
    radius = clean.new_tensor(attack.radius[name])
    if attack.norm_of(name) == "snr":
        radius = _size(clean, real) * (attack.radius[name] * (1 - HAIR))
    return _Ball(clean, real, radius, attack.norm_of(name), low, high)


def _or(said: float | None, otherwise: float) -> float:
    return otherwise if said is None else said


def _is_moved(media: Tensor) -> bool:
    return media.is_floating_point() or media.dtype == torch.uint8


def _as_numbers(media: Tensor) -> Tensor:
    return media.detach() if media.is_floating_point() else media.float() / 255


def _real(media: Mapping[str, Tensor], name: str) -> Tensor:
    """Which numbers are no filling, to multiply with; one for all where nothing is filled up."""
    tensor = media[name]
    if name + REAL in media:
        return media[name + REAL][..., None].to(tensor.dtype)
    counter, axis = FILLED.get(name, ("", 0))
    if counter not in media:
        return torch.ones(len(tensor), *[1] * (tensor.dim() - 1), device=tensor.device)
    shape = [len(tensor), *[1] * (tensor.dim() - 1)]
    shape[axis] = tensor.shape[axis]
    at = torch.arange(tensor.shape[axis], device=tensor.device)
    return (at < media[counter].to(tensor.device)[:, None]).view(shape).to(_as_numbers(tensor[:0]).dtype)


def _with(batch: Batch, media: Mapping[str, Tensor]) -> Batch:
    prompts = replace(batch.prompts, media={**batch.prompts.media, **media}, media_keys=("",) * len(batch.prompts.ids))
    return replace(batch, prompts=prompts)


def _each(values: Tensor, of: Tensor) -> Tensor:
    return values.view(-1, *[1] * (of.dim() - 1))


def _size(media: Tensor, real: Tensor) -> Tensor:
    """The root mean square of each medium's real numbers, as a factor for it."""
    count = real.expand_as(media).flatten(1).sum(1).clamp(min=1)
    return _each(((media * real).flatten(1).square().sum(1) / count).sqrt(), media)


def _noise(media: Tensor, generator: torch.Generator | None) -> Tensor:
    drawn = torch.rand(media.shape, generator=generator, dtype=torch.float32)
    return (2 * drawn - 1).to(media)


class Attacked(nn.Module):
    """A module that in training learns from media moved against itself.

    Args:
        module: called as `module(batch, needs)`.
        objective: whose loss rises.
        attack: how.
    """

    def __init__(self, module: nn.Module, objective: Objective, attack: Attack):
        super().__init__()
        self.module, self.objective, self.attack = module, objective, attack

    def forward(self, batch: Batch, needs: frozenset[str]) -> Outputs:
        """As the module's, of moved media while it trains."""
        if self.training:
            batch = _laid_open(self.module, batch)
            moved = attacked(self.module, self.objective, batch, self.attack)
            batch = a_share_of(batch, moved, self.attack)
        out: Outputs = self.module(batch, needs)
        return out


def a_share_of(before: Batch, after: Batch, attack: Attack, generator: torch.Generator | None = None) -> Batch:
    """A batch in which only a share of the media is as an attack moved them, by lot.

    Args:
        before: as it was.
        after: all media moved.
        attack: says which media, and the share.
        generator: draws; torch's own if None.
    """
    if attack.share >= 1:
        return after
    media = {}
    for name in attack.radius:
        if name in after.prompts.media:
            tensor = after.prompts.media[name]
            kept = _each(torch.rand(len(tensor), generator=generator) >= attack.share, tensor).to(tensor.device)
            media[name] = torch.where(kept, _as_numbers(before.prompts.media[name]), tensor)
    return _with(after, media)


def in_training_against(model: Model | Predictor, objective: Objective, attack: Attack | None) -> nn.Module:
    """What is trained: the model itself, or one that learns from media moved against it.

    Args:
        model: with the processor that it reads with.
        objective: whose loss rises.
        attack: how; None for no attack.

    Raises:
        ValueError: if samples are to be moved and the model makes no log-mel frames of them, or embeddings that it
            does not have.
    """
    if attack is None:
        return model
    return Attacked(reading_what_moves(model, attack), objective, attack)


def reading_what_moves(model: Model | Predictor, attack: Attack) -> nn.Module:
    """A model that reads samples and embeddings too, where an attack moves them.

    Args:
        model: with the processor that it reads with.
        attack: says what it moves.

    Raises:
        ValueError: if the model makes no log-mel frames of samples, or has no such embeddings.
    """
    module: nn.Module = Hearing(model, model.processor) if attack.moves_samples else model
    return ReadingEmbeddings(module, model, attack.embeddings) if attack.embeddings else module


def _laid_open(module: nn.Module, batch: Batch) -> Batch:
    return module.laid_open(batch) if isinstance(module, ReadingEmbeddings) else batch
