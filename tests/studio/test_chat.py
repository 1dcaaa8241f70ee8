"""The chat page's road: a model behind a real server, what it said and what it was worth in the store, once."""

import asyncio
import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "feedback" / "annotators"))
sys.path.insert(0, str(Path(__file__).parents[1] / "models"))
sys.path.insert(0, str(Path(__file__).parents[1] / "serve"))

from fake_judge import judging
from running import NAME, far_reading, running

from harken.data.media.audio import encode_wav
from harken.data.media.image import encode_png
from harken.studio import chatting
from harken.studio.endpoints import Endpoints
from harken.studio.throttle import Throttle
from harken.types import Audio, Comparison, Image, Rating, Text

pytestmark = pytest.mark.slow

KEY = "a-key-of-a-browser"


def with_models(people, *urls):
    """Everybody, in a studio that was started with these servers."""
    people.app.state.endpoints = Endpoints(urls)
    return people


def kept_of(people):
    return [c for c in people.studio.store.completions() if c.policy.startswith("chat/")]


def turn(text="Hello?", *more, key=KEY, two=False, endpoints=(0, 0), **fields):
    asked = [{"endpoint": n, "model": f"m{n}"} for n in endpoints[: 2 if two else 1]]
    return {"key": key, "parts": [*more, {"type": "text", "text": text}], "asked": asked, **fields}


def talk(client, body, status=200):
    told = client.post("/api/v1/chat/turns", json=body)
    assert told.status_code == status, told.text
    return [json.loads(line) for line in told.text.split("\n") if line] if status == 200 else told.json()


def text_of(lines, n=0):
    return "".join(line["text"] for line in lines if line.get("candidate") == n)


def test_a_turn_is_asked_once_and_kept_with_all_that_was_said(people):
    with judging(lambda body: f"You said {body['messages'][-1]['content']}") as model:
        p = with_models(people, model.url)
        ann = p.client("ann")
        first = talk(ann, turn())
        assert first[0]["said"] == [{"type": "text", "text": "Hello?"}]
        assert text_of(first) == "You said Hello?"
        assert first[-1] == {"kept": True}
        assert talk(ann, turn()) == first
        assert len(model.asked) == 1
        (name,) = first[0]["candidates"]
        second = talk(ann, turn("And now?", key="another-key", after=name))
        assert [m["role"] for m in model.asked[1][1]["messages"]] == ["user", "assistant", "user"]
        assert model.asked[1][1]["messages"][1]["content"] == "You said Hello?"
        kept = kept_of(p)
        assert [(c.id, c.text, c.policy) for c in kept] == [
            (name, "You said Hello?", "chat/m0"),
            (second[0]["candidates"][0], "You said And now?", "chat/m0"),
        ]
        assert "ann" not in json.dumps([c.id for c in kept])


def test_pictures_and_sounds_go_to_the_model_as_harken_decodes_them(people):
    with judging(lambda body: "Seen.") as model:
        p = with_models(people, model.url)
        ann, parts = p.client("ann"), []
        picture = encode_png(np.full((20, 30, 3), 9, np.uint8))
        sound = encode_wav(np.sin(np.arange(4000) / 9).astype(np.float32), 16_000)
        for kind, data in (("image", picture), ("audio", sound)):
            told = ann.post(f"/api/v1/media?kind={kind}", content=data).json()
            parts.append({"type": kind, "sha256": told["sha256"]})
        said = talk(ann, turn("What is it?", *parts))
        assert [part["type"] for part in said[0]["said"]] == ["image", "audio", "text"]
        sent = model.asked[0][1]["messages"][0]["content"]
        assert sent[0]["image_url"]["url"].startswith("data:image/png;base64,")
        assert sent[1]["input_audio"]["format"] == "wav"
        kinds = [type(part) for part in p.studio.store.prompts()[-1].messages[0].parts]
        assert kinds == [Image, Audio, Text]
        # A sound that is called a picture, and one that was never uploaded.
        for wrong in ({"type": "image", "sha256": parts[1]["sha256"]}, {"type": "audio", "sha256": "0" * 64}):
            assert "upload it first" in talk(ann, turn("?", wrong, key="yet-another"), 422)["error"]


def test_two_answers_side_by_side_are_a_comparison_that_stays_once_the_models_are_named(people):
    with judging(lambda body: body["model"]) as model:
        p = with_models(people, model.url, model.url)
        ann = p.client("ann")
        sides = set()
        for n in range(14):  # by chance all on one side: once in 2^27
            for person in (p.client("ben"), ann):
                said = talk(person, turn(f"Number {n}?", key=f"turn-number-{n}", two=True, endpoints=(0, 1)))
                assert "m0" not in json.dumps(said[0])
                sides.add(text_of(said))
        assert sides == {"m0", "m1"}, "one model is always on the same side"
        a, b = said[0]["candidates"]
        body = {"a": a, "b": b, "choice": "b", "seconds": 2.5}
        first = ann.post("/api/v1/chat/choices", json=body).json()
        assert first == {"status": "kept", "models": [text_of(said, 0), text_of(said, 1)]}
        assert ann.post("/api/v1/chat/choices", json=body).json()["status"] == "there"
        assert ann.post("/api/v1/chat/choices", json={**body, "choice": "a"}).json()["status"] == "other"
        told = ann.post("/api/v1/chat/choices", json={**body, "choice": "tie", "amends": 1})
        assert (told.status_code, "would not be blind" in told.json()["error"]) == (409, True)
        (last,) = p.studio.store.answers(amended=True)
        assert last.feedback == Comparison(said[0]["turn"], a, b, "b")
        assert (last.annotator, last.annotator_kind) == ("ann", "human")


def test_thumbs_are_ratings_of_two_levels_and_only_of_what_one_was_given(people):
    told: list[str] = []
    with judging(lambda body: "Yes.") as model:
        p = with_models(people, model.url)
        p.studio.listeners.append(lambda event, data: told.append(event))
        ann, ben = p.client("ann"), p.client("ben")
        said = talk(ann, turn())
        (name,) = said[0]["candidates"]
        for amends, up in enumerate((True, False)):
            given = {"completion": name, "up": up, "amends": amends}
            assert ann.post("/api/v1/chat/thumbs", json=given).json() == {"status": "kept"}
        assert [x.feedback for x in p.studio.store.answers()] == [Rating(said[0]["turn"], name, 1, 2, "thumbs")]
        assert told == ["answer.created"] * 2
        for one in (name, "p0-0", "chat-x-y", name[:-1] + "z", "é"):
            refused = ben.post("/api/v1/chat/thumbs", json={"completion": one, "up": True})
            assert (refused.status_code, refused.json()["error"]) == (422, "this answer was not given to you")
        assert talk(ben, turn(after=name), 422)["error"] == "this answer was not given to you"


def test_a_server_that_is_away_or_refuses_is_words_and_nothing_is_kept(people):
    with (
        judging(lambda _: {"choices": "nonsense"}) as wrong,
        judging(lambda _: "Good.") as good,
        judging(lambda _: "Good.") as full,
    ):
        p = with_models(people, "http://127.0.0.1:9", wrong.url, good.url, full.url)
        ann = p.client("ann")
        models = ann.get("/api/v1/chat/models").json()["models"]
        assert "cannot be reached" in models[0]["error"]
        assert "127.0.0.1" not in models[0]["error"]
        assert "model server 2 refuses (501)" in models[1]["error"]
        for pair, words in (((0, 2), "cannot be reached"), ((1, 2), "does not speak OpenAI's API")):
            said = talk(ann, turn(key=f"pair-{pair}", two=True, endpoints=pair))
            assert words in said[-1]["error"]
        full.busy = 1
        assert "model server 4 refuses (503): starting" in talk(ann, turn(key="too-busy", endpoints=(3,)))[-1]["error"]
        assert not kept_of(p)
        assert "no such model server" in talk(ann, turn(key="far-away", endpoints=(7,)), 422)["error"]
        # The same key again, now that the server is well.
        assert talk(ann, turn(key="too-busy", endpoints=(3,)))[-1] == {"kept": True}


def test_a_conversation_has_as_many_turns_as_is_said(people, monkeypatch):
    monkeypatch.setattr(chatting, "LONGEST", 3)
    with judging(lambda body: "Yes.") as model:
        ann, after = with_models(people, model.url).client("ann"), None
        for n in range(3):
            said = talk(ann, turn(key=f"turn-number-{n}", after=after))
            after = said[0]["candidates"][0]
        refused = talk(ann, turn(key="one-too-many", after=after), 422)["error"]
        assert refused == "a conversation has at most 3 turns; begin another"


def test_a_turn_is_free_again_where_the_client_went_before_the_first_line(people):
    with judging(lambda body: "Yes.") as model:
        p = with_models(people, model.url)
        ann, body = p.client("ann"), json.dumps(turn()).encode()
        headers = [(b"host", b"127.0.0.1:8400"), (b"x-harken", b"1"), (b"content-length", str(len(body)).encode())]
        headers += [(b"cookie", "; ".join(f"{c.name}={c.value}" for c in ann.cookies.jar).encode())]
        headers += [(b"content-type", b"application/json")]
        path = "/api/v1/chat/turns"
        scope = {"type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "method": "POST", "path": path}
        scope |= {"raw_path": path.encode(), "query_string": b"", "headers": headers, "http_version": "1.1"}
        came = iter([{"type": "http.request", "body": body}])

        async def receive():
            return next(came, {"type": "http.disconnect"})

        async def send(message):
            await asyncio.sleep(60)  # nobody takes what is sent

        asyncio.run(p.app({**scope, "scheme": "http", "client": ("127.0.0.1", 1)}, receive, send))
        assert p.app.state.under_way == set()
        assert model.asked == []
        assert talk(ann, turn())[-1] == {"kept": True}


def test_who_talks_too_much_waits(people):
    with judging(lambda body: "Yes.") as model:
        p = with_models(people, model.url)
        p.app.state.chat_throttle = Throttle(2, 60.0)
        ann = p.client("ann")
        for n in range(2):
            talk(ann, turn(key=f"number-{n}"))
        told = ann.post("/api/v1/chat/turns", json=turn(key="number-2"))
        assert (told.status_code, 0 < int(told.headers["retry-after"]) <= 61) == (429, True)
        assert talk(ann, turn(key="number-0"))[-1] == {"kept": True}
        talk(p.client("ben"), turn(key="number-2"))


def test_an_endpoint_is_an_address_and_its_key_a_variable(monkeypatch):
    monkeypatch.setenv("SOME_KEY", "secret")
    with judging(lambda body: "Yes.") as model:
        endpoints = Endpoints([f"{model.url}/v1 SOME_KEY"])
        assert "secret" not in repr(endpoints._all)
        for wrong in ("ftp://example.org", "example.org", f"{model.url} NOT_SET_ANYWHERE"):
            with pytest.raises(ValueError, match=r"http://|not set"):
                Endpoints([wrong])


@pytest.mark.parametrize("streamed", [False, True])
def test_what_no_store_can_keep_of_a_models_text_is_a_replacement_letter(people, streamed):
    said = "a\0b\ud800c\u2028d"
    event = {"choices": [{"delta": {"content": said}, "finish_reason": None}]}
    # Raw, as servers write it: a letter that Python takes for the end of a line, and JSON does not.
    told = json.dumps(event).replace("\\u2028", "\u2028")
    lines = f"data: {told}\n\ndata: [DONE]\n\n".encode()
    with judging(lambda body: lines if streamed else said) as model:
        p = with_models(people, model.url)
        found = talk(p.client("ann"), turn())
        assert found[-1] == {"kept": True}
        assert [one.text for one in kept_of(p)] == [text_of(found)]
        assert text_of(found) == "a\ufffdb\ufffdc\u2028d"


def test_bytes_that_are_no_letters_break_no_stream(people):
    lines = b'data: {"choices": [{"delta": {"content": "a\xffb"}}]}\n\ndata: [DONE]\n\n'
    with judging(lambda body: lines) as model:
        found = talk(with_models(people, model.url).client("ann"), turn())
        assert (text_of(found), found[-1]) == ("a\ufffdb", {"kept": True})


def test_a_key_goes_to_its_server_and_answers_without_a_stream_are_taken(people, monkeypatch):
    monkeypatch.setenv("SOME_KEY", "secret")
    with judging(lambda body: "Yes.") as model:
        p = with_models(people, f"{model.url}/v1 SOME_KEY")
        assert text_of(talk(p.client("ann"), turn())) == "Yes."
        path, body, headers = model.asked[0]
        assert (path, body["stream"]) == ("/v1/chat/completions", True)
        assert headers["authorization"] == "Bearer secret"


@pytest.mark.slow
def test_harkens_own_server_streams_into_the_page(people):
    with running(far_reading(), max_tokens=24) as served:
        p = with_models(people, str(served.base_url))
        ann = p.client("ann")
        (model,) = ann.get("/api/v1/chat/models").json()["models"]
        assert (model["model"], model["takes"][0]) == (NAME, "text")
        picture = encode_png(np.full((16, 16, 3), 200, np.uint8))
        seen = ann.post("/api/v1/media?kind=image", content=picture).json()["sha256"]
        asked = [{"endpoint": 0, "model": NAME}] * 2
        body = {
            **turn("What is it?", {"type": "image", "sha256": seen}),
            "asked": asked,
            "max_tokens": 12,
            "temperature": 0,
        }
        said = talk(ann, body)
        assert said[-1] == {"kept": True}
        assert sum(line.get("candidate") == 0 for line in said) > 2, said
        kept = kept_of(p)
        assert [c.text for c in kept] == [text_of(said, 0), text_of(said, 1)]
        assert {c.policy for c in kept} == {f"chat/{NAME}"}
        wrong = talk(ann, {**body, "key": "a-wrong-model", "asked": [{"endpoint": 0, "model": "other"}]})
        assert "there is no model 'other'" in wrong[-1]["error"]
