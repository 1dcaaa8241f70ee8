import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.reward.likelihoods.edit import edit_weight, log_likelihood


@pytest.mark.parametrize(
    ("original", "revision", "weight"),
    [
        ("The number is 42.", "The number is 42.", 0.0),
        ("", "", 0.0),
        ("", "It is 7.", 1.0),
        ("yes", "no", 1.0),
        ("The number is 42", "The  number\nis 42", 0.0),
        ("The number is 42.", "The number is 43.", 1 - 2 * 4 / 10),
        ("It is 7", "It is 7.", 1 - 2 * 3 / 7),
        ("答案是四。", "答案是五。", 1 - 2 * 4 / 10),
        ("读作７号", "读作８号", 1 - 2 * 3 / 8),
    ],
)
def test_weight_is_the_share_of_words_that_changed(original, revision, weight):
    assert edit_weight(original, revision) == pytest.approx(weight)


@given(st.text(max_size=40), st.text(max_size=40))
@settings(max_examples=50)
def test_weight_lies_between_0_and_1(original, revision):
    assert 0.0 <= edit_weight(original, revision) <= 1.0
    assert edit_weight(original, original) == 0.0


def test_a_long_repetitive_text_is_compared_in_full():
    """difflib would otherwise leave words out that are frequent in texts of 200 words and more."""
    assert edit_weight("the cat " * 150, "sat " + "the cat " * 150) < 0.01


def test_the_revision_beats_the_original():
    scores = torch.tensor([[0.3, 1.0], [1.5, -1.0]], dtype=torch.float64, requires_grad=True)
    one, zero = torch.tensor([1]), torch.tensor([0])
    found = log_likelihood(scores[one], scores[zero])
    plain = [math.log(1 / (1 + math.exp(-1.2))), math.log(1 / (1 + math.exp(2.0)))]
    assert found[0].tolist() == pytest.approx(plain)
    assert torch.allclose(found.exp() + log_likelihood(scores[zero], scores[one]).exp(), torch.ones(1, 2).double())
    assert torch.autograd.gradcheck(lambda s: log_likelihood(s[one], s[zero]), (scores,))
    assert torch.isfinite(log_likelihood(torch.tensor([[-1e4]]), torch.tensor([[1e4]]))).all()
