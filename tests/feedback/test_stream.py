"""A store prompt by prompt is the store; and an export holds a few prompts, not all."""

import threading
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from said import COMPLETIONS, PROMPTS, comparison, statements

from harken.data.media.limits import MediaError
from harken.feedback.exchange.door import FORMATS, export_chunks, export_file, find_place
from harken.feedback.store import FeedbackStore
from harken.types import Answer, Comparison, Completion, Image, Message, Prompt, Text


@pytest.mark.slow
@given(said=st.lists(statements, max_size=8), at_once=st.integers(1, 3))
@settings(max_examples=15)
def test_a_stream_is_the_store(said: list, at_once: int, tmp_path_factory: pytest.TempPathFactory):
    with FeedbackStore(tmp_path_factory.mktemp("store") / "feedback.db") as store:
        store.add_prompts(PROMPTS)
        store.add_completions(COMPLETIONS)
        store.add_answers([Answer(f"k{i}", "ada", "human", one) for i, one in enumerate(said)])
        items = list(store.stream(at_once))
        assert [item.prompt for item in items] == store.prompts()
        for item in items:
            assert list(item.completions) == store.completions(item.prompt.id)
            mine = [answer for answer in store.answers() if answer.feedback.prompt_id == item.prompt.id]
            assert list(item.answers) == mine
            across = {a.feedback.b for a in mine if isinstance(a.feedback, Comparison) and a.feedback.other_prompt_id}
            assert {(name, prompt.id, one.id) for name, (prompt, one) in item.others.items()} == {
                (name, "q", name) for name in across
            }


def test_amended_answers_are_told_apart(store: FeedbackStore):
    store.add(comparison("k1"))
    store.add(comparison("k2", "b", amends="k1"))
    first = next(iter(store.stream()))
    assert [answer.key for answer in first.answers] == ["k1", "k2"] and first.replaced == {"k1"}


def test_what_is_added_meanwhile_is_not_half_seen(store: FeedbackStore):
    store.add(comparison("k1"))
    reading = store.stream(at_once=1)
    first = next(reading)
    store.add(Answer("k2", "ada", "human", Comparison("q", "q0", "q1", "a")))
    (second,) = reading
    assert (len(first.answers), len(second.answers)) == (1, 0)


def peak(folder: Path, prompts: int) -> tuple[int, int]:
    """Bytes that an export wrote, and the most that it held."""
    place = find_place(str(folder))
    folder.mkdir()
    with FeedbackStore(place.store) as store:
        asked = [Prompt(f"p{i}", (Message("user", (Text("Which? " * 300),)),)) for i in range(prompts)]
        store.add_prompts(asked)
        made = [Completion(f"{one.id} {i}", one.id, "word " * 400, "m") for one in asked for i in range(2)]
        store.add_completions(made)
        said = [Comparison(one.id, f"{one.id} 0", f"{one.id} 1", "a") for one in asked]
        store.add_answers([Answer(one.prompt_id, "ada", "human", one) for one in said])
    tracemalloc.start()
    count = sum(len(chunk) for chunk in export_chunks("arena", place))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return count, most


@pytest.mark.slow
def test_an_export_holds_a_few_prompts(tmp_path: Path):
    peak(tmp_path / "first", 10)
    (little, held_little), (much, held_much) = peak(tmp_path / "little", 200), peak(tmp_path / "much", 1600)
    assert much > 7 * little
    assert held_much < 1.5 * held_little


@pytest.mark.parametrize("name", FORMATS)
def test_chunks_are_the_file(name: str, store: FeedbackStore, tmp_path: Path):
    store.add(comparison("k1"))
    file, _ = export_file(name, find_place(str(tmp_path)), tmp_path / "out")
    assert b"".join(export_chunks(name, find_place(str(tmp_path)))) == file.read_bytes()


def test_an_error_in_the_middle_is_not_an_end(store: FeedbackStore, tmp_path: Path):
    store.add_prompts([Prompt("seen", (Message("user", (Image("0" * 64),)),))])
    store.add_completions([Completion(name, "seen", name, "m") for name in ("x", "y")])
    store.add(Answer("k1", "ada", "human", Comparison("seen", "x", "y", "a")))
    with pytest.raises(MediaError, match="no medium 0000"):
        list(export_chunks("arena", find_place(str(tmp_path))))


def test_a_reader_that_goes_ends_the_export(tmp_path: Path):
    place = find_place(str(tmp_path))
    with FeedbackStore(place.store) as store:
        store.add_prompts([Prompt(f"p{i}", (Message("user", (Text("Which? " * 3000),)),)) for i in range(100)])
        store.add_completions([Completion(f"p{i} {j}", f"p{i}", "x", "m") for i in range(100) for j in range(2)])
        said = [Comparison(f"p{i}", f"p{i} 0", f"p{i} 1", "a") for i in range(100)]
        store.add_answers([Answer(one.prompt_id, "ada", "human", one) for one in said])
    before = threading.active_count()
    chunks = export_chunks("arena", place)
    assert next(chunks)
    assert threading.active_count() == before + 1
    chunks.close()
    assert threading.active_count() == before
