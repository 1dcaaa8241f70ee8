"""Readings of the papers with loops and floats, and random rollouts to set against them."""

import math
from dataclasses import replace

import torch
from torch import Tensor

from harken.algorithms.objective import Rollout
from harken.data.batch import Batch, Completions, Outputs, Prompts


def rows(tensor: Tensor, mask: Tensor) -> list[list[float]]:
    """The tokens of each completion, without padding."""
    return [tensor[n, mask[n]].tolist() for n in range(len(tensor))]


def random_rollout(seed: int, n: int = 6, t: int = 7, prompts: int = 3, coefficient: float = 0.3) -> Rollout:
    """Ragged completions in ragged groups, in double precision."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    lengths = torch.randint(1, t + 1, (n,), generator=generator)
    mask = torch.arange(t)[None] < lengths[:, None]
    return Rollout(
        prompt=torch.randint(0, prompts, (n,), generator=generator),
        mask=mask,
        logprobs=-draw(n, t).abs() * mask,
        reference_logprobs=-draw(n, t).abs() * mask,
        scores=draw(n),
        values=draw(n, t) * mask,
        finished=draw(n) > 0,
        kl_coefficient=coefficient,
        shaping=draw(n, t) * mask,
    )


def random_outputs(seed: int, mask: Tensor) -> Outputs:
    """What a policy says now, with gradients."""
    generator = torch.Generator().manual_seed(1000 + seed)

    def draw() -> Tensor:
        return torch.randn(*mask.shape, generator=generator, dtype=torch.float64)

    def leaf(tensor: Tensor) -> Tensor:
        return (tensor * mask).requires_grad_()

    return Outputs(logprobs=leaf(-draw().abs()), entropy=leaf(draw().abs()), values=leaf(draw()))


def batch_of(mask: Tensor, labels: dict[str, Tensor], prompt: Tensor | None = None) -> Batch:
    """A batch whose prompts' tokens no loss reads; all completions are of one prompt if not said."""
    prompt = torch.zeros(len(mask), dtype=torch.long) if prompt is None else prompt
    prompts = Prompts(torch.zeros(1, 1, dtype=torch.long), torch.ones(1, 1, dtype=torch.bool), {}, {}, {})
    ids = torch.zeros(mask.shape, dtype=torch.long)
    return Batch(prompts, Completions(ids, mask, prompt), labels)


def flat(nested: list[list[float]]) -> list[float]:
    """All tokens of all completions."""
    return [value for row in nested for value in row]


def close(one: Tensor | float, other: Tensor | float | list[float]) -> bool:
    """Equal in double precision, up to rounding."""
    one, other = (torch.as_tensor(x, dtype=torch.float64) for x in (one, other))
    return one.shape == other.shape and torch.allclose(one, other, rtol=1e-9, atol=1e-11)


def gradients(value: Tensor, outputs: Outputs, names: frozenset[str]) -> dict[str, Tensor]:
    """Of a loss, by the outputs that it reads."""
    leaves = {"logprobs": outputs.logprobs, "entropy": outputs.entropy, "values": outputs.values}
    wanted = [leaves[name] for name in sorted(names)]
    found = torch.autograd.grad(value, wanted, allow_unused=True)
    return {
        name: torch.zeros_like(leaf) if gradient is None else gradient
        for name, leaf, gradient in zip(sorted(names), wanted, found, strict=True)
    }


def assert_invariance(algorithm, seed: int) -> None:
    """Order of rows and padding, with rubbish in it, move neither the loss nor its gradients."""
    rollout = random_rollout(seed)
    outputs = random_outputs(seed, rollout.mask)
    value, slopes = loss_of(algorithm, rollout, outputs)

    order = torch.randperm(len(rollout.prompt), generator=torch.Generator().manual_seed(seed))
    moved = Rollout(**{k: v[order] if isinstance(v, torch.Tensor) else v for k, v in vars(rollout).items()})
    turned = Outputs(*(t[order].detach().requires_grad_() for t in (outputs.logprobs, outputs.entropy, outputs.values)))
    other, other_slopes = loss_of(algorithm, moved, turned)
    assert close(value, other)
    assert all(close(slopes[name][order], other_slopes[name]) for name in slopes)

    n, t = rollout.mask.shape

    def wider(tensor: Tensor) -> Tensor:
        return torch.cat([tensor, tensor.new_zeros(n, 3)], 1)

    fields = ("mask", "logprobs", "reference_logprobs", "values", "shaping")
    padded = replace(rollout, **{name: wider(vars(rollout)[name]) for name in fields})
    stretched = Outputs(
        *(wider(x.detach()).requires_grad_() for x in (outputs.logprobs, outputs.entropy, outputs.values))
    )
    labels = algorithm.advantages(padded)
    rubbish = {
        name: torch.where(padded.mask, label, math.nan) if label.dim() == 2 else label for name, label in labels.items()
    }
    loss = algorithm.loss(stretched, batch_of(padded.mask, rubbish, padded.prompt)).value
    found = gradients(loss, stretched, algorithm.needs)
    assert close(value, loss)
    for name, gradient in found.items():
        assert close(gradient[:, :t], slopes[name])
        assert (gradient[:, t:] == 0).all()


def assert_parts_make_the_whole(algorithm, seed: int) -> None:
    """A batch's loss, and its gradients, are the means of its parts' by their weights; the parts hold whole prompts.

    The weights differ: the test would pass with any weights if they were all alike.
    """
    rollout = random_rollout(seed, n=12, prompts=4)
    outputs = random_outputs(seed, rollout.mask)
    labels = algorithm.advantages(rollout)
    whole = algorithm.loss(outputs, batch_of(rollout.mask, labels, rollout.prompt))
    slopes = gradients(whole.value, outputs, algorithm.needs)
    parts = []
    for mine in (rollout.prompt == 0, (rollout.prompt == 1) | (rollout.prompt == 2), rollout.prompt == 3):
        part = batch_of(
            rollout.mask[mine], {name: tensor[mine] for name, tensor in labels.items()}, rollout.prompt[mine]
        )
        parts.append(algorithm.loss(Outputs(outputs.logprobs[mine], outputs.entropy[mine], outputs.values[mine]), part))
    assert len({part.weight for part in parts}) > 1
    total = math.fsum(part.weight for part in parts)
    assert math.isclose(total, whole.weight)
    accumulated = sum(part.value * (part.weight / total) for part in parts)
    assert close(accumulated.detach(), whole.value.detach())
    for name, slope in gradients(accumulated, outputs, algorithm.needs).items():
        assert close(slope, slopes[name])


def loss_of(algorithm, rollout: Rollout, outputs: Outputs) -> tuple[Tensor, dict[str, Tensor]]:
    """An algorithm's loss on a rollout, and its gradients."""
    value = algorithm.loss(outputs, batch_of(rollout.mask, algorithm.advantages(rollout), rollout.prompt)).value
    return value, gradients(value, outputs, algorithm.needs)


def plain_gradient(function, tensor: Tensor, mask: Tensor, step: float = 1e-6) -> Tensor:
    """Central differences of a function of ragged rows."""
    out = torch.zeros_like(tensor)
    with torch.no_grad():
        for n, t in mask.nonzero().tolist():
            moved = tensor.detach().clone()
            moved[n, t] += step
            above = function(rows(moved, mask))
            moved[n, t] -= 2 * step
            out[n, t] = (above - function(rows(moved, mask))) / (2 * step)
    return out


def plain_gae(rewards: list[float], values: list[float], gamma: float, lam: float) -> list[float]:
    """1506.02438, eq. 16 for one completion: the sum of (gamma lam)^l delta_{t + l}."""
    deltas = [
        reward + gamma * (values[t + 1] if t + 1 < len(values) else 0.0) - values[t] for t, reward in enumerate(rewards)
    ]
    return [sum((gamma * lam) ** ahead * delta for ahead, delta in enumerate(deltas[t:])) for t in range(len(deltas))]


def plain_rewards(rollout: Rollout, scores: list[float], shaped: bool = False) -> list[list[float]]:
    """1909.08593, eq. 2, token by token; with what single tokens are given besides."""
    new, old = rows(rollout.logprobs, rollout.mask), rows(rollout.reference_logprobs, rollout.mask)
    out = []
    for n, score in enumerate(scores):
        row = [-rollout.kl_coefficient * (p - q) for p, q in zip(new[n], old[n], strict=True)]
        row[-1] += score
        if shaped:
            row = [reward + more for reward, more in zip(row, rollout.shaping[n].tolist(), strict=False)]
        out.append(row)
    return out


def mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)
