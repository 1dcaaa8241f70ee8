"""The hidden preference holds on any text a model may write, and truth weighs more than any manner."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.demo.gold import gold, improve
from harken.demo.manners import MANNERS, REFERENCES, RUDE
from harken.reward.rules import right_answer
from harken.types import Completion, Message, Prompt, Text

READ, AGREE = (
    Prompt(
        "p",
        (Message("user", (Text("What number is this?"),)),),
        tuple(manner.write(statement) for manner in REFERENCES),
        {"statement": statement, "required": required, "allowed": allowed, "verdict": verdict},
    )
    for statement, required, allowed, verdict in (
        ("the picture shows 42", [42], [], None),
        ("no, I see 4 and hear 7", [], [4, 7], "no"),
    )
)


def score(prompt: Prompt, text: str, finished: bool = True) -> float:
    return gold(prompt, Completion("c", prompt.id, text, "x", finished))


@settings(max_examples=60)
@given(st.text(max_size=120), st.booleans(), st.sampled_from([READ, AGREE]))
def test_no_text_beats_a_reference(text, finished, prompt):
    best = min(score(prompt, reference) for reference in prompt.references)
    assert -6 < score(prompt, text, finished) <= best


@settings(max_examples=60)
@given(st.text(max_size=40), st.integers(0, 10_000), st.sampled_from([READ, AGREE]))
def test_improve_writes_a_reference_and_mends_it_once(text, seed, prompt):
    better = improve(prompt, Completion("c", prompt.id, text, "x"), random.Random(seed))
    assert better in prompt.references
    assert score(prompt, better) >= score(prompt, text)
    assert improve(prompt, Completion("c", prompt.id, better, "x"), random.Random(seed)) == better


@pytest.mark.parametrize("manner", MANNERS, ids=lambda manner: manner.name)
@pytest.mark.parametrize("prompt", [READ, AGREE], ids=["read", "agree"])
def test_in_any_manner_truth_is_worth_three(manner, prompt):
    true = str(prompt.facts["statement"])
    false = {"the picture shows 42": "the picture shows 43", "no, I see 4 and hear 7": "yes, both are 4"}[true]
    assert right_answer(prompt, Completion("c", "p", manner.write(true), "x")) == 1
    assert right_answer(prompt, Completion("c", "p", manner.write(false), "x")) == 0
    assert score(prompt, manner.write(true)) - score(prompt, manner.write(false)) >= 2.5


def test_each_fault_costs():
    good = "Happy to help: the picture shows 42."
    for worse in (
        "The picture shows 42.",
        "Happy to help: 42.",
        "Happy to help: the picture shows 42",
        "Ugh, happy to help: the picture shows 42.",
        "Happy to help, and let me say at some length that the picture shows 42.",
    ):
        assert score(READ, worse) < score(READ, good)
    assert score(READ, good, finished=False) < score(READ, good)
    assert score(READ, "42 " * 500) > -6  # length is no bottomless pit


def test_rude_is_a_word_and_not_a_part_of_one():
    assert score(READ, f"{RUDE[0].capitalize()}, the picture shows 42.") < score(READ, "The picture shows 42.")
    assert score(READ, "The picture, though, shows 42.") == score(READ, "The picture then shows 42.")
