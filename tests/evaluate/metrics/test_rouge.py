import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from harken.evaluate.metrics.rouge import Tokenizer, rouge_l

ascii_text = st.text(st.characters(max_codepoint=126), max_size=40)
any_text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=25)


def plain_rouge_l(tokens, known):
    """Lin 2004, section 3.1: F1 from the longest common subsequence, found by trying every subset's length."""

    def common(a, b):
        if not a or not b:
            return 0
        if a[0] == b[0]:
            return 1 + common(a[1:], b[1:])
        return max(common(a[1:], b), common(a, b[1:]))

    length = common(tuple(tokens), tuple(known))
    return 0.0 if length == 0 else 2 * length / (len(tokens) + len(known))


def test_chinese_scores_where_rouge_score_alone_gives_nothing():
    said, known = "我看到数字四十七。", "图片里的数字是四十七。"
    assert RougeScorer(["rougeL"]).score(known, known)["rougeL"].fmeasure == 0
    assert rouge_l([known], [[known]], "zh") == pytest.approx(100)
    assert rouge_l([said], [[known]], "zh") == pytest.approx(100 * 2 * 5 / (8 + 10))


@pytest.mark.parametrize(
    ("language", "text", "tokens"),
    [
        ("en", "It's 47, I see_it!", ["it", "s", "47", "i", "see", "it"]),
        ("zh", "数字是47。OK", ["数", "字", "是", "47", "ok"]),
        ("zh", "数字是４７", ["数", "字", "是", "47"]),
        ("ja", "これは7です", ["こ", "れ", "は", "7", "で", "す"]),
        ("ko", "숫자는 칠", ["숫자는", "칠"]),
        ("de", "Größe: zwölf", ["größe", "zwölf"]),
        ("hi", "संख्या सात", ["संख्या", "सात"]),
        ("th", "เลขเจ็ด 7", ["เ", "ล", "ข", "เ", "จ็", "ด", "7"]),
    ],
)
def test_tokens_by_script(language, text, tokens):
    assert Tokenizer(language).tokenize(text) == tokens


@settings(max_examples=80)
@given(ascii_text, ascii_text)
def test_on_ascii_it_is_what_rouge_score_gives(said, known):
    expected = RougeScorer(["rougeL"]).score(known, said)["rougeL"].fmeasure
    assert rouge_l([said], [[known]]) == pytest.approx(100 * expected)


short = st.text("ab 数字七", max_size=9)


@settings(max_examples=60)
@given(short, st.lists(short, min_size=1, max_size=3))
def test_it_agrees_with_a_plain_reading_against_the_best_reference(said, known):
    cut = Tokenizer("zh").tokenize
    best = max(plain_rouge_l(cut(said), cut(one)) for one in known)
    assert rouge_l([said], [known], "zh") == pytest.approx(100 * best)


@settings(max_examples=60)
@given(any_text, any_text)
def test_perfect_is_100_in_any_script_and_order_of_texts_does_not_matter(one, other):
    score = rouge_l([one], [[other, one]])
    assert score == pytest.approx(100 if Tokenizer().tokenize(one) else 0)
    assert rouge_l([one, other], [[other], [one]]) == pytest.approx(rouge_l([other, one], [[one], [other]]))


def test_wrong_input_is_refused():
    with pytest.raises(ValueError, match="is empty"):
        rouge_l(["a"], [[]])
