"""Out of a store and into an empty one: the same answers, as far as the format holds them, and twice adds nothing."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from said import COMPLETIONS
from stores import (
    PICTURES,
    SOUNDS,
    Contents,
    all_of,
    contents,
    fill,
    held,
    last_words,
    orders_something,
    put_media,
    sha256_of,
    spoken_of,
)

from harken.feedback.exchange.door import FORMATS, export_file, find_place, import_file
from harken.types import Answer, Audio, Comparison, Edit, Image, Message, Prompt, Ranking, Rating, Text

SOME = settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
WHOLE = ("parquet", "label_studio", "argilla", "table")


def preferred(answer: Answer) -> bool:
    match answer.feedback:
        case Rating() | Comparison(choice="tie" | "both_bad") | Comparison(other_prompt_id=str()):
            return False
        case Ranking() as said:
            return orders_something(said)
    return True


def fought(answer: Answer) -> bool:
    return isinstance(answer.feedback, Comparison) and answer.feedback.other_prompt_id is None


def keyed(answers: list[Answer]) -> dict[str, Answer]:
    return {answer.key: answer for answer in answers}


def there_and_back(name: str, given_: Contents, suffix: str, wanted: list[Answer]) -> dict[str, Answer]:
    """Out and in again, and once more in; what the other store then holds of answers, by key."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        place = fill(folder / "one", given_)
        file, tally = export_file(name, place, folder / f"out{suffix}")
        other = find_place(str(folder / "two"))
        if name == "table":
            put_media(other)
        if not wanted and name != "parquet":
            assert tally.answers == 0
            return {}
        done = import_file(name, file, other)
        assert (done.skipped, done.differing) == ((), ())
        # An edit makes its revision where it comes in, so there may be more completions than came.
        assert done.new == (done.prompts, len(all_of(other)[1]), len(wanted))
        again = import_file(name, file, other)
        assert (again.new, again.differing) == ((0, 0, 0), ())
        prompts, completions = (set(all_of(other)[0]), set(all_of(other)[1]))
        named = spoken_of(wanted)
        assert prompts >= named[0] and completions >= named[1]
        assert all(all_of(place)[i][k] == v for i in (0, 1) for k, v in all_of(other)[i].items())
        assert tally.answers == len(wanted)
        missing = sum(tally.left[why] for why in LOST)
        assert missing == len(given_.answers) - len(wanted)
        return held(other)


LOST = (
    "answers that were amended",
    "ratings",
    "rankings",
    "edits",
    "comparisons across two prompts",
    "ties and both bad",
    "rankings that order nothing",
)


@pytest.mark.slow
@pytest.mark.parametrize("name", WHOLE)
@given(given_=contents())
@SOME
def test_everything_comes_back(name: str, given_: Contents):
    wanted = list(given_.answers)
    assert there_and_back(name, given_, FORMATS[name].SUFFIXES[0], wanted) == keyed(wanted)


@pytest.mark.slow
@given(given_=contents())
@SOME
def test_a_whole_store_comes_back_as_parquet(given_: Contents):
    with TemporaryDirectory() as scratch:
        place = fill(Path(scratch) / "one", given_)
        file, tally = export_file("parquet", place, Path(scratch) / "out.parquet")
        other = find_place(str(Path(scratch) / "two"))
        import_file("parquet", file, other)
        assert all_of(other) == all_of(place)
        assert not tally.left


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
@given(given_=contents())
@SOME
def test_battles_come_back(suffix: str, given_: Contents):
    wanted = [answer for answer in last_words(given_) if fought(answer)]
    assert there_and_back("arena", given_, suffix, wanted) == keyed(wanted)


@pytest.mark.slow
@given(given_=contents())
@SOME
def test_preferences_come_back(given_: Contents):
    wanted = [answer for answer in last_words(given_) if preferred(answer)]
    assert there_and_back("trl", given_, ".parquet", wanted) == keyed(wanted)


@pytest.mark.slow
@given(given_=contents(media=False))
@SOME
def test_preferences_of_words_come_back_as_lines(given_: Contents):
    wanted = [answer for answer in last_words(given_) if preferred(answer)]
    assert there_and_back("trl", given_, ".jsonl", wanted) == keyed(wanted)


def test_every_format_is_a_file_and_every_file_a_format():
    folder = Path(__file__).parents[4] / "src/harken/feedback/exchange/formats"
    assert {path.stem for path in folder.glob("*.py")} - {"__init__"} == set(FORMATS)
    document = (Path(__file__).parents[4] / "docs/exchange.md").read_text()
    for name, module in FORMATS.items():
        assert f"| `{name}` |" in document
        assert callable(module.write) and callable(module.read) and module.SUFFIXES


def small() -> Contents:
    """One of everything: pictures and sounds, ties, both bad, a crowd, an edit, an amendment, two prompts compared."""
    seen = (Image(sha256_of(PICTURES[0])), Text("Which?"), Audio(sha256_of(SOUNDS[0])))
    prompts = tuple(Prompt(name, (Message("user", seen),), ("42",), {"n": 1}) for name in ("p", "q"))
    said = [
        Comparison("p", "p0", "p1", "a"),
        Comparison("p", "p0", "p1", "both_bad"),
        Comparison("p", "p1", "p0", "tie", "wit"),
        Comparison("p", "p0", "q0", "b", "overall", "q"),
        Ranking("p", (("p2",), ("p0", "p1")), ("p3",)),
        Rating("p", "p0", 3, 7, "wit"),
        Edit("p", "p0", "=1+1"),
    ]
    answers = [Answer(f"k{i}", "ada", "human", one, 1.5 * i, None, i + 1) for i, one in enumerate(said)]
    late = [replace(answers[0], key="k9", amends="k0", feedback=Comparison("p", "p0", "p1", "b"))]
    return Contents(prompts, tuple(COMPLETIONS), (*answers, *late))


@pytest.mark.parametrize("name", WHOLE)
def test_one_of_everything_comes_back(name: str):
    wanted = list(small().answers)
    assert there_and_back(name, small(), FORMATS[name].SUFFIXES[0], wanted) == keyed(wanted)


def test_one_of_everything_as_battles_and_preferences():
    last = last_words(small())
    battles, preferences = [a for a in last if fought(a)], [a for a in last if preferred(a)]
    assert there_and_back("arena", small(), ".json", battles) == keyed(battles)
    assert there_and_back("trl", small(), ".parquet", preferences) == keyed(preferences)
