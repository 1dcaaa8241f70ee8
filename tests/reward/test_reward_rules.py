import pytest
from hypothesis import given
from hypothesis import strategies as st

from harken.reward.rules import (
    RULES,
    Length,
    Repetition,
    RuleSettings,
    ended,
    numbers,
    right_answer,
    rules_by_name,
)
from harken.types import Completion, Prompt


def asked(**facts) -> Prompt:
    return Prompt("p7", (), facts=facts)


def says(text: str, finished: bool = True) -> Completion:
    return Completion("c", "p7", text, "policy", finished)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It is 42.", {"42"}),
        ("4 2", {"4", "2"}),
        ("007, then -7 and 3.5", {"7", "3", "5"}),
        ("zero is 0 or 00", {"0"}),
        ("４２", {"42"}),
        ("none", set()),
        ("x²", set()),
        ("9" * 10_000, {"9" * 10_000}),
    ],
)
def test_numbers_are_whole_runs_of_digits(text, found):
    assert numbers(text) == found


SUM = asked(required=[12], allowed=[5, 7])


@pytest.mark.parametrize(
    ("prompt", "text", "reward"),
    [
        (SUM, "The sum is 12.", 1.0),
        (SUM, "5 and 7 make 12.", 1.0),
        (SUM, "5 and 7 make 13.", 0.0),
        (SUM, "It is 12, or 13.", 0.0),
        (SUM, "5 and 7.", 0.0),
        (SUM, "1 2", 0.0),
        (SUM, "112", 0.0),
        (SUM, "", 0.0),
        (asked(required=[]), "I cannot tell.", 1.0),
        (asked(required=[]), "It is 3.", 0.0),
        (asked(required=[3, 4], verdict="no"), "No: 3 is not 4.", 1.0),
        (asked(required=[3, 4], verdict="no"), "3 and 4, so NO!", 1.0),
        (asked(required=[3, 4], verdict="no"), "No, yes: 3 and 4.", 0.0),
        (asked(required=[3, 4], verdict="no"), "Yes: 3 is not 4.", 0.0),
        (asked(required=[3, 4], verdict="no"), "3 is not 4.", 0.0),
        (asked(required=[3], verdict="yes"), "Yes, both are 3.", 1.0),
        (asked(required=[3], verdict="yes"), "Yes, both are 3, yes.", 1.0),
        (asked(required=[3], verdict="yes"), "Yes, both are 3. No.", 0.0),
        (asked(required=[3], verdict="yes"), "Yesterday there was 3, noted.", 0.0),
        (asked(required=[3], verdict=None), "No, it is 3.", 1.0),
    ],
)
def test_right_answer(prompt, text, reward):
    assert right_answer(prompt, says(text)) == reward


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({}, "has no fact `required`"),
        ({"required": 12}, "list of whole numbers"),
        ({"required": ["12"]}, "list of whole numbers"),
        ({"required": [True]}, "list of whole numbers"),
        ({"required": [-1]}, "list of whole numbers"),
        ({"required": [1], "allowed": None}, "list of whole numbers"),
        ({"required": [1], "verdict": "maybe"}, 'must be "yes", "no" or null'),
    ],
)
def test_facts_that_are_not_there_or_wrong_name_the_prompt(facts, said):
    with pytest.raises(ValueError, match=f"p7.*{said}"):
        right_answer(asked(**facts), says("It is 1."))


@pytest.mark.parametrize(
    ("text", "finished", "reward"),
    [
        ("It is 7.", True, 1.0),
        ("It is 7! \n", True, 1.0),
        ("Is it 7?", True, 1.0),
        ("是七。", True, 1.0),
        ("It is 7", True, 0.0),
        ("It is 7.", False, 0.0),
        ("", True, 0.0),
    ],
)
def test_ended(text, finished, reward):
    assert ended(asked(), says(text, finished)) == reward


def test_recipes_name_these_rules():
    assert dict(RULES) == {
        "right_answer": right_answer,
        "ended": ended,
        "length": Length(),
        "repetition": Repetition(),
    }


@pytest.mark.parametrize(
    ("rule", "text", "reward"),
    [
        (Length(limit=4), "one two three four", 0.0),
        (Length(limit=4), "one two  three\nfour five", -0.25),
        (Length(limit=2), "one two three four five", -1.0),
        (Length(limit=2), "", 0.0),
        (Length(target=4), "one two three", -0.25),
        (Length(target=4), "one two three four five", -0.25),
        (Length(target=4), "", -1.0),
        (Length(limit=4, target=2), "one two three", -0.5),
        (Length(limit=2, target=4), "one two three", -0.5),
        (Length(limit=4, unit="characters"), " 四個字呀 ", 0.0),
        (Length(limit=4, unit="characters"), "五個字了呀", -0.25),
        (Length(), "any length at all", 0.0),
    ],
)
def test_length(rule, text, reward):
    assert rule(asked(), says(text)) == pytest.approx(reward)


def plain_repetition(said: list[str], n: int) -> float:
    """1908.04319: the share of n-grams that stood before, counted one by one."""
    grams = [said[i : i + n] for i in range(len(said)) if i + n <= len(said)]
    again = sum(any(earlier == gram for earlier in grams[:i]) for i, gram in enumerate(grams))
    return -again / len(grams) if grams else 0.0


@given(said=st.lists(st.sampled_from("ab"), max_size=12), n=st.integers(1, 4))
def test_repetition(said, n):
    assert Repetition(n)(asked(), says(" ".join(said))) == pytest.approx(plain_repetition(said, n))
    assert Repetition(n, "characters")(asked(), says("".join(said))) == pytest.approx(plain_repetition(said, n))


def test_a_loop_is_worse_than_a_sentence():
    rule = Repetition()
    assert rule(asked(), says("It is a picture of a seven in blue ink.")) == 0.0
    assert rule(asked(), says("so it is " * 20)) < -0.9


@pytest.mark.parametrize("wrong", [lambda: Length(limit=0), lambda: Length(target=-1), lambda: Repetition(0)])
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match="at least 1"):
        wrong()


def test_settings_reach_their_rules():
    made = rules_by_name(RuleSettings(length=Length(limit=1), repetition=Repetition(n=1)))
    assert made["length"](asked(), says("one two")) == -1.0
    assert made["repetition"](asked(), says("one one")) == -0.5
