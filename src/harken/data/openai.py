"""OpenAI's dialect over HTTP: messages with media in them, and a client that knows busy servers."""

import base64
import os
import time
from collections.abc import Mapping
from typing import Any

import httpx2

from harken.data.blobs import Blobs
from harken.data.media import audio, image, numbers
from harken.data.record import FieldError, read_record
from harken.types import JSON, Audio, Image, Message, Numbers, Part, Text

BUSY = frozenset({429, 500, 502, 503, 504})
HINTS = {
    401: "; the environment variable that `api_key` names must hold a key that it takes",
    403: "; the key that `api_key` names may not do this",
    404: "; the url is that of an OpenAI-compatible server, and the model one that it lists under /v1/models",
}
PARTS = ("text", "image_url", "input_audio", "input_numbers")
UNSAID = ("refusal", "tool_calls", "function_call", "audio", "annotations")
"""What clients send back of an answer, empty where harken's models wrote it."""


class ServerError(OSError):
    """A server did not do what was asked of it."""


class Server:
    """An OpenAI-compatible server. Nothing but this address is asked.

    Args:
        url: its address, such as `http://127.0.0.1:8000`; `/v1` at its end is allowed.
        api_key: name of the environment variable that holds its key; empty for a server without one.
        timeout: seconds that one request may take.
        retries: how often a request is made again after the server was busy or away.

    Raises:
        ValueError: if the address is none, or the environment variable of the key is not set.
    """

    def __init__(self, url: str, api_key: str, timeout: float, retries: int):
        check_address(url)
        headers = {}
        if api_key:
            if api_key not in os.environ:
                raise ValueError(f"the environment variable {api_key}, for the key of {url}, is not set")
            headers["Authorization"] = f"Bearer {os.environ[api_key]}"
        self.url, self.retries = url.rstrip("/").removesuffix("/v1"), retries
        self._client = httpx2.Client(base_url=self.url, headers=headers, timeout=timeout)

    def post(self, path: str, body: Mapping[str, JSON] | None) -> dict[str, Any]:
        """What it answers to a body; empty where it answers nothing."""
        return _read(self.send("POST", path, body))

    def get(self, path: str) -> dict[str, Any]:
        """What lies under a path."""
        return _read(self.send("GET", path, None))

    def send(self, method: str, path: str, body: Mapping[str, JSON] | None) -> httpx2.Response:
        """One request, made again where the server is busy or away.

        Raises:
            ServerError: if it refuses, or stays busy or away.
        """
        wrong = hint = ""
        for attempt in range(self.retries + 1):
            if attempt:
                time.sleep(min(0.25 * 2**attempt, 10.0))
            try:
                response = self._client.request(method, path, json=body)
            except httpx2.TransportError as error:
                wrong, hint = f"{type(error).__name__}: {error}", "; is it running, and is this its address?"
                continue
            if response.status_code < 400:
                return response
            wrong, hint = f"{response.status_code}: {response.text[:500]}", HINTS.get(response.status_code, "")
            if response.status_code not in BUSY:
                break
        raise ServerError(f"{method} {self.url}{path} failed ({wrong}){hint}")


def check_address(url: str) -> None:
    """Refuse what is no address.

    Raises:
        ValueError: if it does not begin as one.
    """
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"a server's url begins with http:// or https://, unlike {url!r}")


def part_of_message(part: Part, blobs: Blobs, rate: int) -> dict[str, JSON]:
    """A part as the API takes it: media as harken itself decodes them, so that the server sees the same.

    Args:
        part: words, a picture, a sound or numbers (which OpenAI has no part for, and harken's own servers take).
        blobs: where the media lie.
        rate: samples a second that a sound is sent with.

    Raises:
        MediaError: if a medium does not decode.
    """
    match part:
        case Text(text):
            return {"type": "text", "text": text}
        case Image(sha256):
            png = image.encode_png(image.decode(blobs.read(sha256)))
            return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{_base64(png)}"}}
        case Audio(sha256):
            wav = audio.encode_wav(audio.decode(blobs.read(sha256), rate), rate)
            return {"type": "input_audio", "input_audio": {"data": _base64(wav), "format": "wav"}}
        case Numbers(sha256):
            return {"type": "input_numbers", "input_numbers": numbers.to_json(numbers.read(blobs.read(sha256)))}


def read_messages(said: object, blobs: Blobs) -> tuple[Message, ...]:
    """The conversation of a request as a server receives it: `part_of_message` the other way round.

    Media are written out in the request. No address is fetched and no file is opened, whatever the request names.

    Args:
        said: the request's `messages`.
        blobs: where the media go.

    Raises:
        FieldError: if a turn or a part is wrong, or a medium cannot be taken.
    """
    if not isinstance(said, list):
        raise FieldError("messages", 'missing or no list; write [{"role": "user", "content": "..."}]')
    turns = [_plain_turn(turn, f"messages[{i}]") for i, turn in enumerate(said)]
    return read_record({"messages": turns}, blobs, blobs.folder).messages


def _plain_turn(turn: object, at: str) -> object:
    """A turn as `read_record` takes it: without what clients add, and with parts that hold their media themselves."""
    if not isinstance(turn, dict):
        return turn
    plain = {key: value for key, value in turn.items() if key != "name" and (key not in UNSAID or value)}
    if plain.get("role") == "developer":
        plain["role"] = "system"
    if isinstance(plain.get("content"), list):
        plain["content"] = [_plain_part(part, f"{at}.content[{j}]") for j, part in enumerate(plain["content"])]
    return plain


def _plain_part(part: object, at: str) -> object:
    if not isinstance(part, dict):
        return part
    kind = part.get("type")
    if kind not in PARTS:
        shown = repr(kind[:80]) if isinstance(kind, str) else "nothing"
        raise FieldError(f"{at}.type", f"{shown} is no kind of part that is taken here: {', '.join(PARTS)}")
    inner = part.get(kind)
    if not isinstance(inner, dict):
        return part
    if kind == "input_audio" and "path" in inner:
        raise FieldError(f"{at}.input_audio.path", "no file is opened; send the sound itself as base64 in `data`")
    if kind != "image_url":
        return part
    url = inner.get("url")
    if isinstance(url, str) and url[:5].lower() != "data:":
        raise FieldError(
            f"{at}.image_url.url",
            "remote media are off: nothing is fetched and no file is opened; send the picture itself, as "
            "data:image/png;base64,...",
        )
    # How closely OpenAI's models are to look; harken's see every picture at the size that their processor makes of it.
    plain = {key: value for key, value in inner.items() if key != "detail" or value not in ("auto", "low", "high")}
    return {**part, "image_url": plain}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _read(response: httpx2.Response) -> dict[str, Any]:
    if not response.content:
        return {}
    try:
        said = response.json()
    except ValueError as error:
        raise ServerError(
            f"{response.url} answered {response.text[:200]!r}, which is no JSON; is the url that of an "
            "OpenAI-compatible server?"
        ) from error
    return said if isinstance(said, dict) else {"data": said}
