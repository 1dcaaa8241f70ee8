"""Numbers in front of a person: lines, a table, in both lights, on a phone, for those who cannot see them."""

import numpy as np
import pytest
from playwright.sync_api import expect

from harken.data.blobs import Blobs
from harken.data.media.numbers import encode_csv
from harken.types import Completion, Message, Numbers, Prompt, Text

OVER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
WIDE = {"viewport": {"width": 1200, "height": 800}}


@pytest.fixture(scope="module")
def slug(place) -> str:
    """An item with a series of two channels and one with a vector."""
    blobs, time = Blobs(place.folder / "blobs"), np.arange(300)
    waves = np.stack([5 + np.sin(time / 20), 60 + time / 10], 1)
    parts = {
        "series": (Numbers(blobs.put(encode_csv(waves, ["glucose", "heart rate"]), "numbers")), Text("Is it rising?")),
        "vector": (Numbers(blobs.put(b"Na,K\n140.5,4.1", "numbers")), Text("Is it high?")),
    }
    for name, shown in parts.items():
        place.store.add_prompts([Prompt(name, (Message("user", shown),))])
        place.store.add_completions([Completion(f"{name}{k}", name, f"{t}, {name}.", "m") for k, t in enumerate("ab")])
    return place.project(title="Numbers", policies=[], prompts=["series", "vector"], overlap=9)


@pytest.mark.parametrize("light", ["light", "dark"])
@pytest.mark.parametrize("screen", [WIDE, PHONE], ids=["wide", "phone"])
def test_lines_and_tables_are_seen_and_read(enter, slug, serious, tmp_path, screen, light):
    person = enter(name=f"{light}-{screen['viewport']['width']}", color_scheme=light, **screen)
    page = person.open(slug)
    seen = set()
    for number in (1, 2):
        numbers = page.get_by_role("group", name="Numbers 1")
        expect(numbers).to_be_visible()
        assert page.evaluate(OVER) <= 0
        assert serious(page) == []
        page.screenshot(path=tmp_path / f"{light}-{number}.png")
        cells = numbers.locator("td")
        if page.get_by_text("Is it rising?").count():
            seen.add("series")
            line = page.get_by_role("img", name="glucose, 300 steps: from 5 to")
            expect(line).to_be_visible()
            assert len(line.locator("polyline").get_attribute("points").split()) == 300
            expect(cells.first).to_be_hidden()
            numbers.locator("summary").click()
            expect(cells.first).to_be_visible()
            assert cells.count() == 200
            assert numbers.locator("th[scope=col]").all_text_contents() == ["Step", "glucose", "heart rate"]
        else:
            seen.add("vector")
            assert cells.all_text_contents() == ["140.5", "4.1"]
            assert numbers.locator("th").all_text_contents() == ["Na", "K"]
        person.press("1")
        person.all_sent()
        person.kept(number)
    assert seen == {"series", "vector"}
