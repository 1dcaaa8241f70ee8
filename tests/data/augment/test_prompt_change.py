"""Perturbed prompts: what may change in their words, and what never does."""

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harken.data.augment.prompt import PromptChange
from harken.data.augment.words.case import Case
from harken.data.augment.words.distractors import Distractors
from harken.data.augment.words.typos import Typos
from harken.data.augment.words.wording import Wording
from harken.types import Audio, Image, Message, Prompt, Text

TEXTS = st.text(st.sampled_from("abcdeXYZ äß12 .,?'\n数字"), max_size=40)
SEEDS = st.integers(0, 2**63 - 1)
ALL = ("typos", "case", "wordings", "distractors")
SUMS = Wording(("Add {n}.", "Plus {n}"), ("Please add {n} to it.", "{n} more, please."))


def chance(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def prompt(text: str = "Which number do you see?") -> Prompt:
    before = (Message("system", (Text("Be kind."),)), Message("user", (Text("Hello."),)), Message("assistant", ()))
    last = Message("user", (Image("a" * 64), Text(text), Audio("b" * 64), Text(" ")))
    return Prompt("p", (*before, last), ("It is 7.",), {"required": [7]})


def words_of(made: Prompt) -> str:
    return "".join(part.text for part in made.messages[-1].parts if isinstance(part, Text))


@given(TEXTS, SEEDS)
def test_typos_keep_numbers_and_ends_of_words(text, seed):
    made = Typos()(text, chance(seed))
    assert made == Typos()(text, chance(seed))
    assert re.findall(r"\d+", made) == re.findall(r"\d+", text)
    assert [found for found in made if not found.isalpha()] == [found for found in text if not found.isalpha()]
    for was, now in zip(re.findall(r"[^\W\d_]+", text), re.findall(r"[^\W\d_]+", made), strict=True):
        assert (was[0], was[-1]) == (now[0], now[-1])
        assert abs(len(was) - len(now)) <= 1
        assert was == now or len(was) >= 4


def test_each_typo_is_one_of_three_and_long_words_have_one():
    found = Counter(Typos(rate=1.0)("abcd", chance(seed)) for seed in range(300))
    assert set(found) == {"acbd", "acd", "abbcd"}
    assert min(found.values()) > 60
    made = Typos(rate=0.5)("these words have five letters", chance()).split()
    before = ["these", "words", "have", "five", "letters"]
    changed = [now for was, now in zip(before, made, strict=True) if was != now]
    assert len(changed) == round(0.5 * 5)
    assert Typos()("an ox is 1234 文字文字文字", chance()) == "an ox is 1234 文字文字文字"


@given(TEXTS, SEEDS)
def test_case_changes_letters_case_alone(text, seed):
    made = Case()(text, chance(seed))
    assert made.casefold() == text.casefold()
    assert made != text or text.lower() == text.upper() == text.swapcase()


def test_each_case_is_drawn_and_what_is_off_is_not():
    assert {Case()("What is it?", chance(seed)) for seed in range(40)} == {"what is it?", "WHAT IS IT?", "wHAT IS IT?"}
    assert {Case(upper=False, swapped=False)("What?", chance(seed)) for seed in range(9)} == {"what?"}


def test_other_words_keep_what_stands_in_a_slot():
    made = {SUMS(" Add 42. ", chance(seed)) for seed in range(20)}
    assert made == {" Please add 42 to it. ", " 42 more, please. "}
    assert SUMS("Plus a {b} c", chance(1)) in {"Please add a {b} c to it.", "a {b} c more, please."}
    assert SUMS("Subtract 42.", chance()) is None
    twice = Wording(("{n} and {n}",), ("twice {n}, {n}!",))
    assert twice("4 and 4", chance()) == "twice 4, 4!"
    assert twice("4 and 5", chance()) is None


def test_a_sentence_beside_the_point_stands_before_or_behind():
    aside = Distractors(("It rains.",))
    assert {aside("What?", chance(seed)) for seed in range(20)} == {"It rains. What?", "What? It rains."}
    assert {Distractors(("It rains.",), before=False)("What?", chance(seed)) for seed in range(9)} == {
        "What? It rains."
    }
    assert {Distractors(("It rains.",), behind=False)("What?", chance(seed)) for seed in range(9)} == {
        "It rains. What?"
    }


@given(st.sampled_from(["Add 3.", "What number is this?", "和数は?", " "]), st.integers(1, 4), SEEDS)
def test_a_perturbed_prompt_asks_the_same_of_the_same(text, at_once, seed):
    change, asked = PromptChange(1.0, ALL, at_once, wordings=(SUMS,)), prompt(text)
    made = change(asked, seed)
    assert made == change(asked, seed)
    assert (made.references, made.facts, made.messages[:-1]) == (asked.references, asked.facts, asked.messages[:-1])
    was, now = asked.messages[-1].parts, made.messages[-1].parts
    assert [part for part in now if not isinstance(part, Text)] == [part for part in was if not isinstance(part, Text)]
    assert now[3] == was[3], "white space is no words"
    assert sorted(re.findall(r"\d+", words_of(made))) == sorted(re.findall(r"\d+", text))
    assert (made.id == asked.id) == (now == was)


def test_kinds_are_drawn_alike_and_other_words_come_first():
    change = PromptChange(1.0, ALL, wordings=(Wording(("Add 3.",), ("Three more.",)),))
    found = Counter()
    for seed in range(400):
        said = words_of(change(prompt("Add 3."), seed)).strip()
        kinds = {"Three more.": "wordings", "ADD 3.": "case", "add 3.": "case", "aDD 3.": "case", "Add 3.": "typos"}
        found[kinds.get(said, "distractors")] += 1
    assert min(found[kind] for kind in ALL) > 70, "`Add` is too short for a typo"
    both = PromptChange(1.0, ("case", "wordings"), 2, case=Case(lower=False, swapped=False), wordings=change.wordings)
    assert words_of(both(prompt("Add 3."), 1)).strip() == "THREE MORE."


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: PromptChange(1.5), r"perturb\.share"),
        (lambda: PromptChange(at_once=4), r"perturb\.at_once: 4 different ones"),
        (lambda: PromptChange(kinds=("case", "case")), r"perturb\.at_once"),
        (lambda: PromptChange(tries=0), r"perturb\.tries"),
        (lambda: PromptChange(kinds=("wordings",)), r"perturb\.wordings and `wordings` in perturb\.kinds"),
        (lambda: PromptChange(wordings=(SUMS,)), r"perturb\.wordings and `wordings` in perturb\.kinds"),
        (lambda: Wording(("Add {n}.",), ("Add it.",)), "with the same slots"),
        (lambda: Wording((), ("Add it.",)), "with the same slots"),
        (lambda: Distractors(("It is 7 degrees.",)), "sentences without numbers"),
        (lambda: Distractors(before=False, behind=False), "must stand somewhere"),
        (lambda: Typos(rate=2.0), r"perturb\.typos\.rate"),
        (lambda: Typos(shortest=3), r"perturb\.typos\.shortest"),
    ],
)
def test_settings_that_make_no_change_are_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        wrong()
