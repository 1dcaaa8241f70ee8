"""Text from tokens as they come, against a plain reading of the whole."""

import pytest
from families import pieces
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.serve.scribe import Scribe


class Letters:
    """A tokenizer whose tokens are bytes, so that any cut is possible."""

    def decode(self, ids, skip_special_tokens=True):
        return bytes(ids).decode("utf-8", errors="replace")


BPE = pieces.tokenizer({})
EMOJI = "naïve 数字 \U0001f469\u200d\U0001f4bb ok"


def told(scribe, ids):
    """Each piece, up to the end or a stop text."""
    out = []
    for token in ids:
        out.append(scribe.add(token))
        if scribe.stopped:
            return out
    return [*out, scribe.end()]


def cut(text, stops, keep):
    """Letter by letter: the first place where a stop text is complete, and of several the longest."""
    for end in range(1, len(text) + 1):
        ending = [stop for stop in stops if text[:end].endswith(stop)]
        if ending:
            return text[: end if keep else end - max(map(len, ending))]
    return text


@given(st.text(max_size=20))
def test_a_letter_is_told_whole(text):
    told_of = told(Scribe(Letters()), text.encode("utf-8", errors="replace"))
    assert "".join(told_of) == text.encode("utf-8", errors="replace").decode()
    # The only pieces with a replacement are those of a text that has one.
    assert "\ufffd" in text or not any("\ufffd" in piece for piece in told_of)


@given(st.lists(st.integers(0, 255), max_size=30))
def test_bytes_that_are_no_text_come_out_as_the_decoder_has_them(ids):
    assert "".join(told(Scribe(Letters()), ids)) == Letters().decode(ids)


@given(st.lists(st.integers(4, len(BPE) - 1), max_size=40))
def test_any_ids_of_a_real_tokenizer(ids):
    assert "".join(told(Scribe(BPE), ids)) == BPE.decode(ids, skip_special_tokens=True)


def test_letters_come_with_their_last_byte():
    ids = BPE(EMOJI, add_special_tokens=False)["input_ids"]
    assert len(ids) > len(EMOJI)  # some letters are several tokens
    parts = told(Scribe(BPE), ids)
    assert "".join(parts) == EMOJI
    assert not any("\ufffd" in part for part in parts)
    assert sum(bool(part) for part in parts) >= len(EMOJI) - 1  # and are not kept longer than need be


@settings(max_examples=300)
@given(
    st.text("abcé", max_size=14),
    st.lists(st.text("abcé", min_size=1, max_size=4), max_size=3),
    st.booleans(),
    st.text("ab", max_size=3),
)
def test_stop_texts_wherever_tokens_are_cut(text, stops, keep, opening):
    scribe = Scribe(Letters(), opening, stops, keep)
    parts = told(scribe, (opening + text).encode())
    expected = cut(text, stops, keep)
    assert "".join(parts) == expected
    assert scribe.stopped == any(stop in text for stop in stops)


@given(st.text("abc", max_size=14), st.text("abc", min_size=1, max_size=4))
def test_no_more_is_held_back_than_may_become_a_stop_text(text, stop):
    scribe, given_out = Scribe(Letters(), stop=[stop]), ""
    for n, byte in enumerate(text.encode(), 1):
        given_out += scribe.add(byte)
        if scribe.stopped:
            return
        held = text[len(given_out) : n]
        assert len(held) < len(stop)
        assert stop.startswith(held)


@pytest.mark.parametrize(("text", "expected"), [("<think></think>yes", "yes"), ("<think>no", "<think>no"), ("", "")])
def test_what_the_template_puts_before_an_answer_is_left_out(text, expected):
    assert "".join(told(Scribe(Letters(), "<think></think>"), text.encode())) == expected
