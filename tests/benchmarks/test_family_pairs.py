"""Emoji and NLVR: splits that leak nothing, recall against a plain reading, changes after which a sentence is true."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.family import boxes, drawings, nlvr
from benchmarks.family.boxes import COLOURINGS, GROUND, INK, Statement
from benchmarks.family.drawings import Drawing
from benchmarks.family.emoji import VERSIONS, pairs_of, recalls, shared_words, texts_of, told
from benchmarks.family.tables import encoding_of, read

from harken.evaluate.metrics.retrieval import ranks
from harken.models.fusion.build import FamilyConfig
from harken.pipeline.learn import new_predictor

DATA = Path(os.environ.get("HARKEN_DATA", "../shared/data"))


def real(name: str):
    return pytest.mark.skipif(not (DATA / name).is_dir(), reason=f"no real data in {DATA / name}")


def drawing(file: str, caption: str, shade: int, words: tuple[str, ...] = ()) -> Drawing:
    """An emoji of one grey, which its neighbours in grey are unlike by 10."""
    return Drawing(f"{file}.png", caption, words, np.full((64, 64, 3), 10 * shade, np.uint8))


FEW = [
    drawing("1f44b-1f3fb", "waving hand: light skin tone", 1),
    drawing("1f44b", "waving hand", 2),
    drawing("1f57a", "man dancing", 3),
    drawing("1f483", "woman dancing", 4),
    drawing("1f1fa-1f1f8", "flag: United States", 5),
    drawing("1f1fa-1f1f2", "flag: U.S. Outlying Islands", 5),
    drawing("1f37a", "beer mug", 6),
    drawing("1f385", "Santa Claus", 7),
    drawing("1f936", "Mrs. Claus", 8),
    drawing("1f469-1f3fe", "woman: medium-dark skin tone", 9),
    drawing("1f466", "boy", 10),
]


def test_variants_of_one_emoji_are_one_group():
    assert drawings.groups_of(FEW).tolist() == [0, 0, 2, 2, 4, 4, 6, 7, 7, 9, 9]


def test_a_group_is_on_one_side_and_has_one_candidate_without_a_tone():
    groups = drawings.groups_of(FEW)
    for seed in range(5):
        kept = drawings.held_out(groups, 0.4, seed)
        assert not set(groups[kept]) & set(groups[~kept])
        assert len(set(groups[kept])) == round(0.4 * len(set(groups)))
        assert (kept == drawings.held_out(groups, 0.4, seed)).all()
    assert [FEW[n].caption for n in drawings.candidates(FEW, groups)] == [
        "waving hand", "man dancing", "flag: United States", "beer mug", "Santa Claus", "boy",
    ]  # fmt: skip


@pytest.mark.slow
@real("emoji")
def test_real_emoji_leak_nothing():
    found = drawings.read_drawings(DATA / "emoji")
    groups = drawings.groups_of(found)
    kept = drawings.held_out(groups, 0.2, 0)
    learnt, asked = (np.flatnonzero(~kept), np.flatnonzero(kept))
    for what in (lambda d: d.points, lambda d: d.subject, lambda d: d.caption):
        assert not {what(found[n]) for n in learnt} & {what(found[n]) for n in asked}
    pixels = drawings.shrunk(found)
    for n in asked:
        assert np.abs(pixels[learnt] - pixels[n]).mean(1).min() >= drawings.ALIKE
    chosen = asked[drawings.candidates([found[n] for n in asked], groups[asked])]
    assert len({found[n].caption for n in chosen}) == len({found[n].pixels.tobytes() for n in chosen}) == len(chosen)


def test_each_group_has_as_many_pairs_and_a_text_is_of_its_own_emoji():
    groups = drawings.groups_of(FEW)
    pairs = pairs_of(groups, FEW, 0)
    assert pairs == pairs_of(groups, FEW, 0)
    assert pairs != pairs_of(groups, FEW, 1)
    assert np.unique(groups[[n for n, _ in pairs]], return_counts=True)[1].tolist() == [VERSIONS] * len(set(groups))
    mug, chance = drawing("1f37a", "beer mug", 6, ("bar", "beer mug", "drink")), np.random.default_rng(0)
    said = {told(mug, chance) for _ in range(99)}
    assert texts_of(mug) == ["beer mug", "bar", "drink"]
    assert "beer mug" in said and {"bar", "drink"} & said
    assert all(set(text.split()) <= {"bar", "beer", "mug", "drink"} for text in said)


def test_only_words_of_two_groups_are_known():
    assert shared_words(FEW, drawings.groups_of(FEW)) == ["skin", "tone", "woman"]


def test_recall_over_seeds_against_a_slow_reading():
    chance = np.random.default_rng(0)
    spaces = [[chance.integers(-2, 3, (25, 3)).astype(float) for _ in range(2)] for _ in range(2)]
    found = recalls([ranks(queries, items) for queries, items in spaces], 25)
    for k in (1, 10):
        shares = []
        for queries, items in spaces:
            right = 0
            for i in range(25):
                near = [float(sum(queries[i] * item)) for item in items]
                above = sum(value > near[i] for value in near) + (sum(value == near[i] for value in near) - 1) / 2
                right += above < k
            shares.append(round(right / 25, 4))
        assert found[f"recall@{k}"]["seeds"] == shares
        assert found[f"recall@{k}"]["share"] == pytest.approx(sum(shares) / 2, abs=1e-4)
        assert found[f"recall@{k}"]["chance"] == k / 25


def statement(sentence: str, seed: int, true: bool = True) -> Statement:
    """Three boxes with a square of a colour in each, whose sides follow the seed."""
    chance = np.random.default_rng(seed)
    made = np.full((3, 100, 100, 3), GROUND, np.uint8)
    for box, ink in zip(made, INK.values(), strict=True):
        top, left = chance.integers(0, 80, 2)
        box[top : top + 20, left : left + 20] = ink
    return Statement(sentence, made, true)


def test_a_sentence_or_a_picture_is_in_one_fold():
    said = [statement(f"There is {n % 7} box.", n) for n in range(40)]
    said += [statement("there is 3 BOX", 99), statement("another thing", 99)]
    groups = boxes.groups_of(said)
    assert len(set(groups)) == 7
    assert groups[40] == groups[41] == groups[3], "41 has the picture of 40, which has the sentence of 3"
    folds = boxes.folds_of(groups, 3, 0)
    assert all(len(set(folds[groups == name])) == 1 for name in groups)
    assert max(np.bincount(folds)) - min(np.bincount(folds)) <= max(np.bincount(groups))
    assert (folds == boxes.folds_of(groups, 3, 0)).all() and (folds != boxes.folds_of(groups, 3, 1)).any()


@pytest.mark.slow
@real("nlvr")
def test_real_statements_leak_nothing():
    found = boxes.read_statements(DATA / "nlvr")
    folds = boxes.folds_of(boxes.groups_of(found), 5, 0)
    assert (len(found), min(np.bincount(folds))) == (989, 197)
    for what in (lambda s: s.words, lambda s: s.boxes.tobytes()):
        by = {}
        for one, fold in zip(found, folds, strict=True):
            by.setdefault(what(one), set()).add(int(fold))
        assert all(len(each) == 1 for each in by.values())


def test_colours_change_in_the_sentence_as_in_the_boxes():
    one = statement("A Blue block over 2 yellow ones", 0)
    assert one.words == "a blue block over two yellow ones"
    assert len(COLOURINGS) == 6
    for colouring in COLOURINGS:
        names = dict(zip(INK, colouring, strict=True))
        assert boxes.recoloured(one.words, colouring) == f"a {names['blue']} block over two {names['yellow']} ones"
        turned = boxes.repainted(one.boxes, colouring)
        for old, new in names.items():
            assert (turned[(one.boxes == INK[old]).all(3)] == INK[new]).all()
        assert (turned[(one.boxes == GROUND).all(3)] == GROUND).all()
    assert (boxes.repainted(one.boxes, COLOURINGS[0]) == one.boxes).all()
    mixed = np.full((3, 100, 100, 3), np.array([INK["black"], GROUND]).mean(0).round(), np.uint8)
    turned = boxes.repainted(mixed, ("yellow", "black", "blue"))
    assert np.abs(turned[0, 0, 0] - np.array([INK["yellow"], GROUND]).mean(0)).max() <= 1


def test_what_tells_left_from_right_is_not_mirrored():
    one = statement("a box", 0)
    assert (boxes.mirrored(one.words, one.boxes) == one.boxes[:, :, ::-1]).all()
    assert (boxes.mirrored("touching the right wall", one.boxes) == one.boxes).all()


def test_boxes_are_cut_from_their_picture():
    picture = np.zeros((100, 400, 3), np.uint8)
    for n in range(3):
        picture[:, 150 * n : 150 * n + 100] = n + 1
    assert [np.unique(box).tolist() for box in boxes.boxes_of(picture)] == [[1], [2], [3]]
    with pytest.raises(ValueError, match="400 x 100 pixels in colour, not 300 x 100"):
        boxes.boxes_of(picture[:, :300])


@pytest.mark.slow
def test_the_order_of_the_boxes_changes_no_answer():
    said = [statement("a blue block", 0), statement("two black ones", 1)]
    model = new_predictor(nlvr.family(), [one.words for one in said], 0)
    turned = [Statement(one.sentence, one.boxes[[2, 0, 1]], one.true) for one in said]
    assert torch.allclose(nlvr.chances(model, said), nlvr.chances(model, turned), atol=1e-6)


def test_an_example_may_have_several_pictures_and_has_what_is_said_of_it():
    network = {"name": "cnn", "height": 8, "width": 8, "widths": [4], "stem": 4, "kernel": 3}
    encoders, heads = {"image": network, "text": {"name": "words"}}, {"x": {"name": "classify", "classes": 2}}
    family = FamilyConfig(encoders, {"name": "joined", "width": 8}, heads)
    model = new_predictor(family, ["a cat sat"], 0)
    texts = read(model, ["a cat", "dog"])
    assert [text["text_lengths"].tolist() for text in texts] == [[2], [1]]
    media = {"image": [{"pixel_values": torch.zeros(n, 1, 8, 8)} for n in (3, 1)], "text": texts}
    three, one = encoding_of(model, media)([0, 1])
    assert (three.placeholders, one.placeholders) == ({"image": 48, "text": 2}, {"image": 16, "text": 1})
    assert model.predict([three, one])["x.logits"].shape == (2, 2)
