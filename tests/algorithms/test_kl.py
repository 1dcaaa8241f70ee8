import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_reading import close, plain_rewards, random_rollout, rows

from harken.algorithms.kl import ESTIMATORS, AdaptiveKL, k1, k2, k3, penalised_rewards


@pytest.mark.parametrize("seed", range(3))
def test_estimators_say_what_the_note_says(seed):
    rollout = random_rollout(seed)
    new, old, mask = rollout.logprobs, rollout.reference_logprobs, rollout.mask
    for n, (p, q) in enumerate(zip(rows(new, mask), rows(old, mask), strict=True)):
        ratio = [math.exp(b - a) for a, b in zip(p, q, strict=True)]
        assert close(k1(new, old, mask)[n, mask[n]], [-math.log(r) for r in ratio])
        assert close(k2(new, old, mask)[n, mask[n]], [math.log(r) ** 2 / 2 for r in ratio])
        assert close(k3(new, old, mask)[n, mask[n]], [r - 1 - math.log(r) for r in ratio])


def test_k1_and_k3_are_unbiased_over_a_distribution():
    p = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    q = torch.tensor([0.2, 0.2, 0.6], dtype=torch.float64)
    everything = torch.ones(1, 3, dtype=torch.bool)
    true = float((p * (p / q).log()).sum())
    for estimator in (k1, k3):
        assert close((estimator(p.log()[None], q.log()[None], everything) * p).sum(), true)


def test_what_is_masked_is_not_read():
    mask = torch.tensor([[True, False]])
    new = torch.tensor([[-1.0, math.nan]], requires_grad=True)
    for estimator in (k1, k2, k3):
        out = estimator(new, torch.tensor([[-2.0, -math.inf]]), mask)
        assert out[0, 1] == 0
        (slope,) = torch.autograd.grad(out.sum(), new)
        assert torch.isfinite(slope).all()


@pytest.mark.parametrize("seed", range(3))
def test_the_reward_of_each_token(seed):
    rollout = random_rollout(seed)
    found = penalised_rewards(
        rollout.scores, rollout.logprobs, rollout.reference_logprobs, rollout.mask, rollout.kl_coefficient
    )
    for n, plain in enumerate(plain_rewards(rollout, rollout.scores.tolist())):
        assert close(found[n, rollout.mask[n]], plain)
    assert (found[~rollout.mask] == 0).all()


def test_the_weight_follows_the_paper():
    steered = AdaptiveKL(initial=0.2, target=6.0, horizon=10_000)
    # e = 6.6 / 6 - 1 = 0.1, K_beta = 1000 / 10000
    assert steered.update(0.2, 6.6, 1000) == pytest.approx(0.2 * (1 + 0.1 * 0.1))
    assert steered.update(0.2, 100.0, 1000) == pytest.approx(0.2 * (1 + 0.2 * 0.1))
    assert steered.update(0.2, -100.0, 1000) == pytest.approx(0.2 * (1 - 0.2 * 0.1))
    assert steered.update(0.2, 6.0, 1000) == 0.2
    assert AdaptiveKL(adaptive=False).update(0.2, 100.0, 1000) == 0.2


@given(coefficient=st.floats(1e-6, 10), kl=st.floats(-1e6, 1e6), n=st.integers(1, 10**9), horizon=st.integers(1, 10**6))
@settings(max_examples=50)
def test_the_weight_stays_positive_and_moves_the_right_way(coefficient, kl, n, horizon):
    new = AdaptiveKL(target=6.0, horizon=horizon).update(coefficient, kl, n)
    assert 0.8 * coefficient * (1 - 1e-12) <= new <= 1.2 * coefficient * (1 + 1e-12)
    assert (new - coefficient) * (kl - 6.0) >= 0


def test_settings_that_make_no_sense_are_refused():
    for wrong in ({"initial": -0.1}, {"initial": math.nan}, {"target": 0.0}, {"horizon": 0}):
        with pytest.raises(ValueError, match="kl"):
            AdaptiveKL(**wrong)
    with pytest.raises(ValueError, match="cannot follow"):
        AdaptiveKL().update(0.1, math.nan, 8)


def test_the_gradients_of_the_estimators_as_a_loss():
    """Over all outcomes of one draw: 0, that of KL(policy || reference), and that of KL(reference || policy)."""
    logits = torch.tensor([0.4, -1.0, 0.2], dtype=torch.float64, requires_grad=True)
    q = torch.tensor([0.2, 0.2, 0.6], dtype=torch.float64)
    everything = torch.ones(1, 3, dtype=torch.bool)
    logp = logits.log_softmax(0)
    p = logp.exp()

    def slope(value):
        return torch.autograd.grad(value, logits, retain_graph=True)[0]

    found = {
        name: slope((p.detach() * estimator(logp[None], q.log()[None], everything)[0]).sum())
        for name, estimator in ESTIMATORS.items()
    }
    assert close(found["k1"], torch.zeros(3))
    assert close(found["k2"], slope((p * (logp - q.log())).sum()))
    assert close(found["k3"], slope((q * (q.log() - logp)).sum()))
    assert found["k2"].abs().max() > 0.1
