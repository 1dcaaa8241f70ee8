"""`harken parts`: all parts with what they do, every setting with its meaning, and mistakes in words."""

import pytest
from typer.testing import CliRunner

from harken.cli.main import VERBS
from harken.cli.options import console
from harken.cli.parts import app
from harken.data.meanings import settings_of
from harken.models.fusion import parts
from harken.models.fusion.parts import catalogue


@pytest.fixture(autouse=True)
def _wide(monkeypatch):
    monkeypatch.setattr(console, "_width", 200)


def said(*names: str) -> tuple[int, str]:
    found = CliRunner().invoke(app, list(names))
    return found.exit_code, " ".join(found.output.split())


def test_all_parts_are_listed_with_what_they_do():
    code, shown = said()
    assert code == 0
    for part in catalogue():
        assert f"{part.name}{' *' if part.default else ''} │ {part.says}" in shown
    rooms = {part.room for part in catalogue()}
    assert rooms == {*(f"model.encoders.{m}" for m in parts.ENCODERS), "model.fuse", "model.heads.NAME"}
    assert "parts" in VERBS


def test_every_setting_of_every_part_has_a_meaning():
    for part in catalogue():
        settings = settings_of(part.kind)
        assert settings
        assert not [f"{part.room} {part.name}.{setting.name}" for setting in settings if not setting.meaning]


def test_a_part_shows_its_own_settings_first_with_what_stands_where_nothing_is_said():
    code, shown = said("cnn")
    assert code == 0
    assert "model.encoders.image: {name: cnn}" in shown
    assert "depth │ 2 │ residual convolutions in each group" in shown
    assert shown.index("stem │ 24 │") < shown.index("height │ 8 │")
    assert "widths │ [64, 256, 256] │" in shown, "as a recipe says it"
    assert "width │ – │ of the streams and of the shared state" in said("model.fuse")[1]


def test_a_name_in_several_places_is_shown_in_each_and_a_place_shows_all_of_its_parts():
    shown = said("pretrained")[1]
    assert all(f"model.encoders.{m}: {{name: pretrained}}" in shown for m in ("image", "audio", "text"))
    assert said("audio.pretrained")[1].count("{name: ") == 1
    assert said("heads")[1].count("{name: ") == sum(part.room.startswith("model.heads") for part in catalogue())
    assert said("cnn", "image.cnn")[1].count("{name: cnn}") == 1


def test_a_name_that_is_none_is_answered_with_the_nearest():
    code, shown = said("gatd")
    assert code == 2
    assert "there is no part 'gatd'; did you mean 'gated'?" in shown
    assert "there are attention_pooling, audio, classify" in said("qqqq")[1]
    assert "{name: cnn}" in said("CNN")[1]
