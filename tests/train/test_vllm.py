"""The sampler that asks a vLLM server: exact requests, pictures and sounds, weights, and a server that misbehaves."""

import base64
import io
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image as Pillow

from harken.data.blobs import Blobs
from harken.data.encoded import EncodedPrompts
from harken.models.generate import Decoding
from harken.pipeline.settings import AlignConfig
from harken.pipeline.verbs import Workplace, fine_tune_with_rl
from harken.reward.mix import Mix
from harken.train.metrics_log import read_metrics
from harken.train.optimizers import OptimizerConfig
from harken.train.rollout import RolloutConfig
from harken.train.sampler import Sampler
from harken.train.vllm import ServerError, VLLMConfig, VLLMSampler
from harken.types import Audio, Image, Message, Prompt, Text

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "models"))

from fake_vllm import FakeVLLM, serving
from tiny import prompts, tiny_model

pytestmark = pytest.mark.slow


@pytest.fixture
def blobs(tmp_path) -> Blobs:
    return Blobs(tmp_path / "blobs")


@pytest.fixture
def server(tmp_path):
    with serving(tiny_model(1), Blobs(tmp_path / "theirs")) as fake:
        yield fake


def sampler(server: FakeVLLM, blobs: Blobs, tmp_path: Path, **changes) -> VLLMSampler:
    model = tiny_model()
    config = VLLMConfig(server.url, str(tmp_path / "weights"), **changes)
    made = VLLMSampler(config, EncodedPrompts(model.processor, blobs), model.suppressed)
    made.refresh(model)
    return made


def test_a_folder_that_holds_other_things_is_refused_and_left_alone(server, blobs, tmp_path):
    asking = sampler(server, blobs, tmp_path)
    asking.refresh(tiny_model())
    sampler(server, blobs, tmp_path)
    shutil.rmtree(tmp_path / "weights")
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match="harken did not write"):
        asking.refresh(tiny_model())
    with pytest.raises(ValueError, match="name a new one"):
        sampler(server, blobs, tmp_path)
    assert (tmp_path / "weights" / "thesis.txt").read_text() == "mine"


def test_the_exact_request_with_a_picture_and_a_sound_in_their_places(server, blobs, tmp_path):
    asked = prompts(blobs)[4]
    turns = (Message("system", (Text("Be short."),)), *asked.messages, Message("assistant", (Text("Yes."),)))
    prompt = replace(asked, messages=(*turns, Message("user", (Text("Sure?"),))))
    asking = sampler(server, blobs, tmp_path)
    assert isinstance(asking, Sampler)
    made = asking.sample([prompt], torch.tensor([0, 0, 0]), Decoding(5, top_k=7, min_tokens=2, stop=("7",)), 3)
    assert [path for path, _, _ in server.asked] == [
        "/collective_rpc", "/reset_prefix_cache", "/v1/models", "/v1/chat/completions"
    ]  # fmt: skip
    assert server.asked[0][1] == {"method": "reload_weights", "kwargs": {"weights_path": str(tmp_path / "weights")}}
    body = server.asked[3][1]
    processor = asking.encoded.processor
    content = body["messages"][1]["content"]
    assert [part["type"] for part in content] == ["text", "input_audio", "image_url"]
    assert {k: v for k, v in body.items() if k not in {"messages", "seed"}} == {
        "model": "tiny",
        "n": 3,
        "max_tokens": 5,
        "min_tokens": 2,
        "temperature": 1.0,
        "top_k": 7,
        "top_p": 1.0,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "stop": ["7"],
        "include_stop_str_in_output": True,
        "stop_token_ids": [processor.end_id],
        "logit_bias": {str(token): -100.0 for token in asking.suppressed},
        "logprobs": True,
        "top_logprobs": 0,
        "return_token_ids": True,
    }
    assert 0 <= body["seed"] < 1 << 31
    assert [message["role"] for message in body["messages"]] == ["system", "user", "assistant", "user"]
    assert body["messages"][3]["content"] == [{"type": "text", "text": "Sure?"}]
    assert content[0] == {"type": "text", "text": "Agree?"}

    _, sound, picture = asked.messages[0].parts
    assert isinstance(sound, Audio) and isinstance(picture, Image)
    wave, rate = soundfile.read(io.BytesIO(base64.b64decode(content[1]["input_audio"]["data"])), dtype="int16")
    mine, _ = soundfile.read(io.BytesIO(blobs.read(sound.sha256)), dtype="int16")
    assert rate == 16_000 and content[1]["input_audio"]["format"] == "wav"
    assert np.array_equal(wave, mine)
    seen = Pillow.open(
        io.BytesIO(base64.b64decode(content[2]["image_url"]["url"].removeprefix("data:image/png;base64,")))
    )
    assert np.array_equal(np.asarray(seen), np.asarray(Pillow.open(io.BytesIO(blobs.read(picture.sha256)))))

    assert len(made.ids) == len(made.logprobs) == len(made.finished) == 3
    assert all(len(ids) == len(logprobs) <= 5 for ids, logprobs in zip(made.ids, made.logprobs, strict=True))


def test_completions_come_back_in_their_rows_and_again_with_the_same_seed(server, blobs, tmp_path):
    asked, rows = prompts(blobs), torch.tensor([0, 0, 1, 2, 2, 3, 4])
    asking = sampler(server, blobs, tmp_path)
    one, again, other = (asking.sample(asked, rows, Decoding(6), seed) for seed in (1, 1, 2))
    assert [ids.tolist() for ids in one.ids] == [ids.tolist() for ids in again.ids]
    assert [ids.tolist() for ids in one.ids] != [ids.tolist() for ids in other.ids]
    counts = {len(body["messages"][0]["content"]): body["n"] for path, body, _ in server.asked if "chat" in path}
    assert counts == {1: 2, 2: 1, 4: 2, 3: 1}
    assert one.ids[0].tolist() != one.ids[1].tolist()


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["ppo", "grpo", "online_dpo"])
def test_training_with_a_server_is_on_policy_in_every_rollout(algorithm, server, blobs, tmp_path):
    """The server begins with other weights; only if each rollout's weights reach it do log-probabilities agree."""
    where = VLLMConfig(server.url, str(tmp_path / "weights"))
    rollout = RolloutConfig(3, 4, 1, Decoding(5), Mix(environment={"ended": 1.0, "fluency": 0.1}), vllm=where)
    fast = OptimizerConfig(rate=1e-2, muon_rate=1e-2, warmup=0)
    model, at = tiny_model(), Workplace(blobs, 0, tmp_path / "work", "align")
    after = fine_tune_with_rl(
        model, None, prompts(blobs), algorithm=algorithm, config=AlignConfig(rollout, optimizer=fast), at=at
    )
    lines = read_metrics(tmp_path / "work" / "metrics.jsonl", "align")
    rolled = [line for line in lines if "reward" in line]
    assert len(rolled) == 3
    assert all(line["logprob_difference"] < 1e-4 for line in rolled)
    assert any(not torch.equal(a, b) for a, b in zip(model.parameters(), after.parameters(), strict=True))


def test_weights_that_do_not_reach_the_server_stop_the_run(server, blobs, tmp_path, monkeypatch):
    monkeypatch.setattr(VLLMSampler, "refresh", lambda self, policy: None)
    where = VLLMConfig(server.url, str(tmp_path / "weights"))
    config = AlignConfig(RolloutConfig(1, 4, 1, Decoding(5), Mix(environment={"ended": 1.0}), vllm=where))
    with pytest.raises(FloatingPointError, match="nats off what it was sampled with"):
        fine_tune_with_rl(
            tiny_model(), None, prompts(blobs), algorithm="grpo", config=config, at=Workplace(blobs, 0, tmp_path / "w")
        )


def test_a_busy_server_is_asked_again_and_one_that_is_away_is_named(server, blobs, tmp_path, monkeypatch):
    monkeypatch.setattr("harken.data.openai.time.sleep", lambda seconds: None)
    asking = sampler(server, blobs, tmp_path, model="tiny")
    server.busy = 2
    asking.sample(prompts(blobs)[:1], torch.tensor([0]), Decoding(3), 0)
    assert [path for path, _, _ in server.asked[2:]] == ["/v1/chat/completions"] * 3
    server.busy = 99
    with pytest.raises(ServerError, match="503"):
        asking.sample(prompts(blobs)[:1], torch.tensor([0]), Decoding(3), 0)
    away = VLLMSampler(VLLMConfig("http://127.0.0.1:9", str(tmp_path / "new"), retries=1), asking.encoded)
    with pytest.raises(ServerError, match=r"GET http://127.0.0.1:9/v1/models failed \(ConnectError"):
        away.sample(prompts(blobs)[:1], torch.tensor([0]), Decoding(3), 0)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda a: a | {"prompt_token_ids": a["prompt_token_ids"][:-1]}, "the first that differs is number"),
        (lambda a: a | {"prompt_token_ids": None}, "knows `return_token_ids`"),
        (lambda a: a | {"choices": a["choices"][1:]}, "gave 1 of 2 completions"),
        (lambda a: a | {"choices": [c | {"logprobs": {"content": []}} for c in a["choices"]]}, "and 0 log-prob"),
    ],
)
def test_an_answer_that_cannot_be_trusted_is_refused(spoil, said, server, blobs, tmp_path):
    asking = sampler(server, blobs, tmp_path)
    server.spoil = spoil
    with pytest.raises(ServerError, match=said):
        asking.sample(prompts(blobs)[:1], torch.tensor([0, 0]), Decoding(3), 0)


def test_a_server_without_its_development_mode_is_told_of(server, blobs, tmp_path, monkeypatch):
    monkeypatch.setattr(server, "answer", lambda path, body: (404, {"detail": "Not Found"}))
    with pytest.raises(ServerError, match="VLLM_SERVER_DEV_MODE=1"):
        sampler(server, blobs, tmp_path)


def test_its_key_comes_from_the_environment(server, blobs, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="HARKEN_TEST_KEY"):
        sampler(server, blobs, tmp_path, api_key="HARKEN_TEST_KEY")
    monkeypatch.setenv("HARKEN_TEST_KEY", "secret")
    sampler(server, blobs, tmp_path, api_key="HARKEN_TEST_KEY")
    assert server.asked[-1][2]["authorization"] == "Bearer secret"


@pytest.mark.parametrize("decoding", [Decoding(4, temperature=0.0), Decoding(4, temperature=0.7, top_p=0.9)])
def test_decodings_without_the_policy_s_log_probabilities_are_refused(decoding, server, blobs, tmp_path):
    with pytest.raises(ValueError, match="temperature"):
        sampler(server, blobs, tmp_path).sample(prompts(blobs)[:1], torch.tensor([0]), decoding, 0)


def test_an_address_that_is_none_is_refused():
    with pytest.raises(ValueError, match="http://"):
        VLLMConfig("localhost:8000", "weights")


def test_what_is_sent_is_what_the_policy_decodes(server, blobs, tmp_path):
    """A picture in another format and a sound at another rate, as the policy hears and sees them."""
    out = io.BytesIO()
    soundfile.write(out, np.sin(np.arange(8000) * 0.1) * 0.3, 8_000, format="FLAC")
    sound = Audio(blobs.put(out.getvalue(), "audio"))
    jpeg = io.BytesIO()
    Pillow.fromarray(np.full((8, 16, 3), 90, dtype=np.uint8)).save(jpeg, "JPEG")
    picture = Image(blobs.put(jpeg.getvalue(), "image"))
    prompt = Prompt("p", (Message("user", (sound, picture, Text("Well?"))),))
    asking = sampler(server, blobs, tmp_path)
    asking.sample([prompt], torch.tensor([0]), Decoding(3), 0)
    mine = asking.encoded([prompt])[0].media
    theirs = server.model.processor.encode(
        replace(prompt, messages=(server.message(server.asked[-1][1]["messages"][0]),)), server.blobs
    ).media
    assert mine.keys() == theirs.keys()
    for name, tensor in mine.items():
        assert torch.allclose(tensor.float(), theirs[name].float(), atol=2e-2), name
