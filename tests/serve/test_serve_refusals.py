"""What is refused over real HTTP: in OpenAI's form, in words, and with the server as well as before."""

import base64
import io
import json
import socket
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from families import text
from PIL import Image as Pillow
from running import LONG, ask, far_reading, picture, request, running, sound, stream, texts, until
from tiny import tiny_model

from harken.data.openai import Server
from harken.models.load import load_model
from harken.serve import answering
from harken.serve.refusal import Refusal
from harken.serve.settings import ServeConfig
from harken.serve.worker import Worker

pytestmark = pytest.mark.slow

SECRET = "a-secret-of-some-length"


@pytest.fixture(scope="module")
def own():
    with running(tiny_model(), longest=64) as client:
        yield client


@pytest.fixture(scope="module")
def words_only():
    with tempfile.TemporaryDirectory() as folder:
        text.save(Path(folder) / "it")
        model = load_model(Path(folder) / "it")
    with running(model) as client:
        yield client


def refused(client, body, status=400):
    error = ask(client, body, status)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error


@pytest.mark.parametrize(
    ("fields", "param", "says"),
    [
        ({"temperature": -1}, "temperature", "greater than or equal to 0"),
        ({"temperature": 1e-9}, "temperature", "0 (the likeliest token)"),
        ({"temperature": "hot"}, "temperature", "number"),
        ({"top_p": 0}, "top_p", "greater than 0"),
        ({"n": 0}, "n", "greater"),
        ({"n": 17}, "n", "at most 16"),
        ({"max_tokens": 0}, "max_tokens", "greater"),
        ({"max_tokens": 65}, "max_tokens", "at most 64"),
        ({"max_tokens": 3, "max_completion_tokens": 4}, "max_tokens", "differ"),
        ({"min_tokens": 9, "max_tokens": 8}, "min_tokens", "above"),
        ({"seed": 1.5}, "seed", "integer"),
        ({"stop": ""}, "stop", "1 to 500"),
        ({"stop": ["a"] * 17}, "stop", "at most 16"),
        ({"stop": 3}, "stop", "string"),
        ({"stream_options": {"include_usage": True}}, "stream_options", "for streams"),
        ({"stream": "yes"}, "stream", "boolean"),
        ({"tools": [{"type": "function"}]}, "tools", "would change the answer"),
        ({"response_format": {"type": "json_object"}}, "response_format", "would change the answer"),
        ({"logit_bias": {"5": 10}}, "logit_bias", "would change the answer"),
        ({"frequency_penalty": 0.5}, "frequency_penalty", "would change the answer"),
        ({"top_logprobs": 3}, "top_logprobs", "would change the answer"),
        ({"reasoning_effort": "high"}, "reasoning_effort", "would change the answer"),
        ({"temprature": 0.5}, "temprature", "did you mean 'temperature'"),
        ({"messages": []}, "messages", "empty"),
        ({"messages": [{"role": "king", "content": "x"}]}, "messages[0].role", "no role"),
        ({"messages": [{"role": "user", "content": ""}]}, "messages[0].content", "empty"),
        ({"messages": [{"role": "user", "content": "<image>"}]}, "messages", "control token"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "messages[0].role", "last turn"),
        ({"messages": ["x"]}, "messages[0]", "a string instead of an object"),
    ],
)
def test_fields(own, fields, param, says):
    error = refused(own, request(**fields))
    assert error["type"] == "invalid_request_error"
    assert error["param"] == param
    assert says in error["message"]


def test_what_asks_for_nothing_is_taken(own):
    harmless = {"user": "ann", "metadata": {"a": "b"}, "store": False, "tools": None, "tool_choice": "auto"}
    neutral = {"frequency_penalty": 0, "presence_penalty": 0.0, "response_format": {"type": "text"}, "top_k": -1}
    asked = request(max_completion_tokens=2, seed=1)
    told = ask(own, {**asked, "stop": None, "logit_bias": {}, **harmless, **neutral})
    assert texts(told) == texts(ask(own, asked)) != []


def test_another_model_is_not_there(own):
    error = refused(own, {**request(), "model": "gpt-5"}, 404)
    assert error["code"] == "model_not_found"
    assert "'tiny'" in error["message"]
    assert own.get("/v1/models/gpt-5").json()["error"]["code"] == "model_not_found"
    unknown = own.get("/v1/embeddings")
    assert unknown.status_code == 404
    assert "/v1/chat/completions" in unknown.json()["error"]["message"]
    assert own.get("/v1/chat/completions").status_code == 405
    assert own.get("/docs").status_code == own.get("/openapi.json").status_code == 404


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b'{"a": NaN}', b"[" * 100_000, b"1" * 10_000, b"\xff\xfe"])
def test_what_is_no_json(own, body):
    response = own.post("/v1/chat/completions", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "invalid_json"


def test_half_a_letter(own):
    body = json.dumps(request("x\ud800"))
    response = own.post("/v1/chat/completions", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 400
    assert "half a letter" in response.json()["error"]["message"]


def test_missing_fields_are_named(own):
    assert refused(own, {"model": "tiny"})["param"] == "messages"
    assert refused(own, {"messages": []})["param"] == "model"


def image_url(url):
    return {"type": "image_url", "image_url": {"url": url}}


def data(kind, content):
    return f"data:{kind};base64," + base64.b64encode(content).decode()


BAD_MEDIA = {
    "http": (image_url("http://127.0.0.1:1/a.png"), "remote media are off"),
    "https": (image_url("https://example.com/a.png"), "remote media are off"),
    "file": (image_url("file:///etc/passwd"), "remote media are off"),
    "path": (image_url("../../etc/passwd"), "remote media are off"),
    "hugging face's form": ({"type": "image", "image": "/etc/passwd"}, "no kind of part"),
    "a sound's path": ({"type": "input_audio", "input_audio": {"path": "/etc/hostname"}}, "no file is opened"),
    "no base64": (image_url("data:image/png;base64,###"), "not base64"),
    "no picture": (image_url(data("image/png", b"hello")), "not a picture"),
    "svg": (image_url(data("image/svg+xml", b"<svg xmlns='http://www.w3.org/2000/svg'/>")), "SVG"),
    "a sound as a picture": (image_url(data("audio/wav", b"RIFF")), "but the part is image"),
    "no sound": ({"type": "input_audio", "input_audio": {"data": "aGVsbG8=", "format": "wav"}}, "not a sound"),
    "format": ({"type": "input_audio", "input_audio": {"data": "", "format": "aac"}}, "not a format"),
    "video": ({"type": "video_url", "video_url": {"url": "x"}}, "no kind of part"),
    "no type": ({"text": "x"}, "no kind of part"),
}


@pytest.mark.parametrize("name", BAD_MEDIA)
def test_media(own, name):
    part, says = BAD_MEDIA[name]
    error = refused(own, request("Which?", part))
    assert says in error["message"]
    assert error["param"].startswith("messages[0].content[0]")


def test_a_cut_picture_and_a_bomb(own):
    whole = base64.b64decode(picture()["image_url"]["url"].partition(",")[2])
    assert "cut short" in refused(own, request("?", image_url(data("image/png", whole[:-40]))))["message"]
    wide = bytearray(whole)
    wide[16:24] = (60_000).to_bytes(4, "big") * 2
    assert refused(own, request("?", image_url(data("image/png", bytes(wide)))))["code"] == "invalid_value"
    assert "at most 32" in refused(own, request("?", *[picture()] * 33))["message"]


@pytest.mark.slow
def test_pictures_that_are_too_much_together(own):
    out = io.BytesIO()
    Pillow.new("L", (6000, 6000)).save(out, "PNG")
    large = image_url(data("image/png", out.getvalue()))
    assert "together" in refused(own, request("?", large, large, large))["message"]


def test_a_model_without_eyes_says_so(words_only):
    (card,) = words_only.get("/v1/models").json()["data"]
    assert card["input_modalities"] == ["text"]
    error = refused(words_only, request("?", picture()))
    assert error["param"] == "messages[0].content[0]"
    assert "takes text and no pictures" in error["message"]
    assert "no sounds" in refused(words_only, request("?", sound()))["message"]
    ask(words_only, request())


def test_more_than_the_model_can_read(words_only):
    error = refused(words_only, request("number " * 2000))
    assert error["code"] == "context_length_exceeded"
    assert "1024" in error["message"]
    # In a stream too the status says so, since nothing was sent before.
    assert refused(words_only, request("number " * 2000, stream=True))["code"] == "context_length_exceeded"


@pytest.mark.parametrize("broken", ["step", "__init__"])
def test_a_failure_is_told_and_survived(own, monkeypatch, broken, caplog):
    def fail(self, *_):
        raise RuntimeError("something unforeseen")

    with monkeypatch.context() as patch:
        patch.setattr(answering.Sampling, broken, fail)
        assert "log" in refused(own, request(), 500)["message"]
        assert "unforeseen" in caplog.text
        if broken == "step":
            with own.stream("POST", "/v1/chat/completions", json=request(stream=True)) as response:
                raw = response.read().decode()
            assert '"code":"internal_error"' in raw
            assert "[DONE]" not in raw
    assert stream(own, request())


def test_the_token():
    with running(tiny_model(), token=SECRET) as client:
        assert client.get("/v1/models").status_code == 200
        for wrong in ("", "Bearer", "Bearer wrong", SECRET, f"Basic {SECRET}", f"Bearer {SECRET}x", "Bearer \xe9"):
            response = client.get("/v1/models", headers={"Authorization": wrong.encode("latin-1")})
            assert response.status_code == 401, wrong
            assert response.headers["www-authenticate"] == "Bearer"
            assert response.json()["error"]["code"] == "invalid_api_key"
        assert client.get("/health", headers={"Authorization": ""}).status_code == 200
        assert refused(client, {"model": "gpt-5", **request(), "n": 0})["param"] == "n"


def test_a_server_for_others_needs_a_token():
    for host in ("0.0.0.0", "::", "192.168.0.7", "example.com", ""):
        with pytest.raises(ValueError, match="token"):
            ServeConfig(host=host)
        assert not ServeConfig(host=host, token=SECRET).local
    for host in ("127.0.0.1", "127.0.0.2", "::1", "localhost"):
        assert ServeConfig(host=host).local
    with pytest.raises(ValueError, match="at least 16"):
        ServeConfig(token="short")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403),
        ({"Host": "evil.example:8000"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Host": "[::1"}, 403),
        ({"Host": "localhost:1"}, 200),
        ({"Host": "LOCALHOST"}, 200),
        ({"Host": "[::1]:80"}, 200),
        ({"Host": "proxy.example"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "localhost:1", "Origin": "http://localhost:1"}, 200),
        ({"Host": "localhost:1", "Origin": "http://localhost:2"}, 403),
    ],
)
def test_names_and_pages(named, headers, status):
    response = named.get("/v1/models", headers=headers)
    assert response.status_code == status
    assert "access-control-allow-origin" not in response.headers


@pytest.fixture(scope="module")
def named():
    with running(tiny_model(), allowed_hosts=("proxy.example",)) as client:
        yield client


def test_a_form_of_a_strangers_page_is_not_read(own):
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        response = own.post("/v1/chat/completions", content=b"{}", headers={"Content-Type": kind})
        assert response.status_code == 415


def test_large_and_slow_bodies():
    with running(tiny_model(), body_mib=1, seconds=0.5, at_once=1, waiting=0) as client:
        large = {**request("x" * (3 << 20))}
        assert refused(client, large, 413)["code"] == "request_too_large"

        def parts():
            for _ in range(48):
                yield b" " * (1 << 16)

        response = client.post("/v1/chat/completions", content=parts(), headers={"Content-Type": "application/json"})
        assert response.status_code == 413
        with socket.create_connection((client.base_url.host, client.base_url.port)) as slow:
            slow.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                b"Content-Length: 100\r\n\r\n{"
            )
            assert b" 408 " in slow.recv(1 << 16)
        ask(client, request())


def test_a_full_house_says_when_to_come_again(monkeypatch):
    taken, refusals, take_place = [], [], Worker.take_place

    def counted(self):
        try:
            given = take_place(self)
        except Refusal as refusal:
            refusals.append(refusal)
            raise
        taken.append(given)
        return given

    monkeypatch.setattr(Worker, "take_place", counted)
    with running(far_reading(), at_once=1, waiting=1, longest=LONG) as client, ThreadPoolExecutor(2) as pool:
        endless = request(max_tokens=LONG, min_tokens=LONG, stream=True)
        with client.stream("POST", "/v1/chat/completions", json=endless) as response:
            lines = response.iter_lines()  # kept: httpx2 hangs up when nobody holds it
            next(lines)
            waits = pool.submit(ask, client, request(max_tokens=2))
            until(lambda: len(taken) == 2)
            said = client.post("/v1/chat/completions", json=request(max_tokens=1))
            assert (said.status_code, said.headers["retry-after"]) == (503, "1")
            assert said.json()["error"]["code"] == "overloaded"
            assert client.get("/health").status_code == 200
            # Our own client comes again.
            own = Server(str(client.base_url), "", timeout=60.0, retries=8)
            comes_again = pool.submit(own.post, "/v1/chat/completions", request(max_tokens=2))
            until(lambda: len(refusals) >= 2)
            assert not waits.done()
            response.close()
            assert texts(waits.result())
            assert texts(comes_again.result())


def test_no_medium_is_left_behind(own, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ask(own, request("?", picture(), sound()))
    stream(own, request("?", picture(), sound()))
    refused(own, request("?", picture(), BAD_MEDIA["no picture"][0]))
    assert list(tmp_path.iterdir()) == []
