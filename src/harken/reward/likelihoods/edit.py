"""What an edit says of scores: the revision is better than the original, the more so the more was changed."""

import re
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


def log_likelihood(
    scores: Float[Tensor, "N K"], revision: Int[Tensor, " M"], original: Int[Tensor, " M"]
) -> Float[Tensor, "M K"]:
    """Log-likelihood for each of K members that M revisions beat their originals (Bradley and Terry 1952).

    Not weighted: the caller multiplies by `edit_weight`, as it does with the weights of other statements.

    Args:
        scores: of N completions and revisions, (N, K).
        revision: row of the corrected text, (M,).
        original: row of the text that was corrected, (M,).
    """
    return logsigmoid(scores[revision] - scores[original])
