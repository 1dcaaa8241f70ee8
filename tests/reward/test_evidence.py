import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harken.reward.evidence import EVIDENCE_RULES, Evidence, fluency, relevance


def evidence(seed: int, blind: bool = True) -> Evidence:
    generator = torch.Generator().manual_seed(seed)
    mask = torch.arange(6)[None] < torch.randint(1, 7, (5, 1), generator=generator)
    seen, unseen = (-torch.rand(5, 6, generator=generator, dtype=torch.float64) for _ in range(2))
    # What stands where there is no token is never read.
    seen, unseen = (torch.where(mask, logprobs, math.nan) for logprobs in (seen, unseen))
    return Evidence(mask, seen, unseen if blind else None)


@given(seed=st.integers(0, 10_000))
def test_means_a_token_against_a_plain_reading(seed):
    given_ = evidence(seed)
    for n, row in enumerate(given_.mask.tolist()):
        places = [t for t, here in enumerate(row) if here]
        seen = [float(given_.reference_logprobs[n, t]) for t in places]
        unseen = [float(given_.blind_logprobs[n, t]) for t in places]
        assert float(fluency(given_)[n]) == pytest.approx(math.fsum(seen) / len(places))
        told = math.fsum(a - b for a, b in zip(seen, unseen, strict=True)) / len(places)
        assert float(relevance(given_)[n]) == pytest.approx(told)


def test_what_is_as_likely_without_the_medium_is_not_relevant():
    given_ = evidence(0)
    assert (relevance(Evidence(given_.mask, given_.reference_logprobs, given_.reference_logprobs)) == 0).all()


def test_relevance_needs_the_blind():
    with pytest.raises(ValueError, match="blind_logprobs"):
        relevance(evidence(0, blind=False))
    assert torch.isfinite(fluency(evidence(0, blind=False))).all()


def test_each_rule_says_what_it_reads():
    fields = set(Evidence.__dataclass_fields__)
    assert all(rule.needs <= fields for rule in EVIDENCE_RULES.values())
    assert EVIDENCE_RULES["fluency"].needs == {"reference_logprobs"}
    assert EVIDENCE_RULES["relevance"].needs == {"reference_logprobs", "blind_logprobs"}
