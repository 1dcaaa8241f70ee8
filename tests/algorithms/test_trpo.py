import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_reading import batch_of, close, flat, mean, plain_rewards, random_rollout, rows
from torch import nn

from harken.algorithms.objective import Loss, OwnStep, RLAlgorithm, Rollout
from harken.algorithms.trpo import TRPO, mean_kl
from harken.data.batch import Completions, Outputs, collate, pad_right
from harken.data.blobs import Blobs
from harken.data.encoded import EncodedPrompts
from harken.models.generate import Decoding
from harken.train.sampler import LocalSampler

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))

from tiny import prompts, tiny_model

VOCABULARY = 4


class Policy(nn.Module):
    """A categorical policy with one hidden layer: states (N, T, 3) to logits (N, T, V)."""

    def __init__(self, seed: int):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)

        def matrix(rows_: int, columns: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(rows_, columns, generator=generator, dtype=torch.float64))

        self.inner, self.outer = matrix(3, 2), matrix(2, VOCABULARY)
        self.unused = matrix(1, 1)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return torch.tanh(states @ self.inner) @ self.outer


def flattened(module: nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in module.parameters()])


class Scene:
    """A policy, completions that it sampled, and the closure that a loop would make."""

    def __init__(self, seed: int, made: TRPO):
        self.made, self.policy = made, Policy(seed)
        generator = torch.Generator().manual_seed(seed)
        rollout = random_rollout(seed, n=8, prompts=2)
        self.states = torch.randn(*rollout.mask.shape, 3, generator=generator, dtype=torch.float64)
        logp = self.policy(self.states).detach().log_softmax(-1)
        drawn = torch.multinomial(logp.exp().flatten(0, 1), 1, generator=generator)
        self.ids = drawn.view(rollout.mask.shape)
        likely = logp.gather(-1, self.ids[..., None])[..., 0] * rollout.mask
        self.rollout = replace(rollout, logprobs=likely)
        self.labels = made.advantages(self.rollout)
        batch = batch_of(rollout.mask, self.labels, rollout.prompt)
        self.batch = replace(batch, completions=Completions(self.ids, rollout.mask, rollout.prompt))
        self.calls = 0

    def closure(self) -> Loss:
        self.calls += 1
        logits = self.policy(self.states)
        logprobs = logits.log_softmax(-1).gather(-1, self.ids[..., None])[..., 0]
        return self.made.loss(Outputs(logprobs=logprobs, logits=logits), self.batch)

    def tokens(self) -> list[tuple[int, int]]:
        return self.rollout.mask.nonzero().tolist()


def plain_surrogate(scene: Scene, policy: Policy) -> float:
    """1502.05477, eq. 14, token by token; the advantage of a completion is its return less the others' mean."""
    returns, prompt = (
        [sum(r) for r in plain_rewards(scene.rollout, scene.rollout.scores.tolist())],
        scene.rollout.prompt,
    )
    logits = policy(scene.states).tolist()
    out = []
    for n, t in scene.tokens():
        others = [returns[m] for m in range(len(returns)) if m != n and prompt[m] == prompt[n]]
        advantage = returns[n] - mean(others) if others else 0.0
        logp = logits[n][t][scene.ids[n, t]] - math.log(math.fsum(math.exp(z) for z in logits[n][t]))
        out.append(math.exp(logp - float(scene.rollout.logprobs[n, t])) * advantage)
    return mean(out)


def plain_kl(scene: Scene, old: Policy, new: Policy) -> float:
    out = []
    before, after = old(scene.states).tolist(), new(scene.states).tolist()
    for n, t in scene.tokens():
        p, q = ([math.exp(z) for z in logits[n][t]] for logits in (before, after))
        p, q = [x / math.fsum(p) for x in p], [x / math.fsum(q) for x in q]
        out.append(math.fsum(x * math.log(x / y) for x, y in zip(p, q, strict=True)))
    return mean(out)


def plain_fisher(scene: Scene) -> torch.Tensor:
    """The matrix itself: the mean over tokens of sum_a p(a) grad log p(a) grad log p(a)^T."""
    parameters = list(scene.policy.parameters())
    total = 0.0
    for n, t in scene.tokens():
        logp = scene.policy(scene.states[n, t]).log_softmax(-1)
        for action in range(VOCABULARY):
            slopes = torch.autograd.grad(logp[action], parameters, retain_graph=True, allow_unused=True)
            pairs = zip(slopes, parameters, strict=True)
            score = torch.cat([(torch.zeros_like(p) if g is None else g).flatten() for g, p in pairs])
            total = total + logp[action].exp().detach() * torch.outer(score, score)
    return total / len(scene.tokens())


def moved(policy: Policy, by: torch.Tensor) -> Policy:
    other = Policy(0)
    nn.utils.vector_to_parameters(flattened(policy) + by, other.parameters())
    return other


@pytest.mark.parametrize("max_kl", [0.001, 0.5, 30.0])
@pytest.mark.parametrize("seed", range(4))
def test_a_step_against_a_plain_reading_with_the_matrix_itself(seed, max_kl):
    """The direction by elimination, its first length by the quadratic model, then the first length that passes."""
    made = TRPO(max_kl=max_kl, iterations=40)
    scene, start = Scene(seed, made), Policy(seed)
    matrix = plain_fisher(scene) + made.damping * torch.eye(len(flattened(start)), dtype=torch.float64)
    slope = torch.zeros(len(matrix), dtype=torch.float64)
    for i in range(len(slope)):
        nudge = torch.zeros_like(slope)
        nudge[i] = 1e-6
        above, below = (plain_surrogate(scene, moved(start, sign * nudge)) for sign in (1, -1))
        slope[i] = (above - below) / 2e-6
    direction = torch.linalg.solve(matrix, slope)
    whole = (2 * max_kl / (direction @ matrix @ direction)).sqrt() * direction
    level, expected, tried = plain_surrogate(scene, start), flattened(start), -1
    for attempt in range(made.backtracks):
        there = moved(start, made.shrink**attempt * whole)
        if plain_surrogate(scene, there) > level and plain_kl(scene, start, there) <= max_kl:
            expected, tried = flattened(there), attempt
            break

    loss = made.optimizer(scene.policy).step(scene.closure)
    assert loss.metrics["trpo/backtracks"] == tried
    assert torch.allclose(flattened(scene.policy), expected, rtol=1e-4, atol=1e-6)
    assert loss.metrics["trpo/kl"] == pytest.approx(plain_kl(scene, start, scene.policy), rel=1e-9)
    assert loss.metrics["trpo/improvement"] == pytest.approx(plain_surrogate(scene, scene.policy) - level, rel=1e-6)


def test_the_plain_readings_of_this_file_search_as_well_as_step():
    """So that the test above is of the line search too: with these sizes some first lengths pass and some do not."""
    tried = set()
    for max_kl in (0.001, 0.5, 30.0):
        made = TRPO(max_kl=max_kl, iterations=40)
        for seed in range(4):
            scene = Scene(seed, made)
            tried.add(made.optimizer(scene.policy).step(scene.closure).metrics["trpo/backtracks"] > 0)
    assert tried == {True, False}


@given(seed=st.integers(0, 10_000), max_kl=st.floats(1e-4, 10.0))
@settings(max_examples=25)
def test_the_bound_is_held_and_the_surrogate_improves(seed, max_kl):
    scene = Scene(seed, TRPO(max_kl=max_kl))
    start = Policy(seed)
    loss = scene.made.optimizer(scene.policy).step(scene.closure)
    if loss.metrics["trpo/backtracks"] < 0:
        assert torch.equal(flattened(scene.policy), flattened(start))
    else:
        assert plain_kl(scene, start, scene.policy) <= max_kl * (1 + 1e-9)
        assert plain_surrogate(scene, scene.policy) > plain_surrogate(scene, start)
    assert torch.equal(scene.policy.unused, start.unused)


@pytest.mark.parametrize("refusal", ["kl", "worse", "nan"])
def test_a_search_that_finds_nothing_leaves_every_bit_as_it_was(refusal):
    scene = Scene(1, TRPO(backtracks=3))
    # Weights that do not come back by adding and taking away.
    scene.policy.inner.data.mul_(1.0 + 1e-9)
    before = flattened(scene.policy).clone()

    def closure() -> Loss:
        loss = scene.closure()
        if scene.calls == 1:
            return loss
        match refusal:
            case "kl":
                return replace(loss, constraint=loss.constraint + 1.0)
            case "worse":
                return replace(loss, value=loss.value + 100.0)
            case _:
                return replace(loss, value=loss.value * math.nan)

    loss = scene.made.optimizer(scene.policy).step(closure)
    assert scene.calls == 4
    assert torch.equal(flattened(scene.policy), before)
    assert loss.metrics["trpo/backtracks"] == -1


def test_without_a_slope_nothing_is_tried():
    scene = Scene(2, TRPO())
    scene.batch.labels["advantages"].zero_()
    before = flattened(scene.policy).clone()
    scene.made.optimizer(scene.policy).step(scene.closure)
    assert scene.calls == 1
    assert torch.equal(flattened(scene.policy), before)


def test_a_closure_that_forgets_the_first_policy_is_noticed():
    scene = Scene(1, TRPO())

    def forgetful() -> Loss:
        scene.batch.labels.pop("old_logits", None)
        return scene.closure()

    with pytest.raises(RuntimeError, match="same batches"):
        scene.made.optimizer(scene.policy).step(forgetful)


def test_a_loss_without_a_constraint_is_refused():
    scene = Scene(1, TRPO())
    with pytest.raises(ValueError, match="constraint"):
        scene.made.optimizer(scene.policy).step(lambda: replace(scene.closure(), constraint=None))


def test_the_rate_moves_the_size_of_the_region():
    kls = []
    for rate in (1.0, 0.01):
        scene = Scene(3, TRPO(max_kl=0.01))
        optimizer = scene.made.optimizer(scene.policy)
        optimizer.param_groups[0]["lr"] = rate
        kls.append(optimizer.step(scene.closure).metrics["trpo/kl"])
    assert kls[0] > 0.001
    assert 0 < kls[1] <= 0.0001


def test_torchs_attention_can_be_gone_through_twice():
    """Fused kernels have no second derivative; the optimizer asks for the one that has."""

    class Attentive(Policy):
        def forward(self, states):
            seen = states[:, None]
            looked = nn.functional.scaled_dot_product_attention(seen @ self.inner, seen @ self.inner, seen @ self.inner)
            return looked[:, 0] @ self.outer

    scene = Scene(0, TRPO())
    scene.policy = Attentive(0)
    optimizer = scene.made.optimizer(scene.policy)
    before = flattened(scene.policy).clone()
    first = scene.closure()
    with pytest.raises(RuntimeError, match="not implemented"):
        optimizer._first_step(first, list(scene.policy.parameters()), 0.01)
    scene.batch.labels.pop("old_logits")
    optimizer.step(scene.closure)
    assert not torch.equal(flattened(scene.policy), before)


def test_mean_kl_is_over_whole_distributions_and_reads_no_padding():
    rollout = random_rollout(0)
    generator = torch.Generator().manual_seed(0)
    old, new = torch.randn(2, *rollout.mask.shape, VOCABULARY, generator=generator, dtype=torch.float64)
    plain = []
    for p, q in zip(old[rollout.mask].tolist(), new[rollout.mask].tolist(), strict=True):
        a, b = ([math.exp(z) / math.fsum(math.exp(y) for y in logits) for z in logits] for logits in (p, q))
        plain.append(math.fsum(x * math.log(x / y) for x, y in zip(a, b, strict=True)))
    assert close(mean_kl(old, new, rollout.mask), mean(plain))
    rubbish = torch.where(rollout.mask[..., None], new, math.nan)
    assert close(mean_kl(old, rubbish, rollout.mask), mean(plain))


def test_what_cannot_be_written_has_no_share_in_the_kl():
    old, new = torch.tensor([[[0.0, 1.0, -1e9]]]), torch.tensor([[[1.0, 0.0, -1e9]]], requires_grad=True)
    found = mean_kl(old, new, torch.ones(1, 1, dtype=torch.bool))
    (slope,) = torch.autograd.grad(found, new)
    assert torch.isfinite(found)
    assert torch.isfinite(slope).all()
    assert found.item() > 0


def test_the_loss_at_the_policy_that_sampled():
    scene = Scene(4, TRPO())
    loss = scene.closure()
    tokens = flat(rows(scene.labels["advantages"], scene.rollout.mask))
    assert close(loss.value.detach(), -mean(tokens))
    assert loss.constraint.item() == 0.0
    assert loss.weight == len(tokens)


@pytest.mark.parametrize("recompute", [False, True])
def test_a_multimodal_model_is_moved_within_its_region(tmp_path, recompute):
    """Pictures, sounds and ragged answers over the shared prefix; with and without recomputed activations."""
    model, made = tiny_model(), TRPO()
    model.recompute = recompute
    encoded = EncodedPrompts(model.processor, Blobs(tmp_path))
    asked = prompts(encoded.blobs)
    answered = torch.arange(len(asked)).repeat_interleave(3)
    sampled = LocalSampler(model, encoded).sample(asked, answered, Decoding(8), 3)
    batch = collate(encoded(asked), sampled.ids, answered.tolist(), model.processor.pad_id)
    logprobs = pad_right(sampled.logprobs, 0.0)
    scores = torch.randn(len(answered), generator=torch.Generator().manual_seed(0))
    nothing, mask = torch.zeros_like(logprobs), batch.completions.mask
    batch.labels.update(
        made.advantages(Rollout(answered, mask, logprobs, logprobs, scores, nothing, sampled.finished, 0.0))
    )
    started = model(batch, made.needs).logits.detach()
    optimizer = made.optimizer(model)
    loss = optimizer.step(lambda: made.loss(model(batch, made.needs), batch))
    assert loss.metrics["trpo/improvement"] > 0
    kl = mean_kl(started, model(batch, made.needs).logits.detach(), mask).item()
    assert 1e-4 < kl <= made.max_kl * 1.001
    assert kl == pytest.approx(loss.metrics["trpo/kl"], rel=1e-3)


def test_it_is_a_reinforcement_method_with_its_own_step():
    assert isinstance(TRPO(), RLAlgorithm)
    assert isinstance(TRPO(), OwnStep)


@pytest.mark.parametrize("wrong", [{"group": 1}, {"max_kl": 0.0}, {"damping": 0.0}, {"shrink": 1.0}, {"backtracks": 0}])
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match="trpo"):
        TRPO(**wrong)
