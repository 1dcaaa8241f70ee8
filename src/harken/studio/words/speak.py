"""Which language a reader wants, and its words."""

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

LANGUAGES = ("en", "zh")
WANTED = re.compile(r"\s*([a-zA-Z*]+)(?:-[\w-]+)?\s*(?:;\s*q=([01](?:\.\d{0,3})?))?\s*")


@cache
def catalogue(language: str) -> Mapping[str, str]:
    """All words of a language, by key."""
    found = json.loads((Path(__file__).parent / f"{language}.json").read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def chosen(accepts: str, own: object = None) -> str:
    """The language: a reader's own choice, or what their browser would rather have (RFC 9110, 12.5.4)."""
    if own in LANGUAGES:
        return str(own)
    best, found = 0.0, LANGUAGES[0]
    for one in accepts.split(",")[:20]:
        match = WANTED.fullmatch(one)
        if match is None or match[1].lower() not in LANGUAGES:
            continue
        weight = float(match[2] or 1)
        if weight > best:
            best, found = weight, match[1].lower()
    return found


def speak(language: str, key: str, **values: object) -> str:
    """One word or sentence."""
    found = catalogue(language)[key]
    return re.sub(r"\{(\w+)\}", lambda match: str(values.get(match[1], "")), found)
