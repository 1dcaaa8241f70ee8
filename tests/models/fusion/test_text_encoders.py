"""Encoders of text: what lies beyond a text's end changes nothing, and gradients reach the words."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_text import CORPUS, OWN, text_family

from harken.models.fusion import parts
from harken.models.fusion.build import build
from harken.models.fusion.recurrent import Recurrent

VOCABULARY = 11
KNOWN = {"gru": {"vocabulary": VOCABULARY}, "lstm": {"vocabulary": VOCABULARY, "bidirectional": False}}
KNOWN |= {"transformer": {"vocabulary": VOCABULARY}, "words": {"vocabulary": VOCABULARY - 1}}


def encoder_of(name: str):
    torch.manual_seed(1)
    return parts.encoder("text", {**OWN[name], **KNOWN[name]}).build().double()


@pytest.mark.parametrize("name", sorted(OWN))
@settings(max_examples=15)
@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=5), seed=st.integers(0, 1000))
def test_padding_changes_nothing(name, lengths, seed):
    encoder = encoder_of(name)
    ids = torch.randint(VOCABULARY, (len(lengths), 9), generator=torch.Generator().manual_seed(seed))
    stream = encoder(ids, torch.tensor(lengths))
    assert stream.states.shape == (len(lengths), 9, encoder.width)
    assert stream.real.sum(1).tolist() == lengths
    assert not stream.states[~stream.real].any()
    for row, length in enumerate(lengths):
        alone = encoder(ids[row : row + 1, :length]).states[0]
        torch.testing.assert_close(stream.states[row, :length], alone, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ["gru", "transformer"])
def test_both_sides_are_read(name):
    encoder = encoder_of(name)
    ids = torch.tensor([[1, 2, 3, 4]])
    for changed in (0, 3):
        other = ids.clone()
        other[0, changed] = 9
        moved = (encoder(other).states - encoder(ids).states).abs().amax(-1)[0]
        assert (moved > 1e-9).all()


@pytest.mark.parametrize("name", sorted(OWN))
def test_gradients_reach_the_words_that_were_read(name):
    encoder = encoder_of(name)
    encoder(torch.tensor([[3, 5, 7, 7]]), torch.tensor([2])).states.square().sum().backward()
    first = 1 if name == "words" else 0  # there id 0 is a word not known, and has no row in the table
    assert encoder.table.weight.grad.any(1).nonzero().flatten().tolist() == [3 - first, 5 - first]


def test_words_not_known_share_a_vector_that_is_learnt_though_the_others_are_frozen():
    encoder = parts.encoder("text", {**OWN["words"], "vocabulary": 4, "train": False}).build()
    states = encoder(torch.tensor([[0, 2, 0]])).states
    assert torch.equal(states[0, 0], states[0, 2])
    assert torch.equal(states[0, 0], encoder.unknown)
    states.sum().backward()
    assert encoder.unknown.grad.any()
    assert encoder.table.weight.grad is None


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_row_without_steps_is_nothing(cell):
    recurrent = Recurrent(cell, 3, 4, 1, bidirectional=True)
    stream = recurrent(torch.randn(3, 5, 3), torch.tensor([2, 0, 5]))
    assert stream.real.sum(1).tolist() == [2, 0, 5]
    assert not stream.states[1].any()
    assert recurrent(torch.randn(2, 4, 3), torch.tensor([0, 0])).states.shape == (2, 4, 4)
    assert recurrent(torch.randn(2, 0, 3), torch.tensor([0, 0])).states.shape == (2, 0, 4)


@pytest.mark.parametrize("name", sorted(OWN))
def test_the_same_seed_gives_the_same_bits(name):
    (one, _), (other, _) = (build(text_family(OWN[name]), CORPUS, 5) for _ in range(2))
    ids, lengths = torch.tensor([[3, 5, 7, 1]]), torch.tensor([4])
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    encoders = [trunk.model.encoders["text"].encoder for trunk in (one, other)]
    assert torch.equal(encoders[0](ids, lengths).states, encoders[1](ids, lengths).states)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"name": "gru", "hidden": 7}, "text.hidden must be even, not 7"),
        ({"name": "transformer", "hidden": 10, "heads": 4}, "multiple of text.heads"),
        ({"name": "transformer", "hidden": 9, "heads": 3}, "text.hidden must be even, not 9"),
        ({"name": "lstm", "layers": 0}, "text.layers must be a number from 1 up"),
        ({"name": "words", "max_tokens": 0}, "text.max_tokens must be a number from 1 up"),
        ({"name": "pretrained"}, "text.path is missing"),
        ({"name": "gruu"}, "did you mean 'gru'"),
        ({"name": "gru", "bidirektional": True}, "did you mean 'bidirectional'"),
    ],
)
def test_settings_that_are_wrong_are_refused(said, why):
    with pytest.raises(parts.PartError, match=why):
        text_family(said)


def test_a_vocabulary_other_than_the_tokenizers_is_refused():
    with pytest.raises(ValueError, match=r"text\.vocabulary is 7, but the tokenizer came to have"):
        build(text_family({"name": "gru", "vocabulary": 7}), CORPUS, 0)
    with pytest.raises(ValueError, match="not known before there is a tokenizer"):
        parts.encoder("text", {"name": "gru"}).build()
