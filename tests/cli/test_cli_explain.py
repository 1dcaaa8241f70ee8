"""`harken explain` on a tiny model, and what it says to those who ask in a wrong way."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))

import tiny

from harken.cli.explain import app
from harken.data.blobs import Blobs
from harken.data.media.audio import encode_wav
from harken.data.media.image import encode_png
from harken.feedback.records import prompt_to_json
from harken.models.fusion.build import FamilyConfig
from harken.pipeline.learn import new_predictor
from harken.reward.model import RewardModel, RewardModelConfig
from harken.reward.wording import Wording


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A policy, a reward model, and prompts, as a user has them."""
    folder = tmp_path_factory.mktemp("place")
    tiny.tiny_model().save(folder / "policy")
    RewardModel(tiny.tiny_model(1), Wording([], []), RewardModelConfig(heads=2)).save(folder / "reward")
    rng = np.random.default_rng(0)
    (folder / "a.png").write_bytes(encode_png(rng.integers(0, 255, (8, 16, 3), dtype=np.uint8)))
    (folder / "a.wav").write_bytes(encode_wav((rng.standard_normal(8000) * 0.1).astype(np.float32), 16_000))
    ask = {"type": "text", "text": "What is it?"}
    lines = [
        {"id": "seen", "messages": [{"role": "user", "content": [{"type": "image", "image": "a.png"}, ask]}]},
        {"id": "heard", "messages": [{"role": "user", "content": [{"type": "audio", "audio": "a.wav"}, ask]}]},
    ]
    lines[0]["references"] = ["It is 42."]
    (folder / "prompts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def explain(place: Path, *arguments: str):
    return CliRunner().invoke(app, [*arguments, "--points", "8", "--max-tokens", "4"], env={"COLUMNS": "200"})


@pytest.mark.slow
def test_a_policy_and_a_reward_model_on_one_page(place):
    out = place / "page.html"
    done = explain(
        place, str(place / "policy"), str(place / "prompts.jsonl"), "--reward", str(place / "reward"), "--out", str(out)
    )
    assert done.exit_code == 0, done.output
    html = out.read_text()
    assert html.count('<article class="explained">') == 2
    assert html.count("Why the policy gave it") == html.count("Why the reward model scored it so") == 2
    assert "seen:" in done.output
    assert "rgb(51, 51, 51)" in html


def test_an_answer_that_is_given_and_one_prompt_of_several(place):
    out = place / "given.html"
    arguments = ("--answer", "It is a cat.", "--id", "heard", "--out", str(out))
    done = explain(place, str(place / "policy"), str(place / "prompts.jsonl"), *arguments)
    assert done.exit_code == 0, done.output
    assert "It is a cat." in out.read_text()
    assert out.read_text().count('<article class="explained">') == 1


def test_a_reward_model_alone_scores_what_the_prompt_calls_good(place):
    out = place / "scored.html"
    done = explain(place, str(place / "reward"), str(place / "prompts.jsonl"), "--limit", "1", "--out", str(out))
    assert done.exit_code == 0, done.output
    assert "Why these scores?" in out.read_text()
    assert "It is 42." in out.read_text()


def test_a_runs_folder_stands_for_its_held_out_prompts(place, tmp_path):
    blobs = Blobs(tmp_path / "blobs")
    (tmp_path / "rounds" / "1").mkdir(parents=True)
    lines = [json.dumps(prompt_to_json(prompt)) + "\n" for prompt in tiny.prompts(blobs)[:2]]
    (tmp_path / "rounds" / "1" / "held_out.jsonl").write_text("".join(lines))
    out = tmp_path / "page.html"
    done = explain(place, str(place / "policy"), str(tmp_path), "--out", str(out))
    assert done.exit_code == 0, done.output
    assert "p1" in out.read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("{}/none", "{}/prompts.jsonl"), "there is no folder"),
        (("{}/policy", "{}/none.jsonl"), "no such file"),
        (("{}/policy", "{}"), "holds no held-out prompts"),
        (("{}/policy", "{}/prompts.jsonl", "--id", "nobody"), "there is no such prompt; the first are seen, heard"),
        (("{}/reward", "{}/prompts.jsonl"), "say --answer TEXT"),
        (("{}/reward", "{}/prompts.jsonl", "--reward", "{}/reward"), "is a reward model already"),
        (("{}/policy", "{}/prompts.jsonl", "--reward", "{}/policy"), "holds no reward model"),
        (("{}/policy", "{}/prompts.jsonl", "--dtype", "int4"), "--dtype is one of"),
    ],
)
def test_mistakes_are_answered_with_what_to_mend(place, arguments, said):
    done = explain(place, *(one.replace("{}", str(place)) for one in arguments))
    assert done.exit_code == 2
    assert said in done.output
    assert "Traceback" not in done.output


@pytest.fixture(scope="module")
def silent(place) -> Path:
    """A model of heads alone that sees and reads."""
    image = {"name": "cnn", "height": 8, "width": 16, "stem": 4, "widths": (8,), "depth": 0, "pool": "mean"}
    encoders = {"image": image, "text": {"name": "gru", "hidden": 8}}
    heads = {"animal": {"name": "classify", "classes": ("cat", "dog")}, "size": {"name": "regress"}}
    new_predictor(FamilyConfig(encoders, {"name": "gated", "width": 8}, heads), tiny.CORPUS, 0).save(place / "silent")
    return place / "silent"


def test_a_model_of_heads_alone_says_why_each_head_said_so(place, silent):
    out = place / "silent.html"
    done = explain(place, str(silent), str(place / "prompts.jsonl"), "--id", "seen", "--out", str(out))
    assert done.exit_code == 0, done.output
    html = out.read_text()
    assert re.search(r"Why animal is (cat|dog)", html)
    assert re.search(r"Why size is \u2212?\d", html)
    assert "Heat on the words" in html
    assert "attention rollout." not in html.replace("\n", " ").split("How this was found")[0]
    assert re.search(r"seen: Why animal is (cat|dog) \(picture", done.output)
    assert re.search(r"animal: (cat|dog); size: ", html)
    assert "and where the model looked" not in html


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--answer", "a cat"), "gives no answers in words; leave --answer out"),
        (("--reward", "x"), "leave --reward out"),
    ],
)
def test_what_needs_an_answer_in_words_is_refused_for_heads_alone(place, silent, more, words):
    done = explain(place, str(silent), str(place / "prompts.jsonl"), "--id", "seen", *more)
    assert done.exit_code == 2
    assert words in " ".join(done.output.split())


def test_a_sound_that_a_model_of_heads_cannot_hear_is_named(place, silent):
    done = explain(place, str(silent), str(place / "prompts.jsonl"), "--id", "heard")
    assert done.exit_code == 2
    assert "audio" in done.output
