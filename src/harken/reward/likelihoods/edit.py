"""What an edit says of scores: the revision is better than the original, the more so the more was changed."""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import logsigmoid

HAN_KANA = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
WORD = re.compile(rf"[{HAN_KANA}]|[^\W{HAN_KANA}]+|[^\w\s]")
"""A word, a mark of punctuation, or one character of a script that is written without spaces."""


def edit_weight(original: str, revision: str) -> float:
    """How much of a text was changed, by words: 0 nothing, 1 everything.

    1 - 2 m / (n + n'), with n and n' words and m of them matched in order (Ratcliff and Obershelp 1988, as
    `difflib` has it). White space does not count; capitals and punctuation do.
    """
    return 1.0 - SequenceMatcher(None, WORD.findall(original), WORD.findall(revision), autojunk=False).ratio()


def changed_spans(original: Sequence[int], revision: Sequence[int]) -> list[tuple[int, int, int, int]]:
    """Where token ids differ: (start, end) in the original and (start, end) in the revision, of each changed span."""
    found = SequenceMatcher(None, original, revision, autojunk=False).get_opcodes()
    return [(i, j, k, m) for tag, i, j, k, m in found if tag != "equal"]


def log_likelihood(revision: Float[Tensor, "M K"], original: Float[Tensor, "M K"]) -> Float[Tensor, "M K"]:
    """Log-likelihood for each of K members that M revisions beat their originals (Bradley and Terry 1952).

    Not weighted: the caller multiplies by `edit_weight`, as it does with the weights of other statements.

    Args:
        revision: scores of the corrected texts, (M, K).
        original: scores of the texts that were corrected, (M, K).
    """
    return logsigmoid(revision - original)


def span_log_likelihood(
    revision: Float[Tensor, "N T1 K"], original: Float[Tensor, "N T1 K"], spans: Int[Tensor, "S 5"]
) -> Float[Tensor, "S K"]:
    """Log-likelihood, for each of K members, that each changed span adds more to the revision than to the original.

    What a span adds to a text is the score after it less the score before it, so that all that a text's tokens
    add is its score. Bradley and Terry between the two of each span: where a text was changed carries the weight.

    Args:
        revision: scores of the corrected texts after 0, 1, ... tokens, (M, T + 1, K).
        original: of the texts that were corrected, (M, T + 1, K).
        spans: row of M, start and end in the original, start and end in the revision (`changed_spans`), (S, 5).
    """
    m, start, end, new_start, new_end = spans.unbind(1)
    gain = revision[m, new_end] - revision[m, new_start]
    return logsigmoid(gain - (original[m, end] - original[m, start]))
