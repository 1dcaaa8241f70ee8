import sys
from pathlib import Path

import pytest
import torch

import harken
from harken.data.blobs import Blobs
from harken.data.encoded import EncodedPrompts
from harken.models.generate import Decoding
from harken.models.lora import AdapterConfig
from harken.pipeline.settings import RewardConfig
from harken.pipeline.verbs import Feedback, Workplace
from harken.reward.model import RewardModelConfig, load_reward_model
from harken.train.answering import Sampling, sample_completions
from harken.types import Answer, Comparison, Edit, Rating

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))

from tiny import prompts, tiny_model

pytestmark = pytest.mark.slow

LINEAR = RewardConfig(RewardModelConfig(heads=3, head="linear"), combine="worst")


@pytest.fixture(scope="module")
def said(tmp_path_factory) -> tuple[Blobs, Feedback]:
    """The longer of two answers is the better one, to any prompt."""
    blobs = Blobs(tmp_path_factory.mktemp("blobs"))
    model, asked = tiny_model(), prompts(blobs)
    made = sample_completions(
        model, asked, EncodedPrompts(model.processor, blobs), Sampling("tiny", 12, Decoding(12), 0)
    )
    answers = []
    for n, (a, b) in enumerate(zip(made[::2], made[1::2], strict=True)):
        choice = "a" if len(a.text) > len(b.text) else "b"
        answers.append(Answer(f"c{n}", "ada", "simulated", Comparison(a.prompt_id, a.id, b.id, choice)))
        answers.append(Answer(f"r{n}", "ben", "simulated", Rating(a.prompt_id, a.id, 1 + min(4, len(a.text) // 8))))
    edit = Edit(made[0].prompt_id, made[0].id, made[0].text + " and more of it")
    answers.append(Answer("e", "ada", "simulated", edit))
    return blobs, Feedback(tuple(asked), tuple(made), tuple(answers))


def test_lines_on_a_trunk_that_stays_as_it_is(said, tmp_path):
    blobs, feedback = said
    model = tiny_model()
    before = {name: value.clone() for name, value in model.trunk.state_dict().items()}
    reward = harken.train_reward_model(model, feedback, config=LINEAR, at=Workplace(blobs))
    assert all(torch.equal(value, before[name]) for name, value in reward.model.trunk.state_dict().items())
    shown = sorted(feedback.completions, key=lambda completion: completion.prompt_id)
    by_id = {prompt.id: prompt for prompt in feedback.prompts}
    encoded = EncodedPrompts(model.processor, blobs)
    scores = reward.score_completions(shown, by_id, encoded)
    assert scores.shape == (len(shown), 3)
    place = {completion.id: n for n, completion in enumerate(shown)}
    compared = [answer.feedback for answer in feedback.answers if isinstance(answer.feedback, Comparison)]
    mean = scores.mean(1)
    right = [(mean[place[c.a]] > mean[place[c.b]]).item() == (c.choice == "a") for c in compared]
    assert sum(right) > 0.8 * len(right)
    reward.save(tmp_path / "reward")
    back = load_reward_model(tmp_path / "reward")
    assert torch.equal(back.score_completions(shown, by_id, encoded), scores)
    assert torch.equal(back.combine(scores), scores.min(1).values)


def test_an_adapter_with_lines_on_a_frozen_trunk_makes_no_sense():
    with pytest.raises(ValueError, match=r"leave reward\.adapter out"):
        RewardConfig(RewardModelConfig(head="linear"), adapter=AdapterConfig())


def test_other_names_and_weights_of_kinds_are_refused():
    for weights in ({"comparisons": 1.0}, {"rating": -1.0}, {"edit": float("nan")}):
        with pytest.raises(ValueError, match=r"reward\.weights: a number from 0 up"):
            RewardConfig(weights=weights)
