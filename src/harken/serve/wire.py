"""Answers as OpenAI's API writes them: one object, or a stream of chunks."""

import json
import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from harken.data.processor import Processor
from harken.serve.answering import Begun, Piece
from harken.serve.request import Request
from harken.types import JSON

DONE = b"data: [DONE]\n\n"


def sent(event: dict[str, JSON]) -> bytes:
    """One event of a stream."""
    return b"data: " + json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


@dataclass
class Writer:
    """The answer to one request, in OpenAI's words.

    Attributes:
        model: its name.
        request: what was asked.
        begun: the prompt as it was read.
        processor: tells tokens.
    """

    model: str
    request: Request
    begun: Begun
    processor: Processor
    id: str = field(default_factory=lambda: f"chatcmpl-{secrets.token_hex(12)}")
    created: int = field(default_factory=lambda: int(time.time()))
    written: int = 0

    def whole(self, pieces: Iterable[Piece]) -> dict[str, JSON]:
        """All pieces as one object."""
        by_index: list[list[Piece]] = [[] for _ in range(self.request.n)]
        for piece in pieces:
            by_index[piece.index].append(piece)
        choices: list[JSON] = [self._choice(index, mine) for index, mine in enumerate(by_index)]
        said: dict[str, JSON] = {**self._head("chat.completion"), "choices": choices, "usage": self.usage()}
        if self.request.token_ids:
            said["prompt_token_ids"] = list(self.begun.prompt)
        return said

    def first(self) -> list[dict[str, JSON]]:
        """The chunks that say who speaks, one an answer."""
        chunks = []
        for index in range(self.request.n):
            chunk = self._chunk(index, {"role": "assistant", "content": ""})
            if self.request.token_ids:
                chunk["prompt_token_ids"] = list(self.begun.prompt)
            chunks.append(chunk)
        return chunks

    def chunks(self, piece: Piece) -> list[dict[str, JSON]]:
        """A piece: what is new in one chunk, and why it ended in another."""
        self.written += len(piece.tokens)
        out = []
        if piece.text or piece.tokens:
            out.append(self._chunk(piece.index, {"content": piece.text}, piece.tokens))
        if piece.finish:
            out.append(self._chunk(piece.index, {}, finish=piece.finish))
        return out

    def last(self) -> list[dict[str, JSON]]:
        """The counts of tokens, where they are asked for."""
        if not self.request.usage:
            return []
        return [{**self._head("chat.completion.chunk"), "choices": [], "usage": self.usage()}]

    def usage(self) -> dict[str, JSON]:
        """How many tokens were read and written."""
        read = len(self.begun.prompt)
        return {"prompt_tokens": read, "completion_tokens": self.written, "total_tokens": read + self.written}

    def _head(self, kind: str) -> dict[str, JSON]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}

    def _choice(self, index: int, pieces: Sequence[Piece]) -> dict[str, JSON]:
        tokens = [token for piece in pieces for token in piece.tokens]
        self.written += len(tokens)
        text = "".join(piece.text for piece in pieces)
        choice: dict[str, JSON] = {
            "index": index,
            "message": {"role": "assistant", "content": text, "refusal": None},
            "logprobs": self._logprobs(tokens) if self.request.logprobs else None,
            "finish_reason": pieces[-1].finish,
        }
        if self.request.token_ids:
            choice["token_ids"] = [token for token, _ in tokens]
        return choice

    def _chunk(
        self, index: int, delta: dict[str, JSON], tokens: Sequence[tuple[int, float]] = (), finish: str | None = None
    ) -> dict[str, JSON]:
        logprobs = self._logprobs(tokens) if self.request.logprobs and tokens else None
        choice: dict[str, JSON] = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        if self.request.token_ids and tokens:
            choice["token_ids"] = [token for token, _ in tokens]
        chunk: dict[str, JSON] = {**self._head("chat.completion.chunk"), "choices": [choice]}
        if self.request.usage:
            chunk["usage"] = None
        return chunk

    def _logprobs(self, tokens: Sequence[tuple[int, float]]) -> dict[str, JSON]:
        content: list[JSON] = []
        for token, logprob in tokens:
            text = self.processor.tokenizer.decode([token])
            # A token that is part of a letter has bytes that no text shows.
            data: JSON = None if "\ufffd" in text else list(text.encode())
            content.append({"token": text, "logprob": logprob, "bytes": data, "top_logprobs": []})
        return {"content": content, "refusal": None}
