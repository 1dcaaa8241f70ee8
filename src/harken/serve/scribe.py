"""Tokens to text as they come: no letter is cut in two, and no part of a stop text is shown."""

from collections.abc import Sequence
from typing import Any

INCOMPLETE = 3  # a letter of UTF-8 that lacks its end has at most so many bytes, each shown as a replacement
REPLACEMENT = "\ufffd"


class Scribe:
    """The text of one completion while it is written.

    What `add` and `end` give, joined, is the whole text, however it is cut into tokens; it is what
    `Processor.decode` makes of the ids, up to the first stop text.

    Args:
        tokenizer: Hugging Face's.
        opening: what the chat template puts before an answer; left out.
        stop: texts that end the completion.
        keep_stop: whether the stop text stays at the end.
    """

    def __init__(self, tokenizer: Any, opening: str = "", stop: Sequence[str] = (), keep_stop: bool = False):
        self._tokenizer, self._opening = tokenizer, opening
        self._stop, self._keep_stop = tuple(stop), keep_stop
        self._ids: list[int] = []
        # Tokens are decoded from `_start` on, as some tokenizers write a token by what stands before it; `_shown`
        # letters of that text were handed on.
        self._start = self._read = self._shown = 0
        self._held = ""
        self._begun = not opening
        self.stopped = False

    def add(self, token: int) -> str:
        """What is certain of the text after one more token; `stopped` says whether a stop text ended it."""
        self._ids.append(token)
        text = self._decoded(self._start)
        whole = text
        for _ in range(INCOMPLETE):
            whole = whole.removesuffix(REPLACEMENT)
        fresh, self._shown = whole[self._shown :], max(self._shown, len(whole))
        if whole == text and fresh:
            self._start, self._read = self._read, len(self._ids)
            self._shown = len(self._decoded(self._start))
        return self._pass_on(fresh, last=False)

    def end(self) -> str:
        """The rest, when no token comes any more."""
        return self._pass_on(self._decoded(self._start)[self._shown :], last=True)

    def _decoded(self, start: int) -> str:
        text: str = self._tokenizer.decode(self._ids[start:], skip_special_tokens=True)
        return text

    def _pass_on(self, fresh: str, last: bool) -> str:
        if self.stopped:
            return ""
        self._held += fresh
        if not self._begun:
            if not last and len(self._held) < len(self._opening) and self._opening.startswith(self._held):
                return ""
            self._held, self._begun = self._held.removeprefix(self._opening), True
        found = [(at + len(stop), at) for stop in self._stop if (at := self._held.find(stop)) >= 0]
        if found:
            end, start = min(found)  # the stop text that is complete first, and of those the longest
            self.stopped = True
            return self._held[: end if self._keep_stop else start]
        keep = 0 if last else max((_overlap(self._held, stop) for stop in self._stop), default=0)
        cut = len(self._held) - keep
        out, self._held = self._held[:cut], self._held[cut:]
        return out


def _overlap(text: str, stop: str) -> int:
    """How many letters at the end of a text could be the beginning of a stop text."""
    longest = min(len(stop) - 1, len(text))
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)
