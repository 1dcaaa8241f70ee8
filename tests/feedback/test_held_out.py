"""What measures is not learnt from: by prompt, by medium, by speaker, by annotator."""

import pytest

from harken.data.seeds import derive
from harken.feedback.held_out import (
    LeakageError,
    SplitConfig,
    divide,
    held_out_prompts,
    prompts_of,
    refuse_leaks,
    shared,
)
from harken.types import Answer, Audio, Comparison, Message, Prompt, Rating, Text


def prompt(name: str, words: str = "", sound: str = "", **facts: object) -> Prompt:
    parts = [Text(words or f"Read {name}."), *([Audio(sound * 64)] if sound else [])]
    return Prompt(name, (Message("user", tuple(parts)),), facts=facts)


def rated(name: str, who: str = "ada") -> Answer:
    return Answer(f"{who}{name}", who, "human", Rating(name, f"{name}0", 3))


def both(one: list[Answer], other: list[Answer], *prompts: Prompt, facts: tuple[str, ...] = ("speaker",)):
    return [(leak.what, leak.key) for leak in shared(one, other, {p.id: p for p in prompts}, facts)]


def test_what_stands_on_both_sides_is_found():
    a, b = prompt("a", sound="1", speaker="s1"), prompt("b", sound="2", speaker="s2")
    assert both([rated("a")], [rated("b", "bob")], a, b) == []
    assert both([rated("a")], [rated("b")], a, b) == [("annotator", "ada")]
    heard = prompt("c", sound="1", speaker="s3")
    assert both([rated("a")], [rated("c", "bob")], a, heard) == [("audio", "1" * 64)]
    voice = prompt("d", speaker="s1")
    assert both([rated("a")], [rated("d", "bob")], a, voice) == [("speaker", "s1")]
    assert both([rated("a")], [rated("d", "bob")], a, voice, facts=()) == []
    same = prompt("e", words="Read a.")
    assert [what for what, _ in both([rated("f")], [rated("e", "bob")], prompt("f", words="Read a."), same)] == [
        "messages"
    ]


def test_the_other_prompt_of_a_comparison_counts_too():
    across = Answer("x", "bob", "human", Comparison("a", "a0", "b0", "a", other_prompt_id="b"))
    assert prompts_of(across) == ("a", "b")
    assert both([rated("b")], [across], prompt("a"), prompt("b"))[0][0] == "messages"
    sides = divide([across, rated("a"), rated("b")], {"b"})
    assert ([a.key for a in sides.learnt], [a.key for a in sides.measured], sides.astride) == (["adaa"], ["adab"], 1)


def test_what_is_not_allowed_is_refused_with_examples_and_ways_out():
    found = shared(
        [rated("a")],
        [rated("b")],
        {"a": prompt("a", sound="1", speaker=7), "b": prompt("b", sound="1", speaker=7)},
        ["speaker"],
    )
    with pytest.raises(LeakageError) as error:
        refuse_leaks(found, ["annotator"], "or say split.allow=[{}]")
    assert "audio 1, speaker 1 on both sides" in str(error.value)
    assert "speaker '7' in 'a' and in 'b' (held out)" in str(error.value)
    assert "split.allow=[annotator, audio, speaker]" in str(error.value)
    refuse_leaks(found, ["annotator", "audio", "speaker"], "")
    with pytest.raises(LeakageError, match="annotator 1 on both sides"):
        refuse_leaks(found, ["audio", "speaker"], "{}")
    with pytest.raises(ValueError, match="not 'speeker'"):
        SplitConfig(allow=("speeker",))


def test_by_prompt_each_goes_its_own_way_as_ever():
    asked = [prompt(f"p{n}") for n in range(400)]
    held = held_out_prompts(asked, 0.25, 5)
    assert held == {p.id for p in asked if derive(5, "held out", p.id) % 10_000 < 2_500}
    assert 60 < len(held) < 140
    assert held_out_prompts(asked, 0.0, 5) == set()


@pytest.mark.parametrize("by", ["media", "speaker"])
def test_what_belongs_together_is_held_out_together(by):
    asked = [prompt(f"p{n}", sound="0123456789abcdef"[n % 16], speaker=n % 48) for n in range(240)]
    held = held_out_prompts(asked, 0.4, 1, by)
    assert 0 < len(held) < 240
    learnt, measured = ([rated(p.id) for p in asked if (p.id in held) is side] for side in (False, True))
    by_id = {p.id: p for p in asked}
    refuse_leaks(shared(learnt, measured, by_id, ["speaker"] if by == "speaker" else []), ["annotator"], "{}")
    assert held == held_out_prompts(asked[::-1], 0.4, 1, by)


def test_a_fact_that_a_prompt_lacks_is_named():
    with pytest.raises(ValueError, match="prompt 'b' has no fact 'speaker'"):
        held_out_prompts([prompt("a", speaker=1), prompt("b")], 0.5, 0, "speaker")
