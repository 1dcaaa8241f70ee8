"""One catalogue a language: the same keys with the same gaps, and a word for everything that a page says."""

import re
from pathlib import Path

import pytest

import harken.studio
from harken.studio.words.speak import LANGUAGES, catalogue

HERE = Path(harken.studio.__file__).parent
SOURCES = [*HERE.glob("templates/*.html"), *HERE.glob("static/**/*.js"), *HERE.glob("pages/*.py")]
SAID = re.compile(r"""\bt\(\s*["']([a-z0-9_.]+)["']\s*[,)]""")
MADE = re.compile(r"""\bt\(\s*(?:`([a-z0-9_.]+)\.\$\{|["']([a-z0-9_.]+)\.["'] [+~])""")
GAP = re.compile(r"\{(\w+)\}")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_the_same_words_with_the_same_gaps(language):
    english, other = catalogue("en"), catalogue(language)
    assert set(other) == set(english)
    assert {key: sorted(GAP.findall(other[key])) for key in english} == {
        key: sorted(GAP.findall(english[key])) for key in english
    }
    assert all(text.strip() for text in other.values())


def test_there_is_a_word_for_whatever_a_page_says():
    said = {(path.name, key) for path in SOURCES for key in SAID.findall(path.read_text(encoding="utf-8"))}
    assert len(said) > 100
    assert {(name, key) for name, key in said if key not in catalogue("en")} == set()
    begun = {first or second for path in SOURCES for first, second in MADE.findall(path.read_text(encoding="utf-8"))}
    assert {"form", "question", "key"} <= begun
    for start in begun:
        assert any(key.startswith(f"{start}.") for key in catalogue("en")), start
