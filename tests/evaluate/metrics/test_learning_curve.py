import pytest

from harken.evaluate.metrics.accuracy_by import Labelled, accuracy_by, modality
from harken.evaluate.metrics.learning_curve import learning_curve, nested
from harken.types import Answer, Audio, Image, Message, Prompt, Rating, Text


def answers(count: int) -> list[Answer]:
    return [Answer(f"k{n}", "ada", "human", Rating("p", "x", 3)) for n in range(count)]


def test_subsets_are_nested_and_new_answers_leave_the_old_order():
    small, large, whole = nested(answers(50), [30, 10, 80], 0)
    assert (len(small), len(large), len(whole)) == (10, 30, 50)
    assert set(small) < set(large) < set(whole)
    assert whole == tuple(answers(50)) and list(small) == sorted(small, key=answers(50).index)
    drawn = nested(answers(50), [1], 0)[0][0].key
    (again,) = nested(answers(60), [60], 0)
    assert drawn in {answer.key for answer in again}
    assert nested(answers(50), [10], 1) != [small]
    first = [nested(answers(60), [n], 0)[0] for n in range(1, 61)]
    new = {f"k{n}" for n in range(50, 60)}
    order = [({a.key for a in b} - {a.key for a in a_}).pop() for a_, b in zip([(), *first], first, strict=False)]
    kept = [key for key in order if key not in new]
    old = [nested(answers(50), [n], 0)[0] for n in range(1, 51)]
    assert kept == [({a.key for a in b} - {a.key for a in a_}).pop() for a_, b in zip([(), *old], old, strict=False)]


def test_a_curve_is_what_was_learnt_of_each_and_needs_answers():
    assert learning_curve(answers(20), [5, 20], 0, len) == [(5, 5), (20, 20)]
    with pytest.raises(ValueError, match="sizes from 1 up"):
        learning_curve(answers(20), [0], 0, len)
    with pytest.raises(ValueError, match="needs answers"):
        learning_curve([], [5], 0, len)


def test_accuracy_in_parts_counts_each_part_by_itself():
    labelled = [
        Labelled({"kind": kind, "annotator": who}, group)
        for kind, who, group in zip("xxyy", "abab", "ppqq", strict=True)
    ]
    found = accuracy_by([1, 1, 0, 2], [0, 2, 1, 1], labelled, resamples=200)
    rates = {way: {part: (one.rate, one.decided) for part, one in parts.items()} for way, parts in found.items()}
    assert rates == {"kind": {"x": (0.5, 2), "y": (0.5, 2)}, "annotator": {"a": (0.5, 2), "b": (0.5, 2)}}
    assert found["kind"]["x"].low == found["kind"]["x"].high == 0.5, "one group moves as one"


def test_modality_is_what_prompts_hold():
    heard = Prompt("p", (Message("user", (Audio("0" * 64), Text("?"))),))
    seen = Prompt("q", (Message("user", (Image("0" * 64), Text("?"))),))
    assert (modality(heard), modality(heard, seen)) == ("audio+text", "audio+image+text")
