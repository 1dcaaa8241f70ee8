"""A program's way to a studio: prompts and media in, answers out. Speaks `/api/v1` with a token."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2

from harken.data.lines import Lines
from harken.data.whole import whole
from harken.feedback.records import feedback_from_json, prompt_to_json
from harken.types import Answer, Completion, Modality, Prompt

AT_ONCE = 200
"""Prompts in one request."""


class StudioError(OSError):
    """A studio refused, or cannot be reached."""


class StudioClient:
    """A studio.

    Args:
        url: its address, such as `http://127.0.0.1:8400`.
        token: made on its page of people, or by `POST /api/v1/tokens`.
        timeout: seconds that one request may take.
    """

    def __init__(self, url: str, token: str, timeout: float = 60.0):
        headers = {"authorization": f"Bearer {token}"}
        self._client = httpx2.Client(base_url=url.rstrip("/"), headers=headers, timeout=timeout)

    def __enter__(self) -> "StudioClient":
        return self

    def __exit__(self, *error: object) -> None:
        self._client.close()

    def upload(self, data: bytes, modality: Modality) -> str:
        """Have a medium there; its SHA-256.

        Raises:
            StudioError: if it is refused.
        """
        found = self._send("POST", "/api/v1/media", params={"kind": modality}, content=data)
        return str(found.json()["sha256"])

    def fetch(self, url: str, modality: Modality) -> str:
        """Have the studio fetch a medium, where it was started with `--remote-media`; its SHA-256.

        Raises:
            StudioError: if it is refused.
        """
        found = self._send("POST", "/api/v1/media/remote", json={"kind": modality, "url": url})
        return str(found.json()["sha256"])

    def add(self, prompts: Iterable[Prompt], completions: Iterable[Completion] = ()) -> None:
        """Have prompts with their completions there; their media are uploaded before.

        Raises:
            StudioError: if one is refused.
        """
        by_prompt: dict[str, list[dict[str, Any]]] = {}
        for one in completions:
            told = {"id": one.id, "text": one.text, "policy": one.policy, "finished": one.finished}
            by_prompt.setdefault(one.prompt_id, []).append(told)
        rows = [{**prompt_to_json(prompt), "completions": by_prompt.get(prompt.id, [])} for prompt in prompts]
        for begin in range(0, len(rows), AT_ONCE):
            self._send("POST", "/api/v1/prompts", json={"prompts": rows[begin : begin + AT_ONCE]})

    def make_project(self, settings: Mapping[str, Any], counts: Mapping[str, int] | None = None) -> str:
        """A new project; its slug.

        Raises:
            StudioError: if it is refused.
        """
        told = {"settings": dict(settings), "counts": dict(counts or {})}
        return str(self._send("POST", "/api/v1/projects", json=told).json()["slug"])

    def order(self, slug: str, scores: Mapping[str, Sequence[float]], **how: Any) -> int:
        """Have a project ask first where a reward model learns most; how many comparisons were put in order.

        Args:
            slug: the project's.
            scores: of completions, by each head: `reward.score_completions(...) * reward.spread`.
            how: `policy` (`bald`, `disagreement`, `random`), `random_share`, `seed`.

        Raises:
            StudioError: if it is refused.
        """
        told = {"scores": {name: list(several) for name, several in scores.items()}, **how}
        return int(self._send("POST", f"/api/v1/projects/{quote(slug, safe='')}/order", json=told).json()["moved"])

    def projects(self) -> Sequence[Mapping[str, Any]]:
        """All projects, with how far they are."""
        found = self._send("GET", "/api/v1/projects").json()["projects"]
        assert isinstance(found, list)
        return found

    def answers(self, after: int = 0) -> Iterator[tuple[int, Answer]]:
        """All answers as they came, each with the number to go on after.

        Raises:
            StudioError: if it is refused.
        """
        with self._stream("/api/v1/answers", params={"after": after}) as response:
            for row in _rows(response):
                said = feedback_from_json(row["kind"], row["said"])
                told = (row["seconds"], row["amends"], row["count"])
                yield row["seq"], Answer(row["key"], row["annotator"], row["annotator_kind"], said, *told)

    def export(self, name: str, to: Path) -> None:
        """Write all feedback to a file of a format (docs/exchange.md), which is whole or not there.

        Raises:
            StudioError: if it is refused, or breaks off.
        """
        with self._stream(f"/api/v1/export/{quote(name, safe='')}") as response, whole(to) as file:
            for piece in response.iter_bytes():
                file.write(piece)

    def medium(self, sha256: str, to: Path) -> None:
        """Write a medium to a file, which is whole or not there.

        Raises:
            StudioError: if there is none.
        """
        with whole(to) as file:
            file.write(self._send("GET", f"/media/{sha256}").content)

    def _send(self, method: str, path: str, **told: Any) -> httpx2.Response:
        try:
            response = self._client.request(method, path, **told)
        except httpx2.TransportError as away:
            raise StudioError(self._away(away)) from away
        if response.status_code >= 400:
            raise StudioError(f"{method} {path}: {response.status_code}: {response.text[:500]}")
        return response

    @contextmanager
    def _stream(self, path: str, **told: Any) -> Iterator[httpx2.Response]:
        try:
            with self._client.stream("GET", path, **told) as response:
                if response.status_code >= 400:
                    response.read()
                    raise StudioError(f"GET {path}: {response.status_code}: {response.text[:500]}")
                yield response
        except httpx2.TransportError as away:
            raise StudioError(self._away(away)) from away

    def _away(self, error: Exception) -> str:
        return f"{self._client.base_url} cannot be reached ({error}); is the studio running?"


def _rows(response: httpx2.Response) -> Iterator[Mapping[str, Any]]:
    lines = Lines()
    for piece in response.iter_bytes():
        yield from map(json.loads, lines.add(piece))
    yield from map(json.loads, lines.rest())
