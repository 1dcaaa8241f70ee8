"""The hidden preference of the demo's simulated annotators: true, complete, polite, short.

No one reads it but these annotators and the evaluation, which calls it the gold preference.
"""

import difflib
import random
import re

from harken.demo.manners import POLITE, RUDE
from harken.reward.rules import ended, right_answer
from harken.types import Completion, Prompt

TRUE, COMPLETE, KIND, UNKIND, BROKEN, WORDY = 3.0, 1.0, 1.0, -1.0, -1.0, -0.15
FREE_WORDS = 10
SPEAKS_OF = re.compile(r"\b(picture|voice|both|see|sum)\b", re.IGNORECASE)


def gold(prompt: Prompt, completion: Completion) -> float:
    """How much the annotators like an answer, before their noise: from about -4 to 5."""
    text = completion.text
    words, low = text.split(), text.lower()
    score = TRUE * right_answer(prompt, completion)
    score += COMPLETE * bool(SPEAKS_OF.search(text))
    score += KIND * any(phrase in low for phrase in POLITE)
    score += UNKIND * any(re.search(rf"\b{word}\b", low) is not None for word in RUDE)
    score += BROKEN * (1 - ended(prompt, completion))
    return score + WORDY * min(20, max(0, len(words) - FREE_WORDS))


def improve(prompt: Prompt, completion: Completion, rng: random.Random) -> str:
    """What an annotator would rather have read: of the prompt's references, the one nearest to the answer."""
    options = list(prompt.references)
    rng.shuffle(options)
    return max(options, key=lambda text: difflib.SequenceMatcher(None, text, completion.text).ratio())
