"""Top-k, top-p and min-p against plain lists."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.models.choice import min_p, top_k, top_p
from harken.models.generate import Decoding

LOGITS = st.lists(st.integers(-50, 50).map(lambda z: z / 10), min_size=2, max_size=9, unique=True)


def normalised(logits: list[float]) -> list[float]:
    total = math.log(sum(math.exp(z) for z in logits))
    return [z - total for z in logits]


def kept(logp: torch.Tensor) -> set[int]:
    return {i for i, z in enumerate(logp[0].tolist()) if z != -math.inf}


@settings(max_examples=60)
@given(logits=LOGITS, k=st.integers(1, 9), p=st.floats(0.05, 0.95))
def test_what_is_kept(logits, k, p):
    logp = normalised(logits)
    tensor = torch.tensor([logp], dtype=torch.float64)
    order = sorted(range(len(logp)), key=lambda i: -logp[i])
    assert kept(top_k(tensor, k)) == set(order[:k])
    assert kept(min_p(tensor, p)) == {i for i in order if math.exp(logp[i]) >= p * math.exp(logp[order[0]]) - 1e-12}
    nucleus: set[int] = set()
    for i in order:
        nucleus.add(i)
        if sum(math.exp(logp[j]) for j in nucleus) >= p:
            break
    near = abs(sum(math.exp(logp[j]) for j in nucleus) - p) < 1e-9
    assert near or kept(top_p(tensor, p)) == nucleus


@pytest.mark.parametrize(
    "wrong", [{"top_k": -1}, {"top_p": 0.0}, {"min_p": 1.5}, {"min_tokens": 99}, {"stop": ("",)}, {"top_p": 1.1}]
)
def test_decoding_refuses(wrong):
    with pytest.raises(ValueError, match="decoding needs"):
        Decoding(max_tokens=8, **wrong)
