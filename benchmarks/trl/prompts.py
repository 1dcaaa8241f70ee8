"""Prompts with a picture, and answers to them, each of an exact number of tokens. A word is a token.

Every step has prompts of its own, as in a first epoch: what a side remembers of a prompt from the step before saves it
nothing.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.trl.rows import SAMPLED, Row

IMAGE_TOKENS = 64
SIDE = 64
"""Pixels."""
TEMPLATE_TOKENS = 5
"""`<|im_start|> user ... <|im_end|> <|im_start|> assistant`."""
COMMON_WORDS = 1_000
"""Texts are made of the first so many words, with either vocabulary."""


@dataclass(frozen=True)
class Item:
    """One prompt and its answers, as both sides are given it.

    Attributes:
        name: unique.
        text: the words beside the picture.
        picture: (64, 64, 3), 0 to 255.
        chosen: the better answer, or the demonstration; one token is left for its end of turn.
        rejected: the worse answer.
    """

    name: str
    text: str
    picture: NDArray[np.uint8]
    chosen: str
    rejected: str


def _words(rng: np.random.Generator, count: int) -> str:
    return " ".join(f"w{n}" for n in rng.integers(0, COMMON_WORDS, count))


def item(index: int, row: Row, seed: int = 0) -> Item:
    """A prompt of `row.prompt_tokens` tokens, with two answers of `row.new_tokens`.

    Raises:
        ValueError: if the picture alone is longer.
    """
    words = row.prompt_tokens - IMAGE_TOKENS - TEMPLATE_TOKENS
    if words < 1:
        raise ValueError(f"a prompt with a picture has at least {IMAGE_TOKENS + TEMPLATE_TOKENS + 1} tokens")
    rng = np.random.default_rng([seed, index])
    picture = rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    return Item(
        f"p{index}", _words(rng, words), picture, _words(rng, row.new_tokens - 1), _words(rng, row.new_tokens - 1)
    )


def items(row: Row, steps: int, seed: int = 0) -> list[Item]:
    """Prompts of so many steps, no two alike."""
    return [item(index, row, seed) for index in range(row.prompts * steps)]


def completions_per_step(row: Row) -> int:
    """How many completions go through the policy in one step."""
    if row.method in SAMPLED:
        return row.prompts * row.group
    return 2 * row.prompts if row.method.startswith("dpo") else row.prompts
