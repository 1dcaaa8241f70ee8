from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.feedback.queue import Assignment, Compare, Rank, Rate, Revise, completions_of, plan_questions
from harken.types import Completion

KINDS = {Compare: "comparison", Rank: "ranking", Rate: "rating", Revise: "edit"}


def made(sizes: list[int]) -> list[Completion]:
    return [Completion(f"{p}.{i}", f"p{p}", f"text {i}", "m") for p, size in enumerate(sizes) for i in range(size)]


def questions(assignments: list[Assignment]) -> dict[frozenset[str], list[Assignment]]:
    """Assignments of the same question, whatever its sides."""
    found: dict[frozenset[str], list[Assignment]] = defaultdict(list)
    for assignment in assignments:
        found[frozenset({KINDS[type(assignment.question)], *completions_of(assignment.question)})].append(assignment)
    return found


plans = st.fixed_dictionaries(
    {
        "sizes": st.lists(st.integers(1, 5), min_size=1, max_size=8),
        "counts": st.dictionaries(st.sampled_from(["comparison", "ranking", "rating", "edit"]), st.integers(0, 15)),
        "people": st.integers(1, 6),
        "overlap": st.integers(1, 6),
        "seed": st.integers(0, 2**63),
    }
)


@settings(max_examples=150)
@given(plan=plans)
def test_every_plan_is_even_and_asks_what_was_ordered(plan):
    completions = made(plan["sizes"])
    by_id = {c.id: c for c in completions}
    people = [f"annotator {i}" for i in range(plan["people"])]
    overlap = min(plan["overlap"], len(people))
    found = plan_questions(completions, plan["counts"], people, overlap, plan["seed"])
    assert found == plan_questions(completions, plan["counts"], people, overlap, plan["seed"])
    assert len({a.key for a in found}) == len(found)

    # Each question of `overlap` annotators, all annotators with the same to do.
    for same in questions(found).values():
        assert len(same) == len({a.annotator for a in same}) == overlap
    load = Counter({name: 0 for name in people})
    load.update(a.annotator for a in found)
    assert max(load.values()) - min(load.values()) <= 1

    # As many as were ordered, or as there are; no prompt asked again while another was not asked.
    there = {
        "comparison": [n * (n - 1) // 2 for n in plan["sizes"]],
        "ranking": [int(n > 2) for n in plan["sizes"]],
        "rating": plan["sizes"],
        "edit": plan["sizes"],
    }
    for kind, count in plan["counts"].items():
        asked = [same[0].question for same in questions(found).values() if KINDS[type(same[0].question)] == kind]
        assert len(asked) == min(count, sum(there[kind]))
        each = Counter(question.prompt_id for question in asked)
        taken = [each[f"p{p}"] for p in range(len(plan["sizes"]))]
        assert max(taken) <= 1 + min((t for t, n in zip(taken, there[kind], strict=True) if t < n), default=99)
        for question in asked:
            shown = [by_id[name] for name in completions_of(question)]
            assert {c.prompt_id for c in shown} == {question.prompt_id}
            assert len({c.text for c in shown}) == len(shown)


def test_equal_texts_are_not_compared():
    twins = [Completion(str(i), "p", text, "m") for i, text in enumerate(["same", "same", "same", "other"])]
    found = plan_questions(twins, {"comparison": 10, "rating": 10, "edit": 10, "ranking": 10}, ["ada"], 1, 0)
    assert Counter(type(a.question) for a in found) == {Compare: 1, Rate: 2, Revise: 2}
    assert plan_questions(twins[:3], {"comparison": 10}, ["ada"], 1, 0) == []


def test_sides_are_even_and_depend_on_the_annotator():
    found = plan_questions(made([4] * 100), {"comparison": 600}, ["ada", "bob"], 2, 0)
    by_question = questions(found)
    swapped = sum(a.question.a > a.question.b for a in found)
    assert 0.45 < swapped / len(found) < 0.55
    differ = sum(one.question != other.question for one, other in by_question.values())
    assert 0.4 < differ / len(by_question) < 0.6


def test_another_seed_is_another_plan_with_other_keys():
    completions = made([4] * 10)
    one, other = (plan_questions(completions, {"comparison": 10}, ["ada"], 1, seed) for seed in (0, 1))
    assert {a.key for a in one}.isdisjoint(a.key for a in other)
    assert set(questions(one)) != set(questions(other))


@pytest.mark.parametrize(("people", "overlap"), [(2, 2), (3, 2), (4, 2), (6, 2), (6, 3), (9, 3), (6, 4)])
def test_shared_questions_join_all_annotators(people, overlap):
    names = [f"annotator {i}" for i in range(people)]
    joined = {name: {name} for name in names}
    for same in questions(plan_questions(made([4] * 30), {"comparison": 60}, names, overlap, 0)).values():
        whole = set.union(*(joined[a.annotator] for a in same))
        for name in whole:
            joined[name] = whole
    assert joined[names[0]] == set(names)


@pytest.mark.parametrize(
    ("counts", "people", "overlap", "why"),
    [
        ({"stars": 1}, ["ada"], 1, "no kind of feedback 'stars'; there are comparison, ranking, rating, edit"),
        ({"rating": -1}, ["ada"], 1, "-1 questions of kind 'rating'"),
        ({"rating": 1}, ["ada"], 2, "overlap is 2: it must be from 1 to the 1 annotators"),
        ({"rating": 1}, ["ada"], 0, "overlap is 0"),
        ({"rating": 1}, [], 1, "the 0 annotators"),
        ({"rating": 1}, ["ada", "ada"], 1, "named twice"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(counts, people, overlap, why):
    with pytest.raises(ValueError, match=why):
        plan_questions(made([3]), counts, people, overlap, 0)
