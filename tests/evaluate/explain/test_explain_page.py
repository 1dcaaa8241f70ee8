import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from harken.data.media.audio import encode_wav
from harken.data.media.image import decode, encode_png
from harken.evaluate.explain.page import Page, write_page
from harken.evaluate.explain.paint import AGAINST, FOR, overlay
from harken.evaluate.explain.shown import Explained, Map, Share, View, Word, longest_bars, signed
from harken.evaluate.report import Report, render

VOID = {"meta", "img", "link", "br", "input", "hr"}


class Nesting(HTMLParser):
    """Whether every element that begins also ends, in its turn."""

    def __init__(self):
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def parsed(html: str) -> Nesting:
    found = Nesting()
    found.feed(html)
    assert found.open == []
    return found


def explained(answer="It is <b>42</b>.") -> Explained:
    picture = np.full((8, 16, 3), 90, np.uint8)
    heat = overlay(picture, np.array([[1.0, -2.0]]))
    view = View(
        "Why the policy gave it",
        "policy",
        "nats a token",
        -0.25,
        -4.5,
        "\u22122.00 nats for all 8 tokens",
        (Share("picture", 3.0), Share("words", -1.5)),
        (("nothing", "\u22124.500"), ("picture + words", "\u22120.250")),
        (Map("Heat on the picture", heat, "strongest at the top right", "Heat adds up to +3.000."),),
        (Word("Which", 0.5, 1.0, 0.1), Word(" <one>?", -0.25, -0.5, 0.2)),
        "Heat adds up to +0.250.",
        ("Something could not be shown.",),
    )
    sound = encode_wav(np.zeros(800, np.float32), 8000)
    return Explained((encode_png(picture), sound, "Which <one>?"), answer, "the policy's own", "p1", (view,), "read")


def test_the_page_is_whole_and_loads_nothing(tmp_path):
    path = write_page(tmp_path / "new" / "page.html", Page("Why?", "On one prompt.", [explained()], "Grey is blank."))
    html = path.read_text()
    found = parsed(html)
    for said in ("Why?", "On one prompt.", "It is <b>42</b>.", "+3.000", "\u22121.500", "Grey is blank.", "p1"):
        assert said in found.text
    assert "Something could not be shown." in found.text
    assert "<b>42</b>" not in html
    assert not re.search(r"(src|href)=\"(?!data:|#)", html)
    assert "<script" not in html
    assert "default-src 'none'" in html
    assert html.count("<audio") == 1
    assert 'alt="strongest at the top right"' in html


def test_words_have_their_heat_in_a_title_and_in_a_table(tmp_path):
    html = write_page(tmp_path / "page.html", Page("Why?", "", [explained()])).read_text()
    assert 'title="+0.500 nats a token; 10.0 % of the attention"' in html
    rows = re.findall(r'<th scope="row" class="piece">(.*?)</th><td class="number">(.*?)</td>', html)
    assert rows == [("Which", "+0.500"), (" &lt;one&gt;?", "\u22120.250")]


def test_bars_have_one_scale_over_the_page_and_no_noise_looks_like_much(tmp_path):
    html = write_page(tmp_path / "page.html", Page("Why?", "", [explained()])).read_text()
    assert re.findall(r'fill (?:for|against)" style="width: ([\d.]+)%', html) == ["100.0", "50.0"]
    one = explained()
    faint = replace(one.views[0], scale="reward", shares=(Share("words", -0.01),))
    assert longest_bars([one, replace(one, views=(faint,))]) == {"policy": 3.0, "reward": 0.05}


def test_the_report_shows_them_too_and_without_them_is_as_it_was():
    report = Report("A run", explained=(explained(),), explained_note="Five of them.")
    html = render(report)
    assert "Why these answers" in parsed(html).text
    assert "Five of them." in html
    assert "explained" not in render(Report("A run"))


def test_heat_is_orange_for_and_blue_against():
    picture = np.zeros((8, 16, 3), np.uint8)
    drawn = decode(overlay(picture, np.array([[1.0, -1.0]]))).astype(int)
    left, right = drawn[:, : drawn.shape[1] // 2].mean((0, 1)), drawn[:, drawn.shape[1] // 2 :].mean((0, 1))
    assert np.abs(left - np.array(FOR)).max() < 20
    assert np.abs(right - np.array(AGAINST)).max() < 20
    faint = decode(overlay(picture, np.array([[1.0, -1.0]]), strength=0.0)).astype(int)
    assert len(np.unique(faint)) == 1
    plain = decode(overlay(picture, np.zeros((2, 2))))
    assert np.array_equal(plain, faint)


@pytest.mark.parametrize("size", [(8, 16), (8, 300), (480, 640), (3, 2), (1000, 10)])
def test_pictures_of_any_size_are_shown(size):
    drawn = decode(overlay(np.zeros((*size, 3), np.uint8), np.ones((1, 1))))
    assert 1 <= max(drawn.shape[:2]) <= 448


def test_numbers_are_read_with_their_sign():
    assert [signed(x) for x in (0.5, -0.25, 0.00001, -0.00001)] == ["+0.500", "\u22120.250", "0.000", "0.000"]
