"""Rankings as pairs, choices as choices, crowds as many."""

from said import BY_ID, compared

from harken.feedback.tables import BOTH_BAD, FIRST, SECOND, TIE, tables
from harken.types import Answer, Comparison, Completion, Ranking, Rating


def ranked(who: str, *tiers: tuple[str, ...], rest: tuple[str, ...] = (), count: int = 1) -> Answer:
    return Answer(f"{who}{tiers}{rest}", who, "human", Ranking("p", tiers, rest), count=count)


def test_a_ranking_is_its_pairs_with_ties_and_without_what_was_not_ranked():
    (found,) = tables([ranked("ada", ("p2",), ("p0",), rest=("p1", "p3"))], BY_ID)
    assert found.kind == "ranking"
    said = {one.item.completions: one.value for one in found.said}
    assert said == {
        ("p0", "p1"): FIRST,
        ("p0", "p2"): SECOND,
        ("p0", "p3"): FIRST,
        ("p1", "p2"): SECOND,
        ("p2", "p3"): FIRST,
    }
    (tied,) = tables([ranked("ada", ("p0", "p1"))], BY_ID)
    assert [one.value for one in tied.said] == [TIE]


def test_a_choice_among_the_same_texts_is_the_text_that_was_chosen():
    classes = {
        f"{p}{n}": Completion(f"{p}{n}", p, text, "label") for p in ("p", "q") for n, text in enumerate(("cat", "dog"))
    }
    said = [
        Answer("1", "ada", "human", Ranking("p", (("p0",),), ("p1",))),
        Answer("2", "ada", "human", Ranking("q", (("q1",),), ("q0",))),
    ]
    (found,) = tables(said, classes)
    assert (found.kind, found.values) == ("choice", ("cat", "dog"))
    assert [found.values[one.value] for one in found.said] == ["cat", "dog"]
    texts = {**classes, "q0": Completion("q0", "q", "a horse", "label")}
    (other,) = tables(said, texts)
    assert other.values == ("no. 1", "no. 2")


def test_a_crowd_counts_its_heads_and_a_person_counts_once():
    said = [
        Answer("1", "crowd", "human", Rating("p", "p0", 1, 3), count=4),
        Answer("2", "crowd", "human", Rating("p", "p0", 3, 3)),
        Answer("3", "ada", "human", Rating("p", "p0", 2, 3)),
        Answer("4", "ada", "human", Rating("p", "p0", 3, 3)),
    ]
    (found,) = tables(said, BY_ID)
    assert found.annotators == ("ada",)
    assert found.counts.tolist() == [[4, 0, 2]]


def test_comparisons_across_prompts_are_one_item_in_either_order():
    said = [
        Answer("1", "ada", "human", Comparison("p", "p0", "q0", "a", other_prompt_id="q")),
        Answer("2", "bob", "human", Comparison("q", "q0", "p0", "b", other_prompt_id="p")),
        compared("cyd", "p0", "p1", "both_bad"),
    ]
    (found,) = tables(said, BY_ID)
    assert len(found.items) == 2
    assert found.counts.tolist() == [[2, 0, 0, 0], [0, 0, 0, 1]]
    assert found.items[0].prompts == ("p", "q")
    assert [one.shown for one in found.said] == [FIRST, SECOND, FIRST]
    assert found.said[2].value == BOTH_BAD
