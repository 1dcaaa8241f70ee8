"""The models that the chat page talks to: servers that the operator named on the command line, and no others.

A browser says which of them by its place in the list. Addresses are the operator's own words, so that this machine is
allowed; redirects are not followed.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2

from harken.data.lines import Lines
from harken.data.openai import ServerError, check_address
from harken.feedback.records import keepable

SECONDS = httpx2.Timeout(120.0, connect=5.0)
LONGEST = 200_000
"""Letters of an answer; a server that says more is hung up on."""
CARD_SECONDS = 5.0


@dataclass(frozen=True)
class Endpoint:
    """A server.

    Attributes:
        url: without `/v1`.
        key: that it takes; empty for none.
    """

    url: str
    key: str = field(default="", repr=False)


@dataclass(frozen=True)
class Piece:
    """A piece of an answer.

    Attributes:
        text: as it came, but for what no store can keep.
        finished: with the last piece, whether the answer ended by itself; else None.
    """

    text: str
    finished: bool | None = None


def read_endpoint(said: str) -> Endpoint:
    """What was said on the command line: an address, and after a space the environment variable with its key.

    Raises:
        ValueError: if it is none, or the variable is not set.
    """
    url, _, variable = said.strip().partition(" ")
    check_address(url)
    variable = variable.strip()
    if variable and variable not in os.environ:
        raise ValueError(f"the environment variable {variable}, for the key of {url}, is not set")
    return Endpoint(url.rstrip("/").removesuffix("/v1"), os.environ.get(variable, "") if variable else "")


class Endpoints:
    """The servers of a studio.

    Args:
        given: as on the command line.

    Raises:
        ValueError: if one of them is no address, or its key is not there.
    """

    def __init__(self, given: Sequence[str]):
        self._all = tuple(map(read_endpoint, given))

    async def models(self) -> list[dict[str, Any]]:
        """Each model of each server, or in words why a server says none."""
        found = await asyncio.gather(*(self._cards(n) for n in range(len(self._all))))
        return [card for cards in found for card in cards]

    async def _cards(self, number: int) -> list[dict[str, Any]]:
        try:
            async with self._client(number, httpx2.Timeout(CARD_SECONDS)) as client:
                response = await client.get("/v1/models")
            if response.status_code != 200:
                raise ServerError(_refused(number, response.status_code, response.content))
            listed = [one for one in response.json()["data"] if isinstance(one.get("id"), str)]
            return [{"endpoint": number, "model": one["id"], "takes": one.get("input_modalities")} for one in listed]
        except ServerError as refused:
            return [{"endpoint": number, "error": str(refused)}]
        except httpx2.HTTPError as away:
            return [{"endpoint": number, "error": _away(number, away)}]
        except (ValueError, KeyError, TypeError, AttributeError):
            return [{"endpoint": number, "error": f"model server {number + 1} does not speak OpenAI's API"}]

    def __len__(self) -> int:
        return len(self._all)

    def _client(self, number: int, timeout: httpx2.Timeout) -> httpx2.AsyncClient:
        one = self._all[number]
        headers = {"Authorization": f"Bearer {one.key}"} if one.key else {}
        return httpx2.AsyncClient(base_url=one.url, headers=headers, timeout=timeout)

    async def answer(self, number: int, body: dict[str, Any]) -> AsyncIterator[Piece]:
        """A model's answer, piece by piece as it is written.

        Args:
            number: of the server in the list.
            body: of `/v1/chat/completions`, without `stream`.

        Raises:
            ServerError: in words, if the server is away, refuses, or breaks off.
        """
        try:
            async with (
                self._client(number, SECONDS) as client,
                client.stream("POST", "/v1/chat/completions", json={**body, "stream": True}) as response,
            ):
                if response.status_code != 200:
                    raise ServerError(_refused(number, response.status_code, await _some(response)))
                if "event-stream" in response.headers.get("content-type", ""):
                    async for piece in _pieces(response, number):
                        yield piece
                else:
                    yield _whole(await _some(response), number)
        except httpx2.HTTPError as away:
            raise ServerError(_away(number, away)) from away


async def _pieces(response: httpx2.Response, number: int) -> AsyncIterator[Piece]:
    finished, letters = None, 0
    async for line in _lines(response):
        said = line.removeprefix("data:").strip()
        if not line.startswith("data:"):
            continue
        if said == "[DONE]":
            yield Piece("", True if finished is None else finished)
            return
        event = _json(said, number)
        if "error" in event:
            raise ServerError(f"model server {number + 1}: {_message(event)}")
        for choice in event.get("choices", [])[:1]:
            reason = choice.get("finish_reason")
            finished = finished if reason is None else reason == "stop"
            text = (choice.get("delta") or {}).get("content") or ""
            letters += len(text)
            if letters > LONGEST:
                raise ServerError(f"model server {number + 1} wrote more than {LONGEST} letters")
            if text:
                yield Piece(keepable(text))
    raise ServerError(f"model server {number + 1} broke off in the middle of its answer; ask again")


async def _lines(response: httpx2.Response) -> AsyncIterator[str]:
    lines = Lines(errors="replace")
    async for piece in response.aiter_bytes():
        for line in lines.add(piece):
            yield line
    for line in lines.rest():
        yield line


def _whole(data: bytes, number: int) -> Piece:
    try:
        choice = _json(data.decode(), number)["choices"][0]
        return Piece(keepable(str(choice["message"]["content"] or "")), choice.get("finish_reason", "stop") == "stop")
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ServerError(f"model server {number + 1} does not speak OpenAI's API") from error


async def _some(response: httpx2.Response) -> bytes:
    out = b""
    async for data in response.aiter_bytes():
        out += data
        if len(out) > 4 * LONGEST:
            break
    return out


def _json(text: str, number: int) -> dict[str, Any]:
    try:
        said = json.loads(text)
    except ValueError as error:
        raise ServerError(f"model server {number + 1} does not speak OpenAI's API") from error
    return said if isinstance(said, dict) else {}


def _refused(number: int, status: int, body: bytes) -> str:
    try:
        words = _message(json.loads(body))
    except (ValueError, AttributeError):
        words = body[:200].decode(errors="replace")
    hint = "; its key is not right, see `harken studio --model`" if status in (401, 403) else ""
    return f"model server {number + 1} refuses ({status}): {words}{hint}"


def _message(said: dict[str, Any]) -> str:
    error = said.get("error", said.get("detail", said))
    return str(error.get("message", error) if isinstance(error, dict) else error)[:500]


def _away(number: int, error: Exception) -> str:
    return (
        f"model server {number + 1} cannot be reached ({type(error).__name__}); whoever runs the studio can start it "
        "(harken serve MODEL) or name another (harken studio --model URL)"
    )
