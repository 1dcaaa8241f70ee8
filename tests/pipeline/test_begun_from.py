"""What training begins with is left as it was, whatever that is, and what it leaves can be trained again."""

import copy
import sys
from pathlib import Path

import pytest
import torch

import harken
from harken.data.blobs import Blobs
from harken.data.encoded import EncodedPrompts
from harken.models.lora import AdapterConfig, adapters_of, weights_hash
from harken.models.model import Model
from harken.pipeline.settings import AlignConfig, RewardConfig
from harken.pipeline.verbs import Feedback, Workplace
from harken.reward.mix import Mix
from harken.reward.model import RewardModelConfig
from harken.train.loop import Interrupted
from harken.train.optimizers import OptimizerConfig
from harken.train.preferences import PreferencesConfig
from harken.train.rollout import RolloutConfig
from harken.types import Answer, Comparison, Completion

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))

from tiny import prompts, tiny_model

pytestmark = pytest.mark.slow
FAST = OptimizerConfig(rate=3e-2, muon_rate=0.0, warmup=0)
ADAPTER = AdapterConfig(rank=4)


@pytest.fixture
def said(tmp_path) -> tuple[Blobs, Feedback]:
    blobs = Blobs(tmp_path / "blobs")
    asked = prompts(blobs)
    completions = [Completion(f"{p.id}.{i}", p.id, f"It is {i}.", "sft") for p in asked for i in range(2)]
    answers = [Answer(p.id, "ada", "human", Comparison(p.id, f"{p.id}.0", f"{p.id}.1", "a")) for p in asked]
    return blobs, Feedback(tuple(asked), tuple(completions), tuple(answers))


def preferred(model: Model, said: tuple[Blobs, Feedback], adapter: AdapterConfig | None, steps: int = 3, **at) -> Model:
    config = AlignConfig(preferences=PreferencesConfig(steps, 4), optimizer=FAST, adapter=adapter)
    return harken.fine_tune_with_preferences(
        model, said[1], algorithm="dpo", config=config, at=Workplace(blobs=said[0], **at)
    )


def says(model: Model, said: tuple[Blobs, Feedback]) -> torch.Tensor:
    """Log-probabilities of the completions, as the model speaks."""
    from harken.data.batch import collate

    encoded = EncodedPrompts(model.processor, said[0])
    ids = [model.processor.encode_completion(c) for c in said[1].completions]
    rows = [n // 2 for n in range(len(ids))]
    batch = collate(encoded(said[1].prompts), ids, rows, model.processor.pad_id)
    with torch.no_grad():
        found = model(batch, frozenset({"logprobs"})).logprobs
    assert found is not None
    return found


def test_an_adapter_begins_as_the_adapter_that_the_model_speaks_through(said):
    first = preferred(tiny_model(), said, ADAPTER)
    begun = says(first, said)
    assert not torch.allclose(begun, says(tiny_model(), said), atol=1e-3), "the first training changed something"
    second = preferred(first, said, ADAPTER, steps=0)
    assert torch.equal(says(second, said), begun)
    moved = preferred(first, said, ADAPTER)
    assert not torch.allclose(says(moved, said), begun, atol=1e-3)
    assert torch.equal(says(first, said), begun), "the one that it began as is as it was"
    full = preferred(first, said, None, steps=0)
    assert adapters_of(full.trunk) == set() and full.adapter is None
    assert torch.allclose(says(full, said), begun, atol=1e-4)
    assert not torch.allclose(says(preferred(first, said, None), said), begun, atol=1e-3)


def test_an_adapter_of_another_form_is_refused(said):
    first = preferred(tiny_model(), said, ADAPTER)
    before = adapters_of(first.trunk)
    for other in (AdapterConfig(rank=2), AdapterConfig(rank=4, alpha=1.0), AdapterConfig(rank=4, targets=("q_proj",))):
        with pytest.raises(ValueError, match=r"rank 4 and alpha 32.0.* save the model and load it again"):
            preferred(first, said, other)
    assert adapters_of(first.trunk) == before


def test_a_run_with_an_adapter_leaves_the_model_trainable(said):
    model = tiny_model()
    model.trunk.get_input_embeddings().weight.requires_grad_(False)
    trained = {name: p.requires_grad for name, p in model.trunk.named_parameters()}
    before = says(model, said)
    preferred(model, said, ADAPTER)
    now = {n.replace(".base_layer.", "."): p.requires_grad for n, p in model.trunk.named_parameters()}
    assert {name: now[name] for name in trained} == trained
    assert torch.equal(says(model, said), before)
    whole = preferred(model, said, None)
    fresh = preferred(tiny_model(), said, None)
    moved = {n for n, p in whole.trunk.named_parameters() if not torch.equal(p, model_weight(tiny_model(), n))}
    assert len(moved) > 0.8 * len(list(fresh.trunk.named_parameters()))


def model_weight(model: Model, name: str) -> torch.Tensor:
    return dict(model.trunk.named_parameters())[name]


def test_an_adapter_s_run_that_was_stopped_leaves_no_adapter(said, tmp_path):
    model = tiny_model()
    with pytest.raises(Interrupted):
        preferred(model, said, ADAPTER, folder=tmp_path / "at", options={"stop": lambda: True})
    assert adapters_of(model.trunk) == set()
    names = {name for name, _ in model.trunk.named_parameters()}
    assert names == {name for name, _ in tiny_model().trunk.named_parameters()}


@pytest.mark.parametrize(("algorithm", "group"), [("ppo", 1), ("ppo", 2), ("grpo", 2)])
def test_an_aligned_model_can_be_copied_and_aligned_again(said, algorithm, group):
    """One part, one minibatch: prompts are kept with their graph for the first update, and let go of in the end."""
    from harken.pipeline.recipe import make_algorithm
    from harken.train.stopping import StoppingConfig

    made = make_algorithm({"name": algorithm, "group": group, "epochs": 1})
    rollout = RolloutConfig(iterations=2, prompts=4, minibatches=1, mix=Mix(environment={"ended": 1.0}))
    config = AlignConfig(rollout, optimizer=FAST, stopping=StoppingConfig(every=1, share=0.3))
    model = tiny_model()
    hashes = [weights_hash(model.trunk)]
    for _ in range(2):
        model = harken.fine_tune_with_rl(
            model, None, list(said[1].prompts), algorithm=made, config=config, at=Workplace(blobs=said[0])
        )
        hashes.append(weights_hash(copy.deepcopy(model).trunk))
        assert hashes[-1] == weights_hash(model.trunk)
    assert len(set(hashes)) == 3


def test_two_trainings_in_one_folder_are_two(said, tmp_path):
    """Without a key of the caller's, a checkpoint goes by what is trained, on what and how."""
    at = {"folder": tmp_path / "one", "options": {"checkpoint_every": 1}}
    first = preferred(tiny_model(), said, None, steps=3, **at)
    again = preferred(tiny_model(), said, None, steps=3, **at)
    assert torch.equal(says(first, said), says(again, said))
    further = preferred(first, said, None, steps=3, **at)
    alone = preferred(first, said, None, steps=3)
    assert torch.equal(says(further, said), says(alone, said)), "it began as the model it was given"
    fewer = Feedback(said[1].prompts, said[1].completions, said[1].answers[:2])
    other = preferred(tiny_model(), (said[0], fewer), None, steps=3, **at)
    assert torch.equal(says(other, said), says(preferred(tiny_model(), (said[0], fewer), None, steps=3), said))


def test_a_reward_model_of_one_completion_has_a_scale(said):
    blobs, feedback = said
    name = feedback.completions[0]
    from harken.types import Rating

    one = Feedback(feedback.prompts[:1], (name,), (Answer("k", "ada", "human", Rating(name.prompt_id, name.id, 4)),))
    config = RewardConfig(RewardModelConfig(heads=2), steps=2)
    reward = harken.train_reward_model(tiny_model(), one, config=config, at=Workplace(blobs=blobs))
    encoded = EncodedPrompts(reward.model.processor, blobs)
    score = reward.score_completions([name], {p.id: p for p in feedback.prompts}, encoded)
    assert torch.isfinite(score).all() and float(score.abs().max()) < 1e-3, "its own scores are the centre"


def test_nothing_to_learn_from_is_said_in_words(said):
    blobs, feedback = said
    at = Workplace(blobs=blobs)
    with pytest.raises(ValueError, match="no feedback"):
        harken.train_reward_model(tiny_model(), Feedback((), (), ()), at=at)
    with pytest.raises(ValueError, match="no pair to learn from"):
        harken.fine_tune_with_preferences(tiny_model(), Feedback((), (), ()), at=at)
    rules = AlignConfig(RolloutConfig(mix=Mix(environment={"ended": 1.0})))
    with pytest.raises(ValueError, match="no prompts to align on"):
        harken.fine_tune_with_rl(tiny_model(), None, [], config=rules, at=at)
    with pytest.raises(ValueError, match=r"cannot be learnt from in 2 parts.*minibatches"):
        harken.fine_tune_with_rl(tiny_model(), None, list(feedback.prompts[:1]), config=rules, at=at)
