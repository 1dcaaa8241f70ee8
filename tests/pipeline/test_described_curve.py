"""Curves of described rewards on a store without a gold: real parts, sounds made in code."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from harken.cli.curve import app
from harken.data.blobs import Blobs
from harken.data.media.audio import encode_wav
from harken.feedback.held_out import LeakageError, SplitConfig
from harken.feedback.store import FeedbackStore
from harken.pipeline.described_curve import CurveConfig, described_curve
from harken.pipeline.verbs import Feedback, read_feedback
from harken.reward.described import DescribedConfig
from harken.reward.linear import LinearConfig
from harken.types import Answer, Audio, Comparison, Completion, Message, Prompt, Rating, Text

pytestmark = pytest.mark.slow
RATE, TONES, SPEAKERS = 16_000, 80, 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The louder tone is better: grades by two people, and comparisons across prompts by a third."""
    here, rng = tmp_path_factory.mktemp("tones"), np.random.default_rng(0)
    blobs, loudness = Blobs(here / "blobs"), rng.uniform(0.02, 0.9, TONES)
    prompts, completions, answers = [], [], []
    for n, level in enumerate(loudness):
        wave = level * np.sin(np.arange(RATE // 4) * 0.1) + rng.normal(0, 0.002, RATE // 4)
        sound = Audio(blobs.put(encode_wav(wave.astype(np.float32), RATE), "audio"))
        said = Message("user", (sound, Text("a tone")))
        prompts.append(Prompt(f"p{n}", (said,), facts={"speaker": f"s{n % SPEAKERS}"}))
        completions.append(Completion(f"p{n}", f"p{n}", "a tone", "bench"))
        for who in ("ada", "ben"):
            grade = int(np.clip(1 + level * 5 + rng.normal(0, 0.4), 1, 5))
            answers.append(Answer(f"{who}{n}", who, "human", Rating(f"p{n}", f"p{n}", grade)))
    for n in range(TONES):
        other = (n + SPEAKERS) % TONES
        choice = "a" if loudness[n] > loudness[other] else "b"
        said = Comparison(f"p{n}", f"p{n}", f"p{other}", choice, "overall", f"p{other}")
        answers.append(Answer(f"c{n}", "cyd", "simulated", said))
    with FeedbackStore(here / "feedback.db") as store:
        store.add_prompts(prompts)
        store.add_completions(completions)
        store.add_answers(answers)
    return here


def config(**split) -> CurveConfig:
    reward = DescribedConfig(heads=2, linear=LinearConfig(penalties=(1.0,), landmarks=40))
    return CurveConfig(reward, SplitConfig(**{"by": "speaker", **split}), sizes=(10, 40, 1000), words=False)


def read(folder) -> Feedback:
    with FeedbackStore(folder / "feedback.db") as store:
        return read_feedback(store)


def test_more_answers_help_and_every_part_is_told(folder):
    found = described_curve(read(folder), Blobs(folder / "blobs"), config())
    sizes, rates = zip(*((point["answers"], point["rate"]) for point in found["curve"]), strict=True)
    assert sizes[:2] == (10, 40) and 40 < sizes[2] < 240
    assert rates[2] > 0.8 and rates[2] > rates[0] - 0.02
    assert all(point["low"] <= point["rate"] <= point["high"] for point in found["curve"])
    assert set(found["parts"]["kind"]) == {"comparison", "rating"}
    assert set(found["parts"]["annotator"]) == {"ada (human)", "ben (human)", "cyd (simulated)"}
    assert set(found["parts"]["modality"]) == {"audio+text"}
    assert sum(part["pairs"] for part in found["parts"]["kind"].values()) == found["pairs"]
    assert sum(one["count"] for one in found["reliability"]) == found["pairs"]
    assert min(one["low"] for one in found["reliability"] if one["count"]) < 0.5, "either side may be named first"
    assert found["shared"] == {"annotator": 3}
    assert found == described_curve(read(folder), Blobs(folder / "blobs"), config())


def test_a_speaker_on_both_sides_is_refused_unless_allowed(folder):
    said, blobs = read(folder), Blobs(folder / "blobs")
    with pytest.raises(LeakageError, match=r"speaker \d+ on both sides.*split.by=media"):
        described_curve(said, blobs, config(by="prompt"))
    with pytest.raises(LeakageError, match="annotator 3 on both sides"):
        described_curve(said, blobs, config(allow=()))
    allowed = described_curve(said, blobs, config(by="prompt", allow=("annotator", "speaker")))
    assert allowed["shared"]["speaker"] > 0 and allowed["astride"] > 0


def test_the_command_writes_figures_and_drawings_and_mistakes_are_words(folder, tmp_path):
    run = CliRunner(env={"COLUMNS": "160", "NO_COLOR": "1"}).invoke
    small = ["split.by=speaker", "words=false", "reward.heads=2", "sizes=[20,90]", "reward.linear.landmarks=40"]
    done = run(app, [str(folder), *small, "--json", str(tmp_path / "c.json"), "--plots", str(tmp_path / "plots")])
    assert done.exit_code == 0, done.output
    assert [point["answers"] for point in json.loads((tmp_path / "c.json").read_text())["curve"]] == [20, 90]
    assert (tmp_path / "plots" / "curve.svg").read_text().startswith("<svg")
    assert (tmp_path / "plots" / "reliability.svg").exists()
    assert run(app, [str(folder), "split.byy=speaker"]).exit_code == 2
    assert run(app, [str(folder), "reward.criterion=wit"]).exit_code == 2
    assert run(app, [str(tmp_path)]).exit_code == 2
