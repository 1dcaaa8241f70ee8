"""The demo's worlds: what is true in them, what is held out, and that a seed gives the same bits."""

import hashlib
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from harken.data.blobs import Blobs
from harken.data.clean import leaks
from harken.data.media import audio, image
from harken.demo import digits, spoken_digits, voices
from harken.demo.gold import gold, improve
from harken.demo.manners import MANNERS
from harken.demo.recipe import demo_recipe
from harken.demo.world import DemoSource, make_world
from harken.pipeline.recipe import Recipe, RecipeError, read_recipe
from harken.pipeline.world import World
from harken.reward.rules import right_answer
from harken.types import Audio, Completion, Image

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("HARKEN_DATA", ROOT.parent / "shared" / "data"))
SMALL = ["data.demonstrations=48", "data.ask=40", "data.held_out=40"]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[World, Blobs]:
    blobs = Blobs(tmp_path_factory.mktemp("blobs"))
    return make_world(demo_recipe(0, False, "simulated", SMALL), blobs), blobs


@pytest.mark.slow
def test_a_seed_gives_the_same_world(made, tmp_path):
    world, _ = made
    again = make_world(demo_recipe(0, False, "simulated", SMALL), Blobs(tmp_path))
    assert (again.prompts, again.test, again.demonstrations) == (world.prompts, world.test, world.demonstrations)
    other = make_world(demo_recipe(1, False, "simulated", SMALL), Blobs(tmp_path))
    assert other.prompts != world.prompts


def test_a_larger_world_begins_with_the_smaller_one(made, tmp_path):
    world, _ = made
    larger = make_world(demo_recipe(0, False, "simulated", [*SMALL, "data.ask=60"]), Blobs(tmp_path))
    assert larger.prompts[:40] == world.prompts


def test_references_are_true_and_liked_best(made):
    world, _ = made
    for prompt in (*world.prompts, *world.test):
        scores = [gold(prompt, Completion("c", prompt.id, text, "x")) for text in prompt.references]
        assert all(right_answer(prompt, Completion("c", prompt.id, text, "x")) == 1 for text in prompt.references)
        others = [manner.write(str(prompt.facts["statement"])) for manner in MANNERS]
        assert max(gold(prompt, Completion("c", prompt.id, text, "x")) for text in others) <= max(scores)


def test_demonstrations_are_true_in_many_manners(made):
    world, _ = made
    texts = {}
    for prompt, text in world.demonstrations:
        brief = text in {m.write(str(prompt.facts["statement"])) for m in MANNERS}
        assert brief
        texts[prompt.id] = text
    assert len(texts) == 48
    assert sum("help" in text for text in texts.values()) < 30


def test_gold_orders_what_people_would(made):
    world, _ = made
    prompt = next(p for p in world.prompts if p.facts["task"] == "read")
    number = prompt.facts["required"][0]
    ordered = [
        f"Happy to help: the picture shows {number}.",
        f"The picture shows {number}.",
        f"{number}.",
        f"Ugh, {number}.",
        f"Happy to help: the picture shows {number + 1}.",
        f"Ugh, the picture shows {number + 1}",
        "",
    ]
    scores = [gold(prompt, Completion("c", prompt.id, text, "x")) for text in ordered]
    assert scores[:5] == sorted(scores[:5], reverse=True)
    assert scores[0] - scores[4] >= 2
    assert max(scores[5:]) < scores[3]


def test_improve_says_a_reference(made):
    world, _ = made
    prompt = world.prompts[0]
    better = improve(prompt, Completion("c", prompt.id, "Hm, glad to help", "x"), random.Random(0))
    assert better in prompt.references


def test_the_held_out_block_lies_at_the_end_and_is_contiguous():
    count = len(digits.scans()[1])
    assert list(digits.rows_of(True)) == list(range(count - digits.HELD_OUT, count))
    assert not set(digits.rows_of(True)) & set(digits.rows_of(False))
    assert not set(voices.TRAIN_VOICES) & set(voices.TEST_VOICES)


def test_no_medium_of_a_test_prompt_is_a_training_prompts(made):
    world, _ = made
    shown = [prompt for prompt, _ in world.demonstrations]
    assert not [leak for leak in leaks([*shown, *world.prompts], world.test) if leak.what != "messages"]


def test_media_decode_and_are_short(made):
    world, blobs = made
    for prompt in world.prompts:
        for part in prompt.messages[0].parts:
            if isinstance(part, Image):
                pixels = image.decode(blobs.read(part.sha256))
                assert pixels.shape[0] == 8
                assert pixels.shape[1] in (8, 16, 24)
            if isinstance(part, Audio):
                wave = audio.decode(blobs.read(part.sha256), 16_000)
                assert 0.1 < len(wave) / 16_000 < 2.0
                assert np.abs(wave).max() > 0.05


@pytest.mark.slow
def test_every_process_hears_the_same():
    code = (
        "import hashlib; from harken.demo.voices import digits; "
        "print(hashlib.sha256(b''.join(wave.tobytes() for wave in digits().values())).hexdigest())"
    )
    heard = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    }
    assert len(heard) == 1
    mine = hashlib.sha256(b"".join(wave.tobytes() for wave in voices.digits().values())).hexdigest()
    assert heard == {mine + "\n"}


def test_an_unknown_voice_is_an_error():
    voices.digits()
    with pytest.raises(voices.VoiceUnavailable, match="no voice"):
        voices.Synthesiser().say("one", "no-such-language", 200, 50)


def test_without_a_synthesiser_sound_is_left_out_and_said_so(monkeypatch, tmp_path):
    def missing() -> None:
        raise voices.VoiceUnavailable("no speech synthesiser: try pip")

    monkeypatch.setattr(voices, "digits", missing)
    world = make_world(demo_recipe(0, False, "simulated", SMALL), Blobs(tmp_path))
    assert not [part for p in world.prompts for part in p.messages[0].parts if isinstance(part, Audio)]
    assert {p.facts["task"] for p in world.prompts} == {"read", "sum"}
    assert "Sound is left out" in " ".join(world.notices)


def test_worlds_need_what_they_need(tmp_path):
    recipe = read_recipe(ROOT / "recipes" / "spoken_digits.yaml", [f"data.root={tmp_path}"])
    with pytest.raises(FileNotFoundError, match=r"data\.root=PATH"):
        make_world(recipe, Blobs(tmp_path / "b"))
    with pytest.raises(RecipeError, match=r"data\.root"):
        make_world(read_recipe(ROOT / "recipes" / "spoken_digits.yaml"), Blobs(tmp_path / "b"))


def test_sources_hold_to_their_protocol():
    rng = np.random.default_rng(0)
    source = DemoSource(speaks=True)
    assert source.picture("407", False, rng).shape == (8, 24, 3)
    assert source.sound("4", True, rng).dtype == np.float32
    assert isinstance(Recipe(), Recipe)


@pytest.mark.slow
@pytest.mark.skipif(not (DATA / "mnist").is_dir(), reason=f"no real data in {DATA} (HARKEN_DATA names another folder)")
def test_real_digits_are_apart_by_speaker_and_picture():
    real = spoken_digits.load(DATA)
    test_rows = {row for rows in real.rows[1] for row in rows}
    train_rows = {row for rows in real.rows[0] for row in rows}
    assert len(test_rows) == spoken_digits.HELD_OUT_IMAGES
    assert min(test_rows) > max(train_rows)
    rng = np.random.default_rng(0)
    assert real.picture("7", False, rng).shape == (28, 28, 3)
    assert 0.1 < len(real.sound("7", True, rng)) / real.rate < 3
