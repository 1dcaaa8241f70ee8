import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.feedback.annotators.annotator import Annotator
from harken.feedback.annotators.simulated import SimulatedAnnotator
from harken.feedback.queue import Compare, Rank, Rate, Revise
from harken.types import Comparison, Completion, Edit, Message, Prompt, Ranking, Rating, Text

PROMPT = Prompt("p", (Message("user", (Text("?"),)),))


def gold(prompt: Prompt, completion: Completion) -> float:
    return float(completion.text)


def improve(prompt: Prompt, completion: Completion, chance: random.Random) -> str:
    return completion.text if gold(prompt, completion) >= 4 else str(gold(prompt, completion) + chance.choice([1, 2]))


SHARP = SimulatedAnnotator("simulated-sharp", gold, improve, noise=0.0, severity=0.0, care=1.0, seed=0)
TYPICAL = replace(SHARP, id="simulated-typical", noise=0.4, care=0.92)
CARELESS = replace(SHARP, id="simulated-careless", care=0.0)

scores = st.floats(-3, 6)


def shown(*values: float) -> dict[str, Completion]:
    return {f"c{i}": Completion(f"c{i}", "p", str(value), "m") for i, value in enumerate(values)}


def ask(who: SimulatedAnnotator, question, values):
    return who.answer({"p": PROMPT, question.prompt_id: PROMPT}, question, shown(*values))


def test_it_is_an_annotator_that_never_says_it_is_a_person():
    assert isinstance(SHARP, Annotator)
    assert SHARP.kind == "simulated"
    with pytest.raises(TypeError):
        SimulatedAnnotator("x", gold, improve, 0.0, 0.0, 1.0, 0, kind="human")


@settings(max_examples=60)
@given(a=scores, b=scores)
def test_without_noise_it_is_the_hidden_rule(a, b):
    said = ask(SHARP, Compare("p", "c0", "c1"), (a, b))
    if abs(a - b) < SHARP.tie:
        expected = "tie"
    elif max(a, b) < SHARP.bad:
        expected = "both_bad"
    else:
        expected = "a" if a > b else "b"
    assert said == Comparison("p", "c0", "c1", expected)
    other = ask(SHARP, Compare("p", "c1", "c0"), (a, b))
    assert other.choice == {"a": "b", "b": "a"}.get(expected, expected)


def test_across_prompts_each_is_judged_as_an_answer_to_its_own():
    prompts = {"p": PROMPT, "q": replace(PROMPT, id="q")}
    shown = {"x": Completion("x", "p", "2", "m"), "y": Completion("y", "q", "1", "m")}
    strict = replace(SHARP, gold=lambda prompt, completion: float(completion.text) * (5 if prompt.id == "q" else 1))
    said = strict.answer(prompts, Compare("p", "x", "y", "q"), shown)
    assert said == Comparison("p", "x", "y", "b", other_prompt_id="q")
    assert strict.answer(prompts, Compare("q", "y", "x", "p"), shown).choice == "a"


@settings(max_examples=40)
@given(values=st.lists(scores, min_size=2, max_size=6, unique=True))
def test_without_noise_it_ranks_by_the_hidden_rule(values):
    names = tuple(shown(*values))
    said = ask(SHARP, Rank("p", names), values)
    assert said == Ranking("p", tuple((name,) for name in sorted(names, key=lambda n: -values[int(n[1:])])))


@pytest.mark.parametrize(("value", "grade"), [(-1, 1), (0, 2), (2, 3), (4, 4), (5, 5)])
def test_grades_rise_with_gold(value, grade):
    assert ask(SHARP, Rate("p", "c0"), [value]) == Rating("p", "c0", grade)


@settings(max_examples=60)
@given(value=scores, mild=st.floats(-2, 2), more=st.floats(0, 2), noise=st.floats(0, 1))
def test_the_severe_never_grade_higher(value, mild, more, noise):
    one = replace(SHARP, noise=noise, severity=mild)
    severe = replace(one, severity=mild + more)
    assert ask(severe, Rate("p", "c0"), [value]).score <= ask(one, Rate("p", "c0"), [value]).score


def test_an_edit_mends_what_can_be_mended():
    assert ask(SHARP, Revise("p", "c0"), [1.0]) in [Edit("p", "c0", "2.0"), Edit("p", "c0", "3.0")]
    assert ask(SHARP, Revise("p", "c0"), [4.5]) is None
    assert ask(CARELESS, Revise("p", "c0"), [1.0]) is None


@settings(max_examples=40)
@given(values=st.tuples(scores, scores, scores), seed=st.integers(0, 2**62), name=st.sampled_from(["simulated-x", "y"]))
def test_what_it_says_depends_on_seed_id_and_question_alone(values, seed, name):
    asked = [Compare("p", "c0", "c1"), Rate("p", "c2"), Rank("p", ("c0", "c1", "c2")), Revise("p", "c1")]
    first = [ask(replace(TYPICAL, id=name, seed=seed), question, values) for question in asked]
    again = [ask(replace(TYPICAL, id=name, seed=seed), question, values) for question in reversed(asked)]
    assert first == again[::-1]


@pytest.mark.parametrize("change", [{"seed": 1}, {"id": "simulated-other"}])
def test_another_seed_or_another_annotator_errs_elsewhere(change):
    asked = [Compare(str(i), "c0", "c1") for i in range(100)]
    one = [ask(TYPICAL, question, (1.0, 1.3)).choice for question in asked]
    other = [ask(replace(TYPICAL, **change), question, (1.0, 1.3)).choice for question in asked]
    assert 10 < sum(a != b for a, b in zip(one, other, strict=True)) < 90


@pytest.mark.slow
def test_the_careless_answer_by_chance_whatever_they_are_shown():
    asked = [Compare(str(i), "c0", "c1") for i in range(400)]
    one = [ask(CARELESS, question, (5.0, 0.0)).choice for question in asked]
    assert one == [ask(CARELESS, question, (0.0, 5.0)).choice for question in asked]
    assert 160 < Counter(one)["a"] < 240
    grades = Counter(ask(CARELESS, Rate(str(i), "c0"), [5.0]).score for i in range(400))
    assert set(grades) == {1, 2, 3, 4, 5}


@pytest.mark.slow
def test_sensible_numbers_disagree_with_gold_on_ten_to_twenty_pairs_of_a_hundred():
    draw = random.Random(0)
    wrong = asked = 0
    for i in range(1000):
        a, b = draw.gauss(2, 1.2), draw.gauss(2, 1.2)
        said = ask(TYPICAL, Compare(str(i), "c0", "c1"), (a, b)).choice
        if said in "ab":
            asked += 1
            wrong += (said == "a") != (a > b)
    assert asked > 900
    assert 0.10 < wrong / asked < 0.20
