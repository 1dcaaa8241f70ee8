import base64
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from harken.evaluate.embed import ENLARGED, data_uri, embed, media_type


def png(width, height):
    out = io.BytesIO()
    Image.new("L", (width, height)).save(out, format="PNG")
    return out.getvalue()


@settings(max_examples=40)
@given(st.integers(1, 300), st.integers(1, 300))
def test_small_pictures_grow_by_whole_numbers_and_keep_to_their_room(width, height):
    found = embed(png(width, height))
    if found.width:
        times = found.width // width
        assert (found.width, found.height) == (width * times, height * times)
        assert max(width, height) < 96
        assert times == 1 or (found.width <= ENLARGED[0] and found.height <= ENLARGED[1])
    else:
        assert max(width, height) >= 96


@pytest.mark.parametrize(("form", "kind"), [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("WEBP", "image/webp")])
def test_pictures_are_known_by_their_bytes(form, kind):
    out = io.BytesIO()
    Image.new("RGB", (9, 9)).save(out, format=form)
    assert media_type(out.getvalue()) == kind
    head, body = data_uri(out.getvalue()).split(",")
    assert head == f"data:{kind};base64" and base64.b64decode(body) == out.getvalue()


def test_words_stay_words():
    assert embed("<b>").text == "<b>" and embed("x").kind == "text"


@pytest.mark.parametrize("data", [b"", b"<svg onload=1>", b"RIFF"])
def test_other_bytes_are_refused(data):
    with pytest.raises(ValueError, match="cannot be put into a page"):
        embed(data)
