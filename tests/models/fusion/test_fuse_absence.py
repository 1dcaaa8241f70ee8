"""What is absent changes nothing, whichever way modalities are joined: no filling, no neighbour, no order of rows."""

import pytest
import torch
from random_streams import COUNTS, WAYS, WIDTH, noise, row, spoilt, streams, way
from torch import Tensor

from harken.models.fusion.stream import Stream, from_rows

BOTH, ALL = ("image", "audio"), ("image", "audio", "text")
each_way = pytest.mark.parametrize("name", sorted(WAYS))
decoded_or_not = pytest.mark.parametrize("decoded", [False, True])


def same(ours: Tensor, plain: Tensor) -> bool:
    return ours.shape == plain.shape and torch.allclose(ours, plain, atol=1e-9, rtol=1e-9)


@each_way
@decoded_or_not
@pytest.mark.parametrize("modalities", [BOTH, ALL])
def test_rows_are_what_they_are_alone(name, decoded, modalities):
    """Also rows that lack one modality, and the one that lacks all of them."""
    fuse, given = way(name, modalities, decoded), streams(modalities)
    fused = fuse(given)
    assert fused.shared.shape == (5, WIDTH)
    assert fused.shared.isfinite().all()
    for b in range(5):
        alone = fuse(row(given, b))
        assert same(fused.shared[b], alone.shared[0])
        for modality in modalities:
            stream = fused.streams[modality]
            assert torch.equal(stream.real, given[modality].real)
            assert same(stream.states[b][stream.real[b]], alone.streams[modality].rows())


@each_way
@decoded_or_not
def test_what_is_not_real_is_not_looked_at(name, decoded):
    fuse, given = way(name, ALL, decoded), streams(ALL)
    other = spoilt(given)
    fused, with_garbage = fuse(given), fuse(other)
    assert same(with_garbage.shared, fused.shared)
    for modality in ALL:
        assert same(with_garbage.streams[modality].rows(), fused.streams[modality].rows())


@each_way
@decoded_or_not
def test_the_order_of_rows_is_no_matter(name, decoded):
    fuse, given = way(name, ALL, decoded), streams(ALL)
    order = torch.tensor([3, 0, 4, 2, 1])
    turned = fuse({m: Stream(s.states[order], s.real[order]) for m, s in given.items()})
    fused = fuse(given)
    assert same(turned.shared, fused.shared[order])
    for modality in ALL:
        assert same(turned.streams[modality].states, fused.streams[modality].states[order])


@each_way
@decoded_or_not
def test_a_batch_may_lack_a_modality_or_all(name, decoded):
    fuse, given = way(name, BOTH, decoded), streams(BOTH)
    none = from_rows(noise(0, WIDTH), torch.zeros(5, dtype=torch.long))
    deaf = fuse({"image": given["image"], "audio": none}).shared
    # As if the sounds were there and left out.
    assert same(
        deaf, fuse({"image": given["image"], "audio": given["audio"].only(torch.zeros(5, dtype=torch.bool))}).shared
    )
    assert same(deaf[2], fuse(given).shared[2])
    nothing = fuse({"image": none, "audio": none}).shared
    assert nothing.isfinite().all()
    assert same(nothing, fuse(given).shared[3].expand(5, -1))


@each_way
def test_media_of_one_kind(name):
    """Several media of different lengths in a row: each is compressed by itself, and its filling changes nothing."""
    fuse = way(name)
    lengths = torch.tensor([4, 1, 3])
    media = from_rows(noise(8, WIDTH, seed=3), lengths)
    made = fuse.compress("audio", media)
    dirty = fuse.compress("audio", spoilt({"audio": media})["audio"])
    assert same(dirty.rows(), made.rows())
    for n, length in enumerate(lengths.tolist()):
        alone = fuse.compress("audio", Stream(media.states[n : n + 1, :length], media.real[n : n + 1, :length]))
        assert same(made.states[n][made.real[n]], alone.rows())
    # Two media of one row, and one of another: other numbers than one alone.
    counts = [int(made.real[:2].sum()), int(made.real[2:].sum())]
    heard = from_rows(made.rows(), torch.tensor(counts))
    seen = from_rows(noise(2, WIDTH, seed=4), torch.tensor([1, 1]))
    shared = fuse({"image": seen, "audio": heard}).shared
    one = from_rows(made.states[0][made.real[0]], torch.tensor([int(made.real[0].sum()), 0]))
    without = fuse({"image": seen, "audio": one}).shared
    assert (shared[0] - without[0]).abs().max() > 1e-4


@each_way
@pytest.mark.parametrize("modalities", [BOTH, ALL])
def test_every_weight_is_reached(name, modalities):
    fuse = way(name, modalities)
    given = streams(modalities)
    compressed = {}
    for modality, stream in given.items():
        media = fuse.compress(modality, Stream(stream.states[:1], stream.real[:1]))
        compressed[modality] = from_rows(media.rows(), media.real.sum(1))
    named = dict(fuse.named_parameters())
    found = torch.autograd.grad((fuse(compressed).shared * noise(1, WIDTH)).sum(), list(named.values()))
    unused = {name for name, gradient in zip(named, found, strict=True) if not gradient.abs().max() > 0}
    # What stands for an absent modality is learnt where one is absent.
    assert unused <= {"absent"}


@each_way
def test_every_modality_is_heard(name):
    """Another picture, another sound and another text each give another shared state."""
    fuse, given = way(name, ALL), streams(ALL)
    other = streams(ALL, seed=1)
    before = fuse(given).shared
    for modality in ALL:
        moved = (fuse({**given, modality: other[modality]}).shared - before).abs().amax(1) > 1e-6
        assert moved.tolist() == [count > 0 for count in COUNTS[modality]]
