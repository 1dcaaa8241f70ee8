"""A small vLLM on loopback: the same requests and answers, and a real tiny model behind them."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch

from harken.data.batch import collate_prompts
from harken.data.blobs import Blobs
from harken.models.generate import Decoding, generate
from harken.models.load import load_model
from harken.models.model import Model
from harken.types import Audio, Image, Message, Prompt, Text


class FakeVLLM:
    """What it serves, what it was asked, and how it is to misbehave.

    Attributes:
        model: what answers.
        blobs: where the media of requests are put.
        asked: (path, body, headers) of every request, in order.
        busy: so many of the next requests are answered by 503.
        spoil: changes an answer before it is sent.
    """

    def __init__(self, model: Model, blobs: Blobs):
        self.model, self.blobs = model, blobs
        self.asked: list[tuple[str, Any, dict[str, str]]] = []
        self.busy = 0
        self.spoil: Any = lambda answer: answer
        self.lock = threading.Lock()
        self.url = ""

    def answer(self, path: str, body: Any) -> tuple[int, Any]:
        match path:
            case "/v1/models":
                return 200, {"data": [{"id": "tiny"}]}
            case "/v1/chat/completions":
                return 200, self.spoil(self.complete(body))
            case "/collective_rpc":
                assert body["method"] == "reload_weights"
                self.model = load_model(Path(body["kwargs"]["weights_path"])).eval()
                return 200, {"results": [None]}
            case "/reset_prefix_cache":
                return 200, None
        return 404, {"detail": "Not Found"}

    def complete(self, body: Any) -> Any:
        """By the model itself, with the meaning that vLLM's documentation gives to each field."""
        unknown = set(body) - KNOWN
        assert not unknown, f"vLLM knows no {unknown}"
        prompt = Prompt("asked", tuple(self.message(message) for message in body["messages"]))
        encoded = self.model.processor.encode(prompt, self.blobs)
        top_k = 0 if body["top_k"] == -1 else body["top_k"]
        decoding = Decoding(
            body["max_tokens"], body["temperature"], top_k, body["top_p"], body["min_p"], body["min_tokens"],
            tuple(body["stop"]),
        )  # fmt: skip
        assert body["stop_token_ids"] == [self.model.processor.end_id]
        assert {int(token) for token in body["logit_bias"]} == set(self.model.suppressed)
        generator = torch.Generator().manual_seed(body["seed"])
        asked = collate_prompts([encoded], self.model.processor.pad_id)
        sampled = generate(self.model, asked, torch.zeros(body["n"], dtype=torch.long), decoding, generator)
        choices = [
            {
                "index": n,
                "message": {"role": "assistant", "content": self.model.processor.decode(ids)},
                "finish_reason": "stop" if done else "length",
                "token_ids": ids.tolist(),
                "logprobs": {"content": [{"token": "", "logprob": value} for value in logprobs.tolist()]},
            }
            for n, (ids, done, logprobs) in enumerate(
                zip(sampled.ids, sampled.finished.tolist(), sampled.logprobs, strict=True)
            )
        ]
        return {"prompt_token_ids": encoded.ids.tolist(), "choices": choices[::-1]}

    def message(self, said: Any) -> Message:
        parts: list[Text | Image | Audio] = []
        for part in said["content"]:
            match part["type"]:
                case "text":
                    parts.append(Text(part["text"]))
                case "image_url":
                    head, data = part["image_url"]["url"].split(",")
                    assert head == "data:image/png;base64"
                    parts.append(Image(self.blobs.put(base64.b64decode(data), "image")))
                case "input_audio":
                    assert part["input_audio"]["format"] == "wav"
                    parts.append(Audio(self.blobs.put(base64.b64decode(part["input_audio"]["data"]), "audio")))
                case other:
                    raise AssertionError(f"vLLM knows no part of type {other}")
        return Message(said["role"], tuple(parts))


KNOWN = {
    "model", "messages", "n", "seed", "max_tokens", "min_tokens", "temperature", "top_k", "top_p", "min_p",
    "repetition_penalty", "presence_penalty", "frequency_penalty", "stop", "include_stop_str_in_output",
    "stop_token_ids", "logit_bias", "logprobs", "top_logprobs", "return_token_ids",
}  # fmt: skip


@contextmanager
def serving(model: Model, blobs: Blobs) -> Iterator[FakeVLLM]:
    """A server on a free port of loopback, stopped afterwards."""
    fake = FakeVLLM(model, blobs)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.reply(None)

        def do_POST(self) -> None:
            length = int(self.headers.get("content-length", 0))
            self.reply(json.loads(self.rfile.read(length) or b"null"))

        def reply(self, body: Any) -> None:
            with fake.lock:
                fake.asked.append((self.path, body, {k.lower(): v for k, v in self.headers.items()}))
                if fake.busy:
                    fake.busy -= 1
                    status, said = 503, {"error": "starting"}
                else:
                    torch.set_num_threads(1)
                    status, said = fake.answer(self.path, body)
            data = b"" if said is None else json.dumps(said).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
