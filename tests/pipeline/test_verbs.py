"""The four lines of the README, as written, with a person's keys at a real terminal; and the verbs from Python."""

import io
import json
import os
import pty
import select
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

import harken
from harken.algorithms.grpo import GRPO
from harken.data.blobs import Blobs
from harken.data.encoded import EncodedPrompts
from harken.data.media.image import encode_png
from harken.feedback.annotators.human import HumanAnnotator
from harken.models.generate import Decoding
from harken.pipeline.settings import AlignConfig, CompletionsConfig, FeedbackConfig, RewardConfig
from harken.pipeline.verbs import Feedback, Workplace
from harken.reward.mix import Mix
from harken.reward.model import RewardModelConfig, load_reward_model
from harken.train.rollout import RolloutConfig

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "models"))

from tiny import tiny_model  # noqa: E402

FOUR_LINES = """
import harken
prompts = "prompts.jsonl"
model = harken.load_pretrained_model("runs/demo/sft")
feedback = harken.collect_human_feedback(model, prompts, annotator="me")
reward_model = harken.train_reward_model(model, feedback)
model = harken.fine_tune_with_rl(model, reward_model, prompts, algorithm="ppo")
print("answers", len(feedback.answers), type(model).__name__)
"""


ASKED = b"q stop"
"""Ends what is written before each answer."""


def test_the_readme_shows_these_lines():
    shown = (ROOT / "README.md").read_text()
    for line in FOUR_LINES.strip().splitlines()[:-1]:
        assert line in shown, f"the README does not show: {line}"


def workplace(folder: Path) -> None:
    """A folder with a small model, and prompts with pictures beside their JSONL."""
    tiny_model().save(folder / "runs" / "demo" / "sft")
    rng = np.random.default_rng(0)
    lines = []
    for i in range(4):
        (folder / f"{i}.png").write_bytes(encode_png(rng.integers(0, 255, (8, 16, 3), dtype=np.uint8)))
        content = [{"type": "image_url", "image_url": {"url": f"{i}.png"}}, {"type": "text", "text": "What number?"}]
        lines.append(json.dumps({"id": f"p{i}", "messages": [{"role": "user", "content": content}]}))
    (folder / "prompts.jsonl").write_text("\n".join(lines) + "\n")


@pytest.mark.slow
def test_the_four_lines_run_as_written(tmp_path):
    workplace(tmp_path)
    person, terminal = pty.openpty()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    child = subprocess.Popen(
        [sys.executable, "-c", FOUR_LINES],
        cwd=tmp_path,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=environment,
    )
    os.close(terminal)
    seen, keys, place = b"", iter("zabtnaabbaab" * 4), 0
    while child.poll() is None or select.select([person], [], [], 0)[0]:
        if not select.select([person], [], [], 120)[0]:
            child.kill()
            raise AssertionError(seen.decode(errors="replace")[-2000:])
        try:
            seen += os.read(person, 65536)
        except OSError:
            break
        while seen.find(ASKED, place) >= 0:
            place = seen.find(ASKED, place) + len(ASKED)
            os.write(person, next(keys).encode() + b"\n")
    text = seen.decode(errors="replace")
    assert child.wait() == 0, text[-2000:]
    assert "try again" in text  # the z
    assert "answers 4 Model" in text
    assert (tmp_path / "runs" / "feedback.db").exists()


@pytest.fixture(scope="module")
def said(tmp_path_factory) -> tuple[Path, Feedback]:
    folder = tmp_path_factory.mktemp("verbs")
    workplace(folder)
    model = harken.load_pretrained_model(folder / "runs" / "demo" / "sft")
    at = Workplace(blobs=Blobs(folder / "blobs"))
    person = HumanAnnotator("ada", at.blobs, Console(file=io.StringIO()), io.StringIO("a\nb\na\nb\n4\n2\n"))
    feedback = harken.collect_human_feedback(
        model,
        folder / "prompts.jsonl",
        annotator=person,
        questions=FeedbackConfig(comparisons=4, ratings=2, edits=0),
        completions=CompletionsConfig(each=2, decoding=Decoding(6)),
        store=folder / "feedback.db",
        at=at,
    )
    return folder, feedback


def test_feedback_is_kept_and_goes_on_where_it_stopped(said):
    folder, feedback = said
    assert {answer.annotator_kind for answer in feedback.answers} == {"human"}
    assert 1 <= len(feedback.answers) <= 6
    at = Workplace(blobs=Blobs(folder / "blobs"))
    silent = HumanAnnotator("ada", at.blobs, Console(file=io.StringIO()), io.StringIO(""))
    again = harken.collect_human_feedback(
        harken.load_pretrained_model(folder / "runs" / "demo" / "sft"),
        folder / "prompts.jsonl",
        annotator=silent,
        questions=FeedbackConfig(comparisons=4, ratings=2, edits=0),
        completions=CompletionsConfig(each=2, decoding=Decoding(6)),
        store=folder / "feedback.db",
        at=at,
    )
    assert again.answers == feedback.answers


@pytest.mark.slow
def test_a_reward_model_and_an_aligned_model_come_of_it(said):
    folder, feedback = said
    model = harken.load_pretrained_model(folder / "runs" / "demo" / "sft")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    at = Workplace(blobs=Blobs(folder / "blobs"), seed=3)
    config = RewardConfig(steps=3, batch=4, model=RewardModelConfig(heads=2))
    reward = harken.train_reward_model(model, feedback, config=config, at=at)
    shown = sorted(feedback.completions, key=lambda completion: completion.prompt_id)
    prompts = {prompt.id: prompt for prompt in feedback.prompts}
    encoded = EncodedPrompts(model.processor, at.blobs)
    scores = reward.score_completions(shown, prompts, encoded)
    assert scores.shape == (len(shown), 2)
    assert abs(float(scores.mean())) < 1e-4
    assert float(scores.mean(1).std()) == pytest.approx(1.0, abs=1e-3)
    reward.save(folder / "reward")
    back = load_reward_model(folder / "reward")
    again = back.score_completions(shown, prompts, encoded)
    assert torch.equal(scores, again)
    short = AlignConfig(
        rollout=RolloutConfig(iterations=2, prompts=2, minibatches=1, decoding=Decoding(6), mix=Mix(environment={})),
        human_only=False,
    )
    for algorithm in ("ppo", GRPO(group=2)):
        aligned = harken.fine_tune_with_rl(
            model, back, list(feedback.prompts), algorithm=algorithm, config=short, at=at
        )
        moved = [n for n, v in aligned.trunk.state_dict().items() if not torch.equal(v, model.trunk.state_dict()[n])]
        assert moved
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_nothing_rewards_is_an_error(said):
    folder, feedback = said
    model = harken.load_pretrained_model(folder / "runs" / "demo" / "sft")
    with pytest.raises(ValueError, match="nothing rewards"):
        harken.fine_tune_with_rl(model, None, list(feedback.prompts), at=Workplace(blobs=Blobs(folder / "blobs")))
    with pytest.raises(ValueError, match="no feedback"):
        empty = Feedback(feedback.prompts, feedback.completions, ())
        harken.train_reward_model(model, empty, at=Workplace(blobs=Blobs(folder / "blobs")))
