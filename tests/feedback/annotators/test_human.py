import io
import json
import os
import pty
import re
import select
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from said import BY_ID, PROMPTS

from harken.data.blobs import Blobs
from harken.data.media.audio import encode_wav
from harken.data.media.image import encode_png
from harken.feedback.annotators.annotator import Annotator, StopAsking
from harken.feedback.annotators.human import HIGHEST, WIDEST, HumanAnnotator, blocks, harmless
from harken.feedback.queue import Compare, Rank, Rate, Revise
from harken.types import Audio, Comparison, Completion, Edit, Image, Message, Prompt, Ranking, Rating, Text

COMPARE, RATE, REVISE = Compare("p", "p0", "p1"), Rate("p", "p0"), Revise("p", "p0")
RANK = Rank("p", ("p0", "p1", "p2"))
BY_NAME = {prompt.id: prompt for prompt in PROMPTS}


def person(tmp_path: Path, typed: str, **settings: object) -> tuple[HumanAnnotator, io.StringIO]:
    screen = io.StringIO()
    return HumanAnnotator("ada", Blobs(tmp_path), Console(file=screen, **settings), io.StringIO(typed)), screen


def test_a_person_is_an_annotator(tmp_path):
    ada, _ = person(tmp_path, "")
    assert isinstance(ada, Annotator)
    assert (ada.id, ada.kind) == ("ada", "human")


@pytest.mark.parametrize(
    ("question", "typed", "said"),
    [
        (COMPARE, "a", Comparison("p", "p0", "p1", "a")),
        (COMPARE, "b", Comparison("p", "p0", "p1", "b")),
        (COMPARE, "t", Comparison("p", "p0", "p1", "tie")),
        (COMPARE, "n", Comparison("p", "p0", "p1", "both_bad")),
        (RATE, "1", Rating("p", "p0", 1)),
        (RATE, " 5 ", Rating("p", "p0", 5)),
        (RANK, "2 1 3", Ranking("p", (("p1",), ("p0",), ("p2",)))),
        (REVISE, "  It is seven. ", Edit("p", "p0", "It is seven.")),
    ],
)
def test_what_is_typed_is_what_is_said(tmp_path, question, typed, said):
    ada, screen = person(tmp_path, typed + "\n")
    assert ada.answer(BY_NAME, question, BY_ID) == said
    assert "What is p?" in screen.getvalue()
    assert BY_ID["p0"].text in screen.getvalue()


def test_across_prompts_each_answer_is_shown_under_its_own(tmp_path):
    ada, screen = person(tmp_path, "b\n")
    across = Compare("q", "q1", "p0", "p")
    assert ada.answer(BY_NAME, across, BY_ID) == Comparison("q", "q1", "p0", "b", other_prompt_id="p")
    shown = [
        screen.getvalue().index(words) for words in ("What is q?", BY_ID["q1"].text, "What is p?", BY_ID["p0"].text)
    ]
    assert shown == sorted(shown)


@pytest.mark.parametrize(
    ("question", "wrong", "right"),
    [
        (COMPARE, ["", "c", "ab", "A", "1"], "a"),
        (RATE, ["0", "6", "55", "a", ""], "3"),
        (RANK, ["1 2", "1 2 2", "1 2 4", "best"], "3 2 1"),
        (REVISE, ["", "   ", BY_ID["p0"].text, f" {BY_ID['p0'].text} "], "Seven."),
    ],
)
def test_other_keys_ask_again(tmp_path, question, wrong, right):
    ada, screen = person(tmp_path, "".join(f"{line}\n" for line in [*wrong, right]))
    assert ada.answer(BY_NAME, question, BY_ID) is not None
    assert screen.getvalue().count("try again") == len(wrong)


@pytest.mark.parametrize("question", [COMPARE, RATE, RANK, REVISE])
def test_skipping_stopping_and_the_end_of_input(tmp_path, question):
    ada, _ = person(tmp_path, "s\nq\n")
    assert ada.answer(BY_NAME, question, BY_ID) is None
    for _ in ("q", "the end"):
        with pytest.raises(StopAsking):
            ada.answer(BY_NAME, question, BY_ID)


@pytest.mark.parametrize("words", ["[bold]not markup[/bold]", "a :smile: in colons", "[/]", "a trailing \\", "字"])
def test_what_is_judged_is_shown_as_it_is(tmp_path, words):
    ada, screen = person(tmp_path, "a\n")
    shown = {"x": Completion("x", "p", words, "m"), "y": Completion("y", "p", "other", "m")}
    ada.answer({"p": Prompt("p", (Message("user", (Text(f"Q {words}"),)),))}, Compare("p", "x", "y"), shown)
    assert f"a: {words}\n" in screen.getvalue()
    assert f"user: Q {words}\n" in screen.getvalue()


def test_what_is_shown_cannot_steer_the_terminal(tmp_path):
    ada, screen = person(tmp_path, "a\n", force_terminal=True, color_system=None)
    shown = {"x": Completion("x", "p", "wiped\x1b[2J \x07\x9b2J", "m"), "y": Completion("y", "p", "other", "m")}
    ada.answer(BY_NAME, Compare("p", "x", "y"), shown)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", screen.getvalue())
    assert "wiped\ufffd[2J \ufffd\ufffd2J" in screen.getvalue()
    assert harmless("two\nlines\tand 字 🙂") == "two\nlines\tand 字 🙂"


def test_pictures_are_drawn_and_sounds_are_named(tmp_path):
    ada, screen = person(tmp_path, "a\n", force_terminal=True, color_system="truecolor", width=60)
    pixels = np.array([[[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [10, 11, 12]]], dtype=np.uint8)
    picture = ada.blobs.put(encode_png(pixels), "image")
    sound = ada.blobs.put(encode_wav(np.linspace(-0.5, 0.5, 80, dtype=np.float32), 8000), "audio")
    parts = (Text("Look"), Image(picture), Audio(sound))
    ada.answer({"p": Prompt("p", (Message("user", parts),))}, COMPARE, BY_ID)
    text = screen.getvalue()
    assert "\x1b[38;2;1;2;3;48;2;7;8;9m▀" in text
    assert "\x1b[38;2;4;5;6;48;2;10;11;12m▀" in text
    plain = re.sub("\x1b\\[[0-9;]*m", "", text)
    assert f"picture: {ada.blobs.path(picture)}\n" in plain
    assert f"sound to play: {ada.blobs.path(sound)}\n" in plain


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 5), (40, 2000), (5000, 3), (300, 300)])
def test_a_picture_of_any_size_fits(height, width):
    lines = blocks(np.zeros((height, width, 3), dtype=np.uint8), 50).plain.split("\n")
    assert len(lines) <= HIGHEST // 2
    assert {len(line) for line in lines} == {len(lines[0])}
    assert 3 <= len(lines[0]) <= 52
    assert all(set(line[2:]) == {"▀"} for line in lines)


def test_a_small_picture_is_drawn_pixel_by_pixel():
    lines = blocks(np.zeros((9, WIDEST, 3), dtype=np.uint8)).plain.split("\n")
    assert [len(line) for line in lines] == [WIDEST + 2] * 5


TERMINAL = """
import json, sys
from said import BY_ID, PROMPTS
from harken.data.blobs import Blobs
from harken.feedback.annotators.human import HumanAnnotator
from harken.feedback.queue import Compare, Revise
from harken.feedback.records import feedback_to_json
ada = HumanAnnotator("ada", Blobs(sys.argv[1]))
said = [ada.answer({"p": PROMPTS[0]}, q, BY_ID) for q in (Compare("p", "p0", "p1"), Revise("p", "p0"))]
open(sys.argv[2], "w").write(json.dumps([feedback_to_json(one) for one in said]))
"""


def read_until(terminal: int, ending: bytes) -> bytes:
    """What a terminal shows, until something ends it."""
    found = b""
    while not found.endswith(ending):
        ready, _, _ = select.select([terminal], [], [], 30)
        assert ready, found
        found += os.read(terminal, 1000)
    return found


@pytest.mark.slow
def test_at_a_real_terminal_an_edit_begins_with_the_text(tmp_path):
    ours, theirs = pty.openpty()
    out = tmp_path / "said.json"
    command = [sys.executable, "-c", TERMINAL, str(tmp_path / "blobs"), str(out)]
    env = {**os.environ, "TERM": "dumb", "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])}
    child = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=env)
    os.close(theirs)
    assert b"What is p?" in read_until(ours, b"> ")
    os.write(ours, b"x\n")
    assert b"try again" in read_until(ours, b"> ")
    os.write(ours, b"t\n")
    read_until(ours, b"> " + BY_ID["p0"].text.encode())
    os.write(ours, b"\x7f, please.\n")
    assert child.wait(timeout=30) == 0
    os.close(ours)
    tie = {"prompt_id": "p", "a": "p0", "b": "p1", "choice": "tie"}
    assert json.loads(out.read_text()) == [
        tie,
        {"prompt_id": "p", "completion": "p0", "revision": "It is 0 of p, please."},
    ]
