from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch

from harken.data.blobs import Blobs
from harken.evaluate.explain.explanation import analyse, explain
from harken.evaluate.explain.target import Budget, Likelihood, Score
from harken.models.fusion.build import FamilyConfig
from harken.models.fusion.stream import Stream
from harken.reward.model import RewardModel, RewardModelConfig
from harken.reward.wording import Wording
from harken.types import Completion, Message, Numbers, Prompt, Text

SAID = "It is 42."
QUICK = Budget(first=16, most=64)


@pytest.fixture(scope="module")
def blobs(tmp_path_factory):
    return Blobs(tmp_path_factory.mktemp("blobs"))


def targets():
    reward = RewardModel(tiny.tiny_model(1), Wording([], []), RewardModelConfig(heads=2, prior=1.0))
    return [Likelihood(tiny.tiny_model()), Score(reward.eval())]


@pytest.mark.parametrize("target", targets(), ids=["policy", "reward"])
@pytest.mark.parametrize("row", range(5))
def test_contributions_add_up(blobs, target, row):
    prompt = tiny.prompts(blobs)[row]
    found = analyse(target, prompt, Completion("c", prompt.id, SAID, "x"), blobs, Budget(first=8, most=8))
    assert sum(found.shapley.values()) == pytest.approx(found.value - found.blank, abs=1e-5)
    assert len(found.values) == 2 ** len(found.shapley)


@pytest.mark.slow
def test_the_value_is_the_mean_log_probability_and_the_score_the_reward_models(blobs):
    policy, judge = targets()
    prompt = tiny.prompts(blobs)[-1]
    completion = Completion("c", prompt.id, SAID, "x")
    ids = policy.model.processor.encode_completion(completion)
    encoded = policy.model.processor.encode(prompt, blobs)
    found = analyse(policy, prompt, completion, blobs, QUICK)
    with torch.no_grad():
        logits = policy.model.trunk(
            input_ids=torch.cat([encoded.ids, ids])[None], **{name: t for name, t in encoded.media.items()}
        ).logits[0]
    logits[:, list(policy.model.suppressed)] = -1e9
    plain = logits[len(encoded.ids) - 1 : -1].log_softmax(-1).gather(-1, ids[:, None]).mean()
    assert found.value == pytest.approx(float(plain), abs=1e-5)
    scores = judge.reward.scores([judge.model.processor.encode(prompt, blobs)], [ids], [0])
    assert analyse(judge, prompt, completion, blobs, QUICK).value == pytest.approx(float(scores.mean()), abs=1e-5)


@pytest.mark.parametrize("modality", ["image", "audio"])
def test_a_blind_model_gives_the_blind_modality_nothing(blobs, modality):
    """An encoder that says the same of every medium: its modality did nothing, and its map is empty."""
    model = tiny.tiny_model()
    model.trunk.model.encoders[modality].encoder.register_forward_hook(
        lambda module, inputs, out: Stream(torch.ones_like(out.states), out.real)
    )
    prompt = tiny.prompts(blobs)[-1]
    found = analyse(Likelihood(model), prompt, Completion("c", prompt.id, SAID, "x"), blobs, QUICK)
    assert abs(found.shapley[modality]) < 1e-6
    assert abs(found.heat[modality].total) < 1e-6
    assert all(float(heat.abs().max()) == 0 for heat in found.heat[modality].heat.values())
    other = {"image": "audio", "audio": "image"}[modality]
    assert abs(found.shapley[other]) > 1e-3


@pytest.mark.slow
def test_what_the_page_gets(blobs):
    prompt = tiny.prompts(blobs)[-1]
    shown = explain(targets(), prompt, Completion("c", prompt.id, SAID, "the policy's own"), blobs, QUICK)
    assert [view.scale for view in shown.views] == ["policy", "reward"]
    for view in shown.views:
        assert [share.name for share in view.shares] == ["picture", "sound", "words"]
        titles = [one.title for one in view.maps]
        assert {"Heat on the picture", "Heat on the sound", "Attention to the sound"} <= set(titles)
        assert "".join(word.text for word in view.words).strip() == "Agree?"
        assert len(view.coalitions) == 8
        assert all(one.picture.startswith(b"\x89PNG") and one.alt for one in view.maps)
        assert all(-1 <= word.shade <= 1 and 0 <= word.attention <= 1 for word in view.words)
    assert [type(part) for part in shown.prompt] == [str, bytes, bytes]


def test_numbers_are_shown_as_lines(blobs):
    family = FamilyConfig({"numbers": {"name": "mlp", "channels": 2, "hidden": 16}}, heads=tiny.TINY.heads)
    model = tiny.tiny_model(config=family)
    series = Numbers(blobs.put(b"1,2\n3,4\n", "numbers"))
    prompt = Prompt("p", (Message("user", (series, Text("Rising?"))),))
    shown = explain([Likelihood(model)], prompt, Completion("c", "p", SAID, "x"), blobs, QUICK)
    assert shown.prompt == ("1,2\n3,4", "Rising?")
    assert [share.name for share in shown.views[0].shares] == ["numbers", "words"]


def test_the_same_twice(blobs):
    prompt = tiny.prompts(blobs)[1]
    one, two = (explain(targets()[:1], prompt, Completion("c", "p", SAID, "x"), blobs, QUICK) for _ in range(2))
    assert one == two


def test_letters_that_are_cut_in_two_are_shown_whole(blobs):
    prompt = replace(tiny.prompts(blobs)[0], messages=(Message("user", (Text("图里是几？"),)),))
    shown = explain(targets()[:1], prompt, Completion("c", "p", SAID, "x"), blobs, QUICK)
    assert "".join(word.text for word in shown.views[0].words).strip() == "图里是几？"
    heat = analyse(targets()[0], prompt, Completion("c", "p", SAID, "x"), blobs, QUICK).heat["words"]
    assert sum(word.heat for word in shown.views[0].words) == pytest.approx(heat.total, abs=1e-9)
    assert np.isfinite(heat.total)
