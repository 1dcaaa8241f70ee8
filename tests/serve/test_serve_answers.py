"""Answers over real HTTP by tiny models: whole and streamed, with media, seeds, stop texts, and several at a time."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from families import qwen2_5_omni, text
from running import LONG, ask, far_reading, joined, picture, request, running, sound, stream, texts, until
from tiny import prompts, tiny_model

from harken.data.batch import collate, collate_prompts
from harken.data.blobs import Blobs
from harken.data.encoded import EncodedPrompts
from harken.feedback.annotators.judge import JudgeAnnotator, JudgeConfig
from harken.feedback.queue import Compare, Rate
from harken.models.generate import Decoding, generate
from harken.models.load import load_model
from harken.serve import answering
from harken.train.vllm import VLLMConfig, VLLMSampler
from harken.types import Comparison, Completion, Image, Message, Prompt, Text


def saved(save):
    with TemporaryDirectory() as folder:
        save(Path(folder) / "it")
        return load_model(Path(folder) / "it")


MAKERS = {"own": tiny_model, "omni": lambda: saved(qwen2_5_omni.save), "text": lambda: saved(text.save)}


@pytest.fixture(scope="module", params=["own", "omni"])
def sees(request):
    """A server whose model sees and hears."""
    with running(MAKERS[request.param]()) as client:
        yield client


@pytest.fixture(scope="module")
def own():
    with running(tiny_model()) as client:
        yield client


def test_models_are_listed(own):
    (card,) = own.get("/v1/models").json()["data"]
    assert card["id"] == "tiny"
    assert card["object"] == "model"
    assert card["input_modalities"] == ["text", "audio", "image"]
    assert own.get("/v1/models/tiny").json() == card
    assert own.get("/health").json() == {"status": "ok"}


def test_an_answer_is_the_models(own):
    """The same ids as the model samples by itself from the same seed."""
    said = ask(own, request(temperature=0.8, top_p=0.9, top_k=40, min_p=0.01, n=3, logprobs=True))
    assert said["object"] == "chat.completion"
    assert said["id"].startswith("chatcmpl-")
    assert said["model"] == "tiny"
    model = tiny_model()
    prompt = Prompt("p", (Message("user", (Text("Which number is it?"),)),))
    encoded = model.processor.encode(prompt, Blobs("unused"))
    sampled = generate(
        model,
        collate_prompts([encoded], model.processor.pad_id),
        torch.zeros(3, dtype=torch.long),
        Decoding(16, 0.8, 40, 0.9, 0.01),
        torch.Generator().manual_seed(7),
    )
    assert texts(said) == [model.processor.decode(ids) for ids in sampled.ids]
    assert [c["finish_reason"] for c in said["choices"]] == ["stop" if f else "length" for f in sampled.finished]
    for choice, logprobs in zip(said["choices"], sampled.logprobs, strict=True):
        told = [token["logprob"] for token in choice["logprobs"]["content"]]
        assert told == pytest.approx(logprobs.tolist(), abs=1e-6)
    written = sum(len(ids) for ids in sampled.ids)
    count = len(encoded.ids)
    assert said["usage"] == {
        "prompt_tokens": count,
        "completion_tokens": written,
        "total_tokens": count + written,
    }


@pytest.mark.slow
def test_media_reach_the_model(sees):
    """Another picture, another sound, or another order of two pictures is another answer's distribution."""
    one, two, low, high = picture(0), picture(1, 24), sound(), sound(700.0, 0.6)
    asked = [(one,), (two,), (low,), (high,), (one, low), (two, low), (one, high), (one, two), (two, one)]
    told = set()
    for media in asked:
        said = ask(sees, request("Which?", *media, temperature=0, max_tokens=1, logprobs=True))
        told.add((said["usage"]["prompt_tokens"], said["choices"][0]["logprobs"]["content"][0]["logprob"]))
    assert len(told) == len(asked)


@pytest.mark.slow
def test_a_conversation_with_media_in_two_turns(sees):
    turns = [
        {"role": "developer", "content": "You are kind."},
        {"role": "user", "content": [picture(0), {"type": "text", "text": "Which number is it?"}], "name": "ann"},
        {"role": "assistant", "content": "It is 42.", "refusal": None, "tool_calls": []},
        {"role": "user", "content": [sound(), picture(1), {"type": "text", "text": "And now?"}]},
    ]
    body = {**request(), "messages": turns}
    first = ask(sees, body)
    assert texts(first) == texts(ask(sees, body))
    turns[0]["role"] = "system"
    assert texts(first) == texts(ask(sees, body))


@pytest.mark.slow
def test_a_stream_is_the_answer_in_pieces(sees):
    media = (picture(), sound())
    for fields in ({"n": 3}, {"stop": ["e", "数"]}, {"temperature": 5.0, "max_tokens": 40}):
        body = request("Agree?", *media, **fields)
        whole = ask(sees, body)
        chunks = stream(sees, {**body, "stream_options": {"include_usage": True}})
        for index, text_ in enumerate(texts(whole)):
            assert joined(chunks, index) == text_
        ends = {c["index"]: c["finish_reason"] for x in chunks for c in x["choices"] if c["finish_reason"]}
        assert ends == {c["index"]: c["finish_reason"] for c in whole["choices"]}
        assert chunks[-1]["choices"] == []
        assert chunks[-1]["usage"] == whole["usage"]
        assert all(chunk["usage"] is None for chunk in chunks[:-1])


def test_a_stream_has_openais_form(own):
    chunks = stream(own, request(logprobs=True))
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert deltas[-1] == {}
    assert all(set(delta) == {"content"} for delta in deltas[1:-1])
    assert len(deltas) > 4
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert "usage" not in chunks[-1]
    told = [t for x in chunks for c in x["choices"] if c["logprobs"] for t in c["logprobs"]["content"]]
    whole = ask(own, request(logprobs=True))
    assert told == whole["choices"][0]["logprobs"]["content"]


@pytest.mark.slow
def test_seeds(own):
    hot = {"temperature": 3.0, "max_tokens": 20}
    assert texts(ask(own, request(**hot))) == texts(ask(own, request(**hot)))
    assert texts(ask(own, request(**hot))) != texts(ask(own, request(**{**hot, "seed": 8})))
    free = [texts(ask(own, request(**{**hot, "seed": None})))[0] for _ in range(4)]
    assert len(set(free)) > 1


@pytest.mark.slow
def test_stop_texts_end_an_answer_wherever_tokens_end(own):
    """Every part of three letters of an answer as a stop text, alone, left out or kept."""
    body = request(temperature=2.0, max_tokens=24, seed=3)
    (whole,) = texts(ask(own, body))
    assert len(whole) > 10
    for at in range(0, len(whole) - 3, 3):
        stop = whole[at : at + 3]
        said = ask(own, {**body, "stop": stop})
        assert texts(said) == [whole[: whole.find(stop)]]
        assert said["choices"][0]["finish_reason"] == "stop"
        assert said["usage"]["completion_tokens"] <= 24
    kept = ask(own, {**body, "stop": [stop, "\x00never"], "include_stop_str_in_output": True})
    assert texts(kept) == [whole[: whole.find(stop) + 3]]


@pytest.mark.slow
def test_two_requests_at_once_do_not_mix(own):
    bodies = [request(f"Number {n}?", temperature=1.5, seed=n, max_tokens=24) for n in range(8)]
    alone = [texts(ask(own, body)) for body in bodies]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda body: texts(ask(own, body)), bodies)) == alone
        streamed = pool.map(lambda body: joined(stream(own, body)), bodies)
        assert [[one] for one in streamed] == alone


@pytest.mark.slow
def test_a_long_answer_keeps_nobody_waiting():
    """A stream that has far to go is still under way when a short answer is there."""
    with running(far_reading(), longest=LONG) as client:
        body = {**request(max_tokens=LONG, min_tokens=LONG), "stream": True}
        with client.stream("POST", "/v1/chat/completions", json=body) as response:
            lines = response.iter_lines()
            assert next(lines).startswith("data: ")
            assert texts(ask(client, request(max_tokens=2)))
            assert client.get("/health").status_code == 200
            rest = "".join(line for _, line in zip(range(200), lines, strict=False))
            assert "[DONE]" not in rest


@pytest.mark.slow
def test_who_hangs_up_is_not_worked_for(monkeypatch):
    """Streamed, not streamed, and still waiting: the place is free again long before the answer would be there."""
    steps = []
    step = answering.Answering.step

    def counted(self):
        steps.append(self.job)
        step(self)

    monkeypatch.setattr(answering.Answering, "step", counted)
    endless = request(max_tokens=LONG, min_tokens=LONG)
    with running(far_reading(), longest=LONG, at_once=1, waiting=1) as client:

        def hang_up(**fields):
            before = len(steps)
            with (
                pytest.raises(ZeroDivisionError),
                client.stream("POST", "/v1/chat/completions", json={**endless, **fields}) as response,
            ):
                lines = response.iter_lines()  # kept: httpx2 hangs up when nobody holds it
                next(lines)
                until(lambda: len(steps) > before + 5)
                raise ZeroDivisionError  # any reason to leave early

        hang_up(stream=True)
        ask(client, request(max_tokens=2))
        jobs = {id(job) for job in steps}
        assert len(jobs) == 2
        # Without a stream: the client gives up while the answer is written, and another while it waits its turn.
        impatient = threading.Thread(target=lambda: give_up(client, endless, 3.0))
        impatient.start()
        until(lambda: len({id(job) for job in steps}) == 3)
        give_up(client, endless, 0.5)
        impatient.join()
        ask(client, request(max_tokens=2))
        ask(client, request(max_tokens=2))


def give_up(client, body, seconds):
    with pytest.raises(Exception, match="timed out"):
        client.post("/v1/chat/completions", json=body, timeout=seconds)


def taught_to_say(word, blobs):
    """The tiny model after it learnt one answer to everything."""
    model = tiny_model()
    long = [Prompt(f"l{n}", (Message("user", (Text(f"Judge the answer {n}. " * n),)),)) for n in (5, 20, 40)]
    asked = [model.processor.encode(prompt, blobs) for prompt in [*prompts(blobs), *long]]
    answer = model.processor.encode_completion(Completion("c", "p", word, "me"))
    batch = collate(asked, [answer] * len(asked), range(len(asked)), model.processor.pad_id)
    descent = torch.optim.Adam(model.trunk.parameters(), lr=0.01)
    for _ in range(30):
        descent.zero_grad()
        (-model(batch, frozenset({"logprobs"})).logprobs.mean()).backward()
        descent.step()
    return model


@pytest.mark.slow
def test_a_judge_of_ours_asks_it(tmp_path):
    """The annotator's client against the real server, with a picture: its one opinion is read, and its bias seen."""
    blobs = Blobs(tmp_path / "blobs")
    seen = Image(blobs.put_data_uri(picture()["image_url"]["url"], "image"))
    prompt = Prompt("p", (Message("user", (seen, Text("Which number is it?"))),))
    answers = {name: Completion(name, "p", text_, "x") for name, text_ in (("a", "It is 4."), ("b", "It is 42."))}
    with running(taught_to_say("b", blobs)) as client:
        judge = JudgeAnnotator(JudgeConfig(str(client.base_url), "tiny", retries=0), blobs, tmp_path / "log.jsonl")
        said = judge.answer({"p": prompt}, Compare("p", "a", "b"), answers)
        # It prefers what stands second, in both orders.
        assert said == Comparison("p", "a", "b", "tie")
        assert judge.answer({"p": prompt}, Rate("p", "a"), answers) is None
    report = judge.report()
    assert (report.pairs, report.disagreed, report.again, report.skipped) == (1, 1, 1, 1)


@pytest.mark.slow
def test_our_sampler_samples_from_it(tmp_path):
    """`train/vllm.py` finds all it asks for: ids that are the policy's, and log-probabilities that are the policy's."""
    blobs = Blobs(tmp_path / "blobs")
    model = tiny_model()
    encoded = EncodedPrompts(model.processor, blobs)
    asked = prompts(blobs)
    rows = torch.arange(len(asked)).repeat_interleave(2)
    with running(tiny_model()) as client:
        config = VLLMConfig(str(client.base_url), str(tmp_path / "weights"))
        sampled = VLLMSampler(config, encoded, model.suppressed).sample(asked, rows, Decoding(8, min_tokens=2), 5)
    made = collate(encoded(asked), sampled.ids, rows.tolist(), model.processor.pad_id)
    with torch.no_grad():
        logprobs = model(made, frozenset({"logprobs"})).logprobs
    for n, told in enumerate(sampled.logprobs):
        torch.testing.assert_close(told, logprobs[n, : len(told)], atol=1e-4, rtol=0)
        assert bool(sampled.finished[n]) == (sampled.ids[n][-1] == model.processor.end_id)
