"""In training, modalities are left out at random: never the last one, never one that is not there, and so many."""

from dataclasses import replace

import pytest
import torch
from random_streams import WIDTH, noise, streams
from tiny import CORPUS, TINY

from harken.models.fusion import parts
from harken.models.fusion.build import build
from harken.models.fusion.model import _without_some
from harken.models.fusion.stream import Stream

ALL = ("image", "audio", "text")


def many(present: list[bool], rows: int) -> dict[str, Stream]:
    real = torch.tensor(present).expand(rows, -1)
    return {
        m: Stream(torch.ones(rows, 2, WIDTH) * real[:, i, None, None], real[:, i, None].expand(-1, 2))
        for i, m in enumerate(ALL)
    }


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_never_the_last_and_never_what_is_not_there(share):
    torch.manual_seed(0)
    given = streams(ALL)
    for _ in range(50):
        kept = _without_some(given, share)
        left, had = (torch.stack([s[m].present for m in ALL], 1) for s in (kept, given))
        assert not (left & ~had).any()
        assert torch.equal(left.any(1), had.any(1))
        for modality in ALL:
            mine, before = kept[modality], given[modality]
            # All of a modality in a row or nothing of it, and what is left as it was.
            assert torch.equal(mine.real, before.real & mine.present[:, None])
            assert torch.equal(mine.states, before.states * mine.real[..., None])


@pytest.mark.parametrize("share", [0.1, 0.6])
@pytest.mark.parametrize("present", [[True, True, True], [True, True, False], [False, False, True]])
def test_the_share_is_right(share, present):
    """One of k that are there is left out as often as said, save where all would be: then each stays as often."""
    torch.manual_seed(1)
    rows, count = 40_000, sum(present)
    kept = _without_some(many(present, rows), share)
    expected = 1 - share + share**count / count
    for modality, there in zip(ALL, present, strict=True):
        seen = kept[modality].present.double().mean().item()
        sure = 4 * (expected * (1 - expected) / rows) ** 0.5
        assert seen == pytest.approx(expected if there else 0.0, abs=sure if there else 0.0)


@pytest.mark.parametrize("speaks", [False, True])
def test_only_in_training_and_only_where_said_and_never_in_a_policy(speaks):
    heads = TINY.heads if speaks else {"kind": {"name": "classify", "classes": 3}}
    for drop in (0.0, 0.5):
        family = replace(TINY, fuse={"name": "gated", "drop": drop, "width": 32}, heads=heads)
        model = build(family, CORPUS, 0)[0].model
        given = {m: Stream(noise(64, 1, 32).float(), torch.ones(64, 1, dtype=torch.bool)) for m in ("image", "audio")}
        plain = model.eval().join(given).shared
        trained = model.train().join(given).shared
        assert torch.equal(plain, model.eval().join(given).shared)
        assert torch.equal(plain, trained) == (drop == 0 or speaks)


@pytest.mark.parametrize("drop", [-0.1, 1.0])
def test_a_share_that_is_none_is_refused(drop):
    with pytest.raises(parts.PartError, match="drop"):
        parts.fuse({"name": "gated", "drop": drop})
