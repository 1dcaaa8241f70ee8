import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.evaluate.metrics.reward_accuracy import annotator_ceiling, choices_by_score, reward_accuracy

rows = st.lists(
    st.tuples(st.integers(-2, 2), st.integers(-2, 2), st.sampled_from(["a", "b", "tie", "both_bad"])),
    min_size=1,
    max_size=25,
).filter(lambda found: any(choice in "ab" for _, _, choice in found))


def test_a_worked_example():
    found = reward_accuracy([2, 0, 1, 1, 5], [1, 1, 1, 3, 5], ["a", "a", "b", "b", "tie"])
    assert found.rate == (1 + 0 + 0.5 + 1) / 4
    assert (found.decided, found.ties) == (4, 1)
    assert found.low <= found.rate <= found.high


@settings(max_examples=50)
@given(rows)
def test_it_agrees_with_a_plain_reading_and_swapping_sides_changes_nothing(found):
    a, b, choices = ([row[at] for row in found] for at in range(3))
    right = total = 0
    for x, y, choice in found:
        if choice in ("a", "b"):
            total += 1
            right += 0.5 if x == y else (x > y) == (choice == "a")
    accuracy = reward_accuracy(a, b, choices, resamples=50)
    assert accuracy.rate == pytest.approx(right / total)
    assert (accuracy.decided, accuracy.ties) == (total, len(found) - total)
    swapped = [{"a": "b", "b": "a"}.get(choice, choice) for choice in choices]
    assert reward_accuracy(b, a, swapped, resamples=50) == accuracy


@settings(max_examples=30)
@given(rows)
def test_a_model_against_its_own_choices_is_always_right(found):
    a, b = [row[0] for row in found], [row[1] for row in found]
    choices = choices_by_score(a, b)
    if any(choice in "ab" for choice in choices):
        assert reward_accuracy(a, b, choices, resamples=50).rate == 1
        assert annotator_ceiling(choices, choices).rate == 1


def test_the_ceiling_is_what_gold_itself_reaches_against_noisy_answers():
    rng = random.Random(0)
    gold_a, gold_b = [rng.gauss(0, 1) for _ in range(2000)], [rng.gauss(0, 1) for _ in range(2000)]
    gold = choices_by_score(gold_a, gold_b)
    answers = [{"a": "b", "b": "a"}[choice] if rng.random() < 0.15 else choice for choice in gold]
    ceiling = annotator_ceiling(answers, gold)
    assert ceiling.rate == reward_accuracy(gold_a, gold_b, answers).rate
    assert ceiling.rate == sum(x == y for x, y in zip(answers, gold, strict=True)) / 2000
    assert ceiling.low < 0.85 < ceiling.high


def test_ties_of_gold_count_half_and_ties_of_the_annotator_are_left_out():
    ceiling = annotator_ceiling(["a", "b", "tie"], ["tie", "b", "a"])
    assert (ceiling.rate, ceiling.decided, ceiling.ties) == (0.75, 2, 1)


def test_groups_stay_with_their_comparisons():
    a, b = [1.0] * 20 + [0.0] * 20, [0.0] * 20 + [1.0] * 20
    choices = (["a"] * 19 + ["tie"]) * 2
    alone = reward_accuracy(a, b, choices)
    together = reward_accuracy(a, b, choices, groups=[at // 10 for at in range(40)])
    assert together.high - together.low > 1.5 * (alone.high - alone.low)


def test_close_scores_are_ties():
    assert choices_by_score([1.0, 2.0, 0.0], [1.1, 1.0, 1.0], tolerance=0.2) == ["tie", "a", "b"]


def test_wrong_input_is_refused():
    with pytest.raises(ValueError, match="1 choices for 2 pairs"):
        reward_accuracy([1, 2], [2, 1], ["a"])
    with pytest.raises(ValueError, match="none of the 2 comparisons has a winner"):
        reward_accuracy([1, 2], [2, 1], ["tie", "both_bad"])
