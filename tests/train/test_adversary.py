"""Adversarial prompts: what the policy reads, what those who judge read, and the same bits after a resume."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from harken.algorithms.grpo import GRPO
from harken.algorithms.sft import SFT
from harken.data.augment.prompt import PromptChange
from harken.data.batch import collate, collate_prompts
from harken.data.blobs import Blobs
from harken.data.encoded import EncodedPrompts, Given
from harken.data.seeds import derive
from harken.models.generate import Decoding, generate
from harken.pipeline.settings import AlignConfig
from harken.pipeline.verbs import Workplace, fine_tune_with_rl
from harken.reward.mix import Mix
from harken.train.adversarial import Attack
from harken.train.adversary import Adversary
from harken.train.loop import Interrupted
from harken.train.rollout import RolloutConfig, Rollouts
from harken.train.scorer import Scorer
from harken.train.vllm import VLLMConfig
from harken.types import Image, Text

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))

from tiny import prompts, tiny_model

BOTH = Attack({"pixel_values": 4 / 255, "samples": 0.01}, steps=2, norm={"samples": "snr"})
WORDS = PromptChange(share=0.6, tries=3)
MODEL = tiny_model()


def adversary(tmp_path: Path, perturb=WORDS, attack=BOTH, seed: int = 0) -> Adversary:
    return Adversary(MODEL, EncodedPrompts(MODEL.processor, Blobs(tmp_path)), perturb, attack, 6, seed)


def own_answers(tmp_path: Path, asked) -> list[torch.Tensor]:
    encoded = EncodedPrompts(MODEL.processor, Blobs(tmp_path))(asked)
    read = collate_prompts(encoded, MODEL.processor.pad_id)
    greedy = Decoding(6, temperature=0.0)
    return generate(MODEL, read, torch.arange(len(asked)), greedy, torch.Generator()).ids


def likely(encoded, ids) -> list[float]:
    """Log-probabilities of answers, one prompt at a time."""
    said = []
    for one, answer in zip(encoded, ids, strict=True):
        with torch.no_grad():
            found = MODEL(collate([one], [answer], [0], MODEL.processor.pad_id), SFT.needs).logprobs
        said.append(float(found.sum()))
    return said


def test_the_words_are_those_under_which_the_own_answer_is_least_likely(tmp_path):
    asked = prompts(Blobs(tmp_path))
    found = adversary(tmp_path, replace(WORDS, share=1.0), None)
    done = found.against(asked, "here")
    ids, encoded, change = own_answers(tmp_path, asked), EncodedPrompts(MODEL.processor, Blobs(tmp_path)), found.perturb
    ways = [[change(prompt, derive(0, "here", "words", prompt.id, number)) for prompt in asked] for number in range(3)]
    table = torch.tensor([likely(encoded(way), ids) for way in ways])
    assert done["words"].tolist() == table.argmin(0).tolist()
    chosen = found.asked(asked, done, "here")
    assert chosen == [ways[n][row] for row, n in enumerate(done["words"].tolist())]
    assert len(set(done["words"].tolist())) > 1


def test_a_share_of_the_prompts_is_asked_otherwise(tmp_path):
    asked = prompts(Blobs(tmp_path)) * 40
    done = adversary(tmp_path, PromptChange(share=0.25), None).against(asked, 1)
    assert set(done["words"].tolist()) == {-1, 0}
    assert 0.15 < float((done["words"] == 0).float().mean()) < 0.35
    made = adversary(tmp_path, PromptChange(share=0.25), None).asked(asked, done, 1)
    assert [a is b for a, b in zip(made, asked, strict=True)] == (done["words"] < 0).tolist()


def test_media_are_moved_within_their_balls_so_that_the_own_answer_is_less_likely(tmp_path):
    asked = prompts(Blobs(tmp_path))
    found = adversary(tmp_path, None, replace(BOTH, steps=4))
    done = found.against(asked, 3)
    assert set(done) == {"words", "media.pixel_values", "media.input_features"}
    assert (done["words"] == -1).all()
    clean, read = EncodedPrompts(MODEL.processor, Blobs(tmp_path))(asked), found.encodings(asked, done, 3)
    for before, after in zip(clean, read, strict=True):
        assert torch.equal(before.ids, after.ids)
        assert {n: t.shape for n, t in before.media.items()} == {n: t.shape for n, t in after.media.items()}
        assert (before.media_key == after.media_key) == (not before.media), "nobody takes one for the other"
        if "pixel_values" in before.media:
            away = (before.media["pixel_values"] - after.media["pixel_values"]).abs().max()
            assert 0 < away <= 4 / 255 + 1e-6
    ids = own_answers(tmp_path, asked)
    for row, (was, now) in enumerate(zip(likely(clean, ids), likely(read, ids), strict=True)):
        assert (now < was) if clean[row].media else (now == pytest.approx(was, abs=1e-5))


def test_lots_are_those_of_seed_and_names_alone(tmp_path):
    asked = prompts(Blobs(tmp_path))

    def once(seed, *names):
        return adversary(tmp_path, WORDS, replace(BOTH, share=0.5), seed).against(asked, *names)

    first = once(0, 7)
    for name, tensor in once(0, 7).items():
        assert torch.equal(tensor, first[name])
    assert not torch.equal(once(0, 8)["media.pixel_values"], first["media.pixel_values"])
    assert not torch.equal(once(1, 7)["media.pixel_values"], first["media.pixel_values"])


def test_a_medium_that_no_prompt_has_is_refused(tmp_path):
    asked = [
        prompt for prompt in prompts(Blobs(tmp_path)) if not any(isinstance(p, Image) for p in prompt.messages[0].parts)
    ]
    with pytest.raises(ValueError, match=r"attack\.radius\.pixel_values: no prompt"):
        adversary(tmp_path).refuse_unseen(asked)
    adversary(tmp_path, WORDS, None).refuse_unseen(asked)


def test_given_encodings_are_of_certain_prompts(tmp_path):
    asked = prompts(Blobs(tmp_path))
    given = Given(MODEL.processor, EncodedPrompts(MODEL.processor, Blobs(tmp_path))(asked))
    assert given(asked) == list(given.encodings)
    with pytest.raises(ValueError, match="2 prompts are asked for, and encodings of 5"):
        given(asked[:2])


class Heard(Mix):
    """Keeps the words of the prompts that it was shown."""

    def says(self, asked, completions, evidence=None):
        SEEN.append([part.text for one in asked for m in one.messages for part in m.parts if isinstance(part, Text)])
        return super().says(asked, completions, evidence)


SEEN: list[list[str]] = []


def config(perturb=WORDS, attack=BOTH, mix: Mix | None = None) -> RolloutConfig:
    mix = mix or Mix(environment={"ended": 1.0})
    return RolloutConfig(2, 4, 2, Decoding(6), mix, perturb=perturb, attack=attack)


@pytest.mark.parametrize("minibatches", [1, 2])
def test_the_policy_reads_adversarial_prompts_and_the_judges_clear_ones(tmp_path, minibatches):
    """With one minibatch the prompts are computed once, for sampling and for learning."""
    SEEN.clear()
    asked, encoded = prompts(Blobs(tmp_path))[1:], EncodedPrompts(MODEL.processor, Blobs(tmp_path))
    mix = Heard(environment={"ended": 1.0})
    how = replace(config(replace(WORDS, share=1.0), mix=mix), minibatches=minibatches)
    source, plain = (
        Rollouts(tiny_model(), MODEL, Scorer(mix, None, None), asked, encoded, GRPO(group=2), each, 5)
        for each in (how, replace(how, perturb=None, attack=None))
    )
    batch, clear = source.batches(0)[0], plain.batches(0)[0]
    assert not torch.equal(batch.prompts.media["pixel_values"], clear.prompts.media["pixel_values"])
    assert batch.prompts.ids.shape != clear.prompts.ids.shape or not torch.equal(batch.prompts.ids, clear.prompts.ids)
    words = {part.text for one in asked for part in one.messages[0].parts if isinstance(part, Text)}
    assert set(SEEN[0]) == set(SEEN[1]) == words
    assert {record["prompt_id"] for record in source.samples()} <= {one.id for one in asked}
    again = source.policy(batch, frozenset({"logprobs"})).logprobs
    assert (again - batch.labels["sampled_logprobs"]).abs().max() < 1e-4, "it learns from what it read"


def trained(tmp_path: Path, how: RolloutConfig, stop=lambda: False, folder: Path | None = None) -> dict:
    blobs = Blobs(tmp_path / "blobs")
    at = Workplace(blobs, 3, folder, options={"stop": stop, "checkpoint_every": 1})
    made = fine_tune_with_rl(tiny_model(), None, prompts(blobs), algorithm="grpo", config=AlignConfig(how), at=at)
    return made.state_dict()


@pytest.mark.slow
def test_a_run_that_is_stopped_within_a_rollout_goes_on_to_the_same_bits(tmp_path):
    whole = trained(tmp_path, config())
    calls = iter([False, True])
    with pytest.raises(Interrupted):
        trained(tmp_path, config(), lambda: next(calls), tmp_path / "run")
    resumed = trained(tmp_path, config(), folder=tmp_path / "run")
    for name, tensor in whole.items():
        assert torch.equal(tensor, resumed[name]), name
    plain = trained(tmp_path, config(None, None))
    assert any(not torch.equal(tensor, plain[name]) for name, tensor in whole.items())


def test_a_server_cannot_be_given_moved_media():
    server = VLLMConfig("http://127.0.0.1:8000", "weights")
    with pytest.raises(ValueError, match=r"rollout\.attack moves tensors, which no server takes"):
        RolloutConfig(vllm=server, attack=BOTH)
    assert RolloutConfig(vllm=server, perturb=WORDS).perturb == WORDS
