"""ROUGE-L, by rouge-score, with a tokenizer that keeps every script."""

import unicodedata
from collections.abc import Sequence
from statistics import fmean

from harken.evaluate.metrics.bleu import check_references

# Scripts written without spaces whose characters carry meaning one by one: kana, Han and its extensions, bopomofo.
CHARACTERS = ((0x3005, 0x3007), (0x3040, 0x312F), (0x31A0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF),
              (0xF900, 0xFAFF), (0x20000, 0x3FFFF))  # fmt: skip
UNSPACED = frozenset({"th", "lo", "km", "my"})


class Tokenizer:
    """Words in lower case, but single characters of scripts that put no spaces between words.

    rouge-score's own keeps a-z and 0-9 only: Chinese, Greek or Arabic become nothing, and score 0. On ASCII
    text both give the same tokens.

    Attributes:
        by_letter: whether all letters outside ASCII are taken one by one (Thai, Lao, Khmer, Burmese).
    """

    def __init__(self, language: str = "en") -> None:
        self.by_letter = language.lower().replace("_", "-").split("-")[0] in UNSPACED

    def tokenize(self, text: str) -> list[str]:
        """The tokens of a text; accents and vowel signs stay with their letter."""
        tokens: list[str] = []
        joins = False  # whether the next letter continues the last token
        for character in unicodedata.normalize("NFKC", text).lower():
            kind = unicodedata.category(character)[0]
            alone = self.stands_alone(character)
            if tokens and (kind == "M" or (kind in "LN" and joins and not alone)):
                tokens[-1] += character
            elif kind in "LN":
                tokens.append(character)
                joins = not alone
            else:
                joins = False
        return tokens

    def stands_alone(self, character: str) -> bool:
        """Whether this character is a token by itself."""
        if self.by_letter and not character.isascii():
            return True
        return any(low <= ord(character) <= high for low, high in CHARACTERS)


def rouge_l(hypotheses: Sequence[str], references: Sequence[Sequence[str]], language: str = "en") -> float:
    """Mean ROUGE-L F1 in 0..100, each text against its best reference (Lin 2004).

    Args:
        hypotheses: one text a prompt.
        references: one or more a prompt.
        language: its tag; Chinese and Japanese characters are tokens in any language.

    Raises:
        ValueError: no texts, unequal lengths, or a text without a reference.
    """
    check_references(hypotheses, references)
    # With it comes nltk, and with that scikit-learn and pandas: most of a second that no run should wait for.
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"], tokenizer=Tokenizer(language))
    best = [
        scorer.score_multi(list(known), text)["rougeL"].fmeasure
        for text, known in zip(hypotheses, references, strict=True)
    ]
    return 100 * fmean(best)
