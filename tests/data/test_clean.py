import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.data.clean import Duplicate, Leak, clean, count_modalities, leaks, split
from harken.types import Audio, Image, Message, Part, Prompt, Text


def prompt(name: str, *parts: Part, **more: object) -> Prompt:
    return Prompt(name, (Message("user", parts or (Text(name),)),), **more)


def image(n: int) -> Image:
    return Image(f"{n:064x}")


def audio(n: int) -> Audio:
    return Audio(f"{n:064x}")


def test_repeats_are_left_out_and_told():
    first, other = prompt("a", Text("x"), image(1)), prompt("b", Text("x"), image(2))
    again = prompt("c", Text("x"), image(1))
    graded = prompt("d", Text("x"), image(1), references=("yes",))
    seen = clean([first, other, again, graded])
    assert seen.prompts == (first, other)
    assert seen.duplicates == (Duplicate("c", "a", False), Duplicate("d", "a", True))


def test_a_picture_and_a_sound_of_one_name_are_not_the_same():
    assert not clean([prompt("a", image(1)), prompt("b", audio(1))]).duplicates
    assert not clean([prompt("a", Text("xy")), prompt("b", Text("x"), Text("y"))]).duplicates


def test_mixtures_are_counted():
    prompts = [prompt("a"), prompt("b"), prompt("c", image(1), Text("x"), image(2)), prompt("d", audio(1), image(1))]
    assert count_modalities(prompts) == {"audio+image": 1, "image+text": 1, "text": 2}


def test_leaks_name_what_is_on_both_sides():
    train = [prompt("a", Text("x"), image(1)), prompt("b", Text("same")), prompt("e", image(1))]
    test = [prompt("c", Text("y"), image(1)), prompt("d", Text("same")), prompt("f", audio(1))]
    found = leaks(train, test)
    assert found[0] == Leak("image", image(1).sha256, ("a", "e"), ("c",))
    assert [(leak.what, leak.train, leak.test) for leak in found[1:]] == [("messages", ("b",), ("d",))]
    assert leaks(train, []) == []


# A prompt's words by number, and its media by number: pictures below 13, sounds from 13 on.
crowds = st.lists(st.tuples(st.integers(0, 30), st.lists(st.integers(0, 25), max_size=2)), min_size=1, max_size=30)


def gathered(rows: list[tuple[int, list[int]]]) -> list[Prompt]:
    return [
        prompt(str(i), Text(f"q{text}"), *(image(n) if n < 13 else audio(n) for n in media))
        for i, (text, media) in enumerate(rows)
    ]


def group(p: Prompt) -> str:
    return str(int(p.id) // 2)


@settings(max_examples=100)
@given(rows=crowds, grouped=st.booleans(), order=st.randoms())
def test_splits_share_nothing_and_do_not_depend_on_order(rows, grouped, order):
    crowd = gathered(rows)
    shares = {"train": 0.6, "test": 0.4}
    by = group if grouped else None
    try:
        sets = split(crowd, shares, by)
    except ValueError as error:
        assert "nothing falls to" in str(error)
        return
    assert sorted(p.id for part in sets.values() for p in part) == sorted(p.id for p in crowd)
    assert [p for p in crowd if p in sets["test"]] == sets["test"]
    assert leaks(sets["train"], sets["test"]) == []
    if grouped:
        assert not {group(p) for p in sets["train"]} & {group(p) for p in sets["test"]}
    shuffled = list(crowd)
    order.shuffle(shuffled)
    again = split(shuffled, shares, by)
    assert {name: {p.id for p in part} for name, part in again.items()} == {
        name: {p.id for p in part} for name, part in sets.items()
    }


def test_what_hangs_together_by_a_chain_stays_together():
    chain = [prompt(str(i), Text(str(i)), image(i), image(i + 1)) for i in range(40)]
    alone = [prompt(f"x{i}") for i in range(40)]
    sets = split(chain + alone, {"train": 0.5, "test": 0.5})
    assert {sum(p in part for p in chain) for part in sets.values()} == {0, 40}


def test_shares_are_met_on_average_and_prompts_stay_when_others_come():
    many = [prompt(str(i)) for i in range(2_000)]
    shares = {"train": 0.8, "dev": 0.1, "test": 0.1}
    sets = split(many, shares)
    assert {name: len(part) / 2_000 for name, part in sets.items()} == pytest.approx(shares, abs=0.03)
    fewer = split(many[:500], shares)
    for name, part in fewer.items():
        assert {p.id for p in part} <= {p.id for p in sets[name]}


@pytest.mark.parametrize("shares", [{}, {"a": 0.5}, {"a": 1.5, "b": -0.5}, {"a": 0.0, "b": 1.0}])
def test_shares_that_make_no_sense(shares):
    with pytest.raises(ValueError, match="sum to 1"):
        split([prompt("a")], shares)


def test_a_set_that_stays_empty_is_an_error():
    with pytest.raises(ValueError, match="2 prompts hang together in 1 groups"):
        split([prompt("a"), prompt("b")], {"train": 0.5, "test": 0.5}, by=lambda p: "one")


def test_shares_hold_however_many_keys_a_prompt_has():
    """A prompt with media has several hashes; its place must not lean to the first set for that."""
    asked = [
        Prompt(f"p{i}", (Message("user", (Image(f"{2 * i:064x}"), Image(f"{2 * i + 1:064x}"), Text("Which?"))),))
        for i in range(2000)
    ]
    sizes = {name: len(members) for name, members in split(asked, {"train": 0.9, "test": 0.1}).items()}
    assert 150 < sizes["test"] < 250
