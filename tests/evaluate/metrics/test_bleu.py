import importlib.util
import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.evaluate.metrics.bleu import bleu

words = st.lists(st.sampled_from(["see", "the", "number", "it", "is", "7"]), min_size=5, max_size=9).map(" ".join)
texts = st.lists(st.tuples(words, st.lists(words, min_size=1, max_size=3)), min_size=2, max_size=6)


def plain_bleu(hypotheses, references):
    """Papineni et al. 2002, section 2.3, corpus level; None where an n-gram order has no match."""
    matches, totals = [0] * 4, [0] * 4
    length = closest = 0
    for text, known in zip(hypotheses, references, strict=True):
        tokens, options = text.split(), [one.split() for one in known]
        length += len(tokens)
        closest += min((abs(len(one) - len(tokens)), len(one)) for one in options)[1]
        for n in range(1, 5):
            grams = Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))
            most = Counter()
            for one in options:
                most |= Counter(tuple(one[i : i + n]) for i in range(len(one) - n + 1))
            matches[n - 1] += sum(min(count, most[gram]) for gram, count in grams.items())
            totals[n - 1] += sum(grams.values())
    if 0 in matches:
        return None
    brevity = 1.0 if length > closest else math.exp(1 - closest / length)
    return 100 * brevity * math.exp(sum(math.log(m / t) for m, t in zip(matches, totals, strict=True)) / 4)


@settings(max_examples=60)
@given(texts)
def test_it_agrees_with_a_plain_reading_also_with_ragged_references(found):
    hypotheses, references = [text for text, _ in found], [known for _, known in found]
    plain = plain_bleu(hypotheses, references)
    score = bleu(hypotheses, references)
    assert 0 <= score <= 100
    if plain is not None:
        assert score == pytest.approx(plain, abs=1e-6)
    assert score == pytest.approx(bleu(hypotheses[::-1], references[::-1]))


@settings(max_examples=20)
@given(texts)
def test_a_perfect_text_has_100(found):
    hypotheses = [text for text, _ in found]
    assert bleu(hypotheses, [[*known, text] for text, known in found]) == pytest.approx(100)


def test_chinese_is_cut_into_characters():
    text, near = "图片里的数字是四十七。", "图片里的数字是四十八。"
    assert bleu([text], [[text]], "zh-CN") == 100
    assert 50 < bleu([near], [[text]], "zh") < 100
    assert bleu([near], [[text]], "en") == 0  # one "word", and not the right one


@pytest.mark.parametrize(("language", "module"), [("ja", "MeCab"), ("ko", "mecab_ko")])
def test_languages_that_need_mecab_say_so(language, module):
    if importlib.util.find_spec(module):
        assert bleu(["a b c d e"], [["a b c d e"]], language) == 100
        return
    with pytest.raises(RuntimeError, match=rf"pip install 'sacrebleu\[{language}\]'"):
        bleu(["a"], [["a"]], language)


@pytest.mark.parametrize(
    ("hypotheses", "references", "says"),
    [
        ([], [], "at least one"),
        (["a"], [], "1 hypotheses for 0"),
        (["a", "b"], [["a"], []], r"references\[1\] is empty"),
        (["a"], ["a"], r"references\[0\] is a string"),
    ],
)
def test_wrong_input_is_refused(hypotheses, references, says):
    with pytest.raises(ValueError, match=says):
        bleu(hypotheses, references)
