import os
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.reward.crowds import drawn, free_scores, imported, right, some, votes
from benchmarks.reward.fusing import calibration_error, features, judged, shares
from benchmarks.reward.intervals import over_draws, over_units
from benchmarks.reward.mixed import KINDS, answers_of, shared_out
from benchmarks.reward.raters import compared, correlated, raters
from benchmarks.reward.reliability import Effort, columns, labelled

from harken.reward.consensus import Choices
from harken.types import Answer, Comparison, Ranking, Rating

DATA = Path(os.environ.get("HARKEN_DATA", "../shared/data"))
WORDS = ("cat", "dog", "owl")


def real(name: str):
    return pytest.mark.skipif(not (DATA / name).is_dir(), reason=f"no real data in {DATA / name}")


def said() -> Choices:
    """Ten items by four raters, of whom one is wrong on every other."""
    rows = []
    for item in range(10):
        rows += [(item, f"p{who}", WORDS[item % 3], 1) for who in range(3)]
        rows.append((item, "wrong", WORDS[(item + item % 2) % 3], 1))
    return Choices.of(rows, WORDS)


@pytest.mark.parametrize("each", [1, 2, 9])
def test_of_every_item_so_many_answers_are_kept(each):
    choices = said()
    kept = drawn(choices, each, 3)
    counts = np.bincount(choices.item[torch.as_tensor(kept)])
    assert counts.tolist() == [min(each, 4)] * 10
    assert (drawn(choices, each, 3) == kept).all()
    if each < 4:
        assert not all((drawn(choices, each, seed) == kept).all() for seed in range(5))
    assert votes(some(choices, kept)).sum() == counts.sum()


def test_of_n_equally_likely_labels_each_counts_one_nth():
    chances = torch.tensor([[2.0, 2.0, 0.0], [1.0, 3.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 0.0]])
    assert np.allclose(right(chances, [0, 1, 2, 0]), [1 / 2, 1, 1 / 3, 0])


def test_free_scores_follow_the_answers_and_find_who_is_wrong():
    found, reliability = free_scores(said())
    assert found.argmax(1).tolist() == [item % 3 for item in range(10)]
    assert reliability.argmin() == 3


def test_intervals_against_a_plain_reading():
    mean, low, high = over_draws([1.0, 2.0, 3.0])
    assert [mean, low, high] == pytest.approx([2.0, 2 - 4.3027 / 3**0.5, 2 + 4.3027 / 3**0.5], abs=1e-3)
    values = np.arange(100.0)
    mean, low, high = over_units(lambda rows: values[rows].mean(), 100)
    error = values.std() / 10
    assert [mean, low, high] == pytest.approx([49.5, 49.5 - 1.96 * error, 49.5 + 1.96 * error], abs=0.8)


def test_what_is_gained_over_majority_is_paired():
    majority, ours = np.array([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]]), np.array([[1.0, 1.0, 1.0], [1.0, 0.0, 1.0]])
    found = compared({"majority": majority, "ours": ours})
    assert found["ours"]["more_than_majority_over_draws"] == pytest.approx([1 / 3] * 3, abs=1e-4)
    assert found["ours"]["more_than_majority_over_items"][0] == pytest.approx(1 / 3, abs=1e-4)


def test_raters_who_are_not_there_are_left_out_of_the_correlation():
    one = np.array([1.0, 2.0, 3.0, np.nan, 9.0])
    assert correlated([(one, np.array([10.0, 20.0, 30.0, 0.0, np.nan]))])[0] == 1.0


def test_held_back_accuracy_is_read_from_answers_that_were_not_kept():
    choices = said()
    kept = np.ones(len(choices.item), dtype=bool)
    kept[choices.annotator.numpy() == 3] = False
    kept[3] = True
    found = raters(choices, [item % 3 for item in range(10)], kept)
    assert np.isnan(found["held_accuracy"][:3]).all()
    assert np.isnan(found["held_accuracy"][3])  # nine answers are too few to read one from
    kept[3] = False
    found = raters(choices, [item % 3 for item in range(10)], kept)
    assert found["held_accuracy"][3] == 0.5
    assert np.isnan(found["reliability"][3])


def test_every_arm_gets_the_same_number_of_answers_of_every_expert():
    chance = np.random.default_rng(0)
    grades = [
        Answer(f"{n} {who}", f"expert{who}", "human", Rating(f"r{n}", f"r{n}", int(chance.integers(1, 5)), 11))
        for n in range(30)
        for who in range(5)
    ]
    graded = {(a.annotator, a.feedback.completion): a.feedback.score for a in grades}
    kinds = {"votes": Comparison, "grades": Rating, "rankings": Ranking}
    for arm in (*KINDS, "mixed"):
        found = answers_of(arm, grades, 60, 1)
        assert len(found) == 60
        assert len({answer.key for answer in found}) == 60
        if arm == "mixed":
            assert [sum(isinstance(a.feedback, kind) for a in found) for kind in kinds.values()] == [20, 20, 20]
        else:
            assert all(isinstance(a.feedback, kinds[arm]) for a in found)
            assert {sum(a.annotator == f"expert{n}" for a in found) for n in range(5)} == {12}
    for answer in answers_of("rankings", grades, 20, 2):
        tiers = [{graded[answer.annotator, name] for name in tier} for tier in answer.feedback.tiers]
        assert all(len(tier) == 1 for tier in tiers)
        assert [min(tier) for tier in tiers] == sorted((min(tier) for tier in tiers), reverse=True)
    assert shared_out(7, 3) == [3, 2, 2]


def test_calibration_error_by_hand():
    sure, came = np.array([0.95, 0.95, 0.55]), np.array([1.0, 0.7, 0.75])
    assert calibration_error(sure, came, np.array([1.0, 1.0, 2.0])) == pytest.approx((2 * 0.1 + 2 * 0.2) / 4)


def test_what_is_said_of_predictions():
    heard = np.array([[3.0, 1.0], [0.0, 2.0]])
    own = judged(np.array([[0.75, 0.25], [1e-12, 1.0]]), heard, np.array([0, 1]))
    assert own["kl"][0] == pytest.approx(0.0, abs=1e-4)
    assert own["accuracy"][0] == 1.0
    even = judged(np.full((2, 2), 0.5), heard, np.array([0, 1]))
    assert even["nats"][0] == pytest.approx(np.log(2), abs=1e-4)
    assert even["accuracy"][0] == 0.5


def test_features_of_one_modality_do_not_read_the_other_or_the_answer():
    counts = np.random.default_rng(0).integers(0, 9, (4, 3, 6)).astype(float)
    changed = counts.copy()
    changed[:, 1:] += 1
    assert (features(counts, (0,)) == features(changed, (0,))).all()
    assert (features(counts, (0, 1)) != features(changed, (0, 1))).any()
    assert np.allclose(shares(counts).sum(-1), 1)


@real("nlvr")
@pytest.mark.slow
def test_nlvr_comes_in_without_its_pictures():
    data = imported("nlvr", DATA / "nlvr")
    assert data.skipped == 0
    assert len({answer.annotator for answer in data.answers}) == 10


@pytest.mark.slow
@real("nlvr")
def test_two_answers_of_an_item_and_reliabilities_are_worth_more_than_majority_vote():
    found = labelled("nlvr", DATA / "nlvr", Effort(2, ()))
    assert found["majority_of_all"] == 1.0
    kept = found["kept_2"]
    assert kept["methods"]["consensus"]["accuracy"][0] > kept["methods"]["majority"]["accuracy"][0]
    assert kept["held_accuracy"]["reliability"][0] > 0.4


@pytest.mark.slow
@real("cifar_human")
def test_three_columns_of_labels_give_more_than_their_majority():
    found = columns(DATA / "cifar_human", Effort(1, ()))["kept_3"]
    assert found["consensus"]["more_than_majority_over_items"][1] > 0
