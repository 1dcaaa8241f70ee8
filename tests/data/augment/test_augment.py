"""Augmentation: what it may do to pictures and sounds, and what it never does."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harken.data.augment.media import Augmentation
from harken.data.augment.picture import PictureChange
from harken.data.augment.spectrogram import SpectrogramChange

SIZES = st.integers(1, 9)
PICTURES = st.tuples(st.integers(1, 5), st.sampled_from([1, 3]), SIZES, SIZES, st.booleans(), st.integers(0, 99))
CHANGES = st.builds(PictureChange, st.booleans(), st.integers(0, 12), st.integers(0, 12))
SOUNDS = st.tuples(st.integers(1, 4), st.integers(1, 8), st.lists(st.integers(0, 12), min_size=1, max_size=4))
SOUND_CHANGES = st.builds(
    SpectrogramChange,
    st.integers(0, 10), st.integers(0, 15), st.integers(0, 3), st.floats(0, 1), st.sampled_from([0.0, 0.7]),
)  # fmt: skip
OFF = SpectrogramChange(bands=0, frames=0)


def pictures(count: int, channels: int, height: int, width: int, whole: bool, seed: int) -> torch.Tensor:
    made = torch.rand(count, channels, height, width, generator=torch.Generator().manual_seed(seed))
    return (made * 255).to(torch.uint8) if whole else made


def sounds(bands: int, lengths: list[int], seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    made = torch.randn(len(lengths), bands, max(lengths) + 2, generator=torch.Generator().manual_seed(seed))
    return made, torch.tensor(lengths)


def drawn(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(PICTURES, CHANGES, st.integers(0, 9))
def test_a_picture_keeps_its_shape_and_type_and_gives_what_it_has(size, change, seed):
    before = pictures(*size)
    kept = before.clone()
    after = change(before, drawn(seed))
    assert (after.shape, after.dtype) == (before.shape, before.dtype)
    assert torch.equal(before, kept), "the batch that others hold is left alone"
    assert torch.equal(after, change(before, drawn(seed))), "the generator decides alone"
    for was, now in zip(before.flatten(0, 1), after.flatten(0, 1), strict=True):
        assert change.cover or torch.isin(now, was).all()


@given(PICTURES, st.integers(0, 9))
def test_all_off_is_as_it_was(size, seed):
    before = pictures(*size)
    assert torch.equal(PictureChange(flip=False, shift=0, cover=0)(before, drawn(seed)), before)


def test_what_comes_in_at_an_edge_is_a_reflection():
    before = torch.arange(7).view(1, 1, 1, 7).expand(200, 1, 3, 7)
    after = PictureChange(flip=False, shift=3)(before, drawn())
    padded = np.pad(np.arange(7), 3, mode="reflect")
    allowed = {tuple(padded[start : start + 7].tolist()) for start in range(7)}
    found = {tuple(row.tolist()) for row in after[:, 0, 0]}
    assert found == allowed
    assert torch.equal(after[:, 0, 0], after[:, 0, 2])


def test_half_are_mirrored_and_moves_are_as_likely_each_way():
    before = torch.arange(5.0).view(1, 1, 1, 5).expand(2000, 1, 1, 5)
    after = PictureChange(flip=True, shift=0)(before, drawn())
    mirrored = after[:, 0, 0, 0] == 4
    assert torch.equal(after[mirrored][0], before[0].flip(2))
    assert 0.45 < float(mirrored.float().mean()) < 0.55
    moved = PictureChange(flip=False, shift=1)(before, drawn())[:, 0, 0, 2]
    assert [int((moved == value).sum()) > 550 for value in (1.0, 2.0, 3.0)] == [True] * 3


def test_a_square_is_covered_by_the_mean():
    before = torch.rand(50, 3, 12, 12)
    after = PictureChange(flip=False, shift=0, cover=5)(before, drawn())
    covered = (after != before).all(1)
    sizes = covered.flatten(1).sum(1)
    assert sizes.max() == 25 and sizes.min() >= 9, "at an edge a part of it lies outside"
    rows = covered.any(2).sum(1)
    assert torch.equal(rows * covered.any(1).sum(1), sizes), "it is a rectangle"
    torch.testing.assert_close(after[0][:, covered[0]][:, 0], before.mean((0, 2, 3)))


@given(SOUNDS, SOUND_CHANGES, st.integers(0, 9))
def test_a_sound_keeps_its_shape_and_its_filling(size, change, seed):
    _, bands, lengths = size
    before, real = sounds(bands, lengths)
    after = change(before, real, drawn(seed))
    assert (after.shape, after.dtype) == (before.shape, before.dtype)
    assert torch.isfinite(after).all()
    filling = (torch.arange(before.shape[2]) >= real[:, None])[:, None].expand_as(before)
    assert torch.equal(after[filling], before[filling])
    assert torch.equal(after, change(before, real, drawn(seed)))


@given(SOUNDS, st.integers(0, 9))
def test_a_sound_with_all_off_is_as_it_was(size, seed):
    before, real = sounds(size[1], size[2])
    assert torch.equal(OFF(before, real, drawn(seed)), before)


def test_masks_are_stretches_of_the_mean_within_the_clip():
    before, real = sounds(8, [20] * 200 + [5] * 200)
    after = SpectrogramChange(bands=3, frames=4)(before, real, drawn())
    hidden = after != before
    for n, length in ((3, 20), (250, 5)):
        inside = hidden[n, :, :length]
        mean = before[n, :, :length].mean()
        torch.testing.assert_close(after[n][hidden[n]], mean.expand(int(hidden[n].sum())))
        assert inside.all(0).sum() <= 4 and inside.all(1).sum() <= 3
    often = [
        (hidden[part, :, :length].float().mean()).item() for part, length in ((slice(200), 20), (slice(200, 400), 5))
    ]
    assert often[1] > often[0] > 0.1, "a short clip is masked too, and not in its filling"


def test_one_band_is_never_masked_whole():
    """What reads samples has one band, all of the sound."""
    before, real = sounds(1, [30] * 20)
    assert torch.equal(SpectrogramChange(bands=8, frames=0)(before, real, drawn()), before)


def test_moved_in_time_a_clip_goes_round_and_louder_is_one_number_for_all_of_it():
    before, real = sounds(3, [9, 6])
    turned = SpectrogramChange(0, 0, 0, shift=0.5)(before, real, drawn(1))
    for n, length in enumerate((9, 6)):
        ways = [before[n, :, :length].roll(by, 1) for by in range(length // 2 + 1)]
        assert any(torch.equal(turned[n, :, :length], way) for way in ways)
    louder = (SpectrogramChange(0, 0, 0, gain=2.0)(before, real, drawn()) - before)[:, :, :6]
    assert (louder - louder[:, :1, :1]).abs().max() < 1e-6
    assert (louder[0, 0, 0] - louder[1, 0, 0]).abs() > 1e-3


def test_each_medium_has_its_own_and_the_rest_goes_through():
    media = {"pixel_values": torch.rand(3, 1, 6, 6), "input_features": torch.randn(2, 4, 9), "series": torch.rand(2, 2)}
    media["feature_lengths"] = torch.tensor([9, 4])
    change = Augmentation(PictureChange(shift=2), SpectrogramChange())
    after = change(media, {}, drawn())
    assert list(after) == list(media)
    assert [name for name in media if not torch.equal(after[name], media[name])] == ["pixel_values", "input_features"]
    assert Augmentation()(media, {}, drawn()) == media
    assert change({"series": media["series"]}, {}, drawn())["series"] is media["series"]


@pytest.mark.parametrize(
    ("media", "words"),
    [
        ({"pixel_values": torch.rand(8, 1176)}, r"augment\.image .* pixel_values are laid out as \(8, 1176\)"),
        ({"input_features": torch.rand(1, 80, 30)}, r"augment\.audio .* input_features are laid out"),
    ],
)
def test_media_of_another_layout_are_refused(media, words):
    with pytest.raises(ValueError, match=words):
        Augmentation(PictureChange(), SpectrogramChange())(media, {}, drawn())


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: PictureChange(shift=-1), r"augment\.image\.shift"),
        (lambda: PictureChange(cover=-1), r"augment\.image\.cover"),
        (lambda: SpectrogramChange(bands=-1), r"augment\.audio\.bands"),
        (lambda: SpectrogramChange(shift=1.5), r"augment\.audio\.shift"),
        (lambda: SpectrogramChange(gain=-0.1), r"augment\.audio\.gain"),
    ],
)
def test_settings_out_of_range(make, words):
    with pytest.raises(ValueError, match=words):
        make()
