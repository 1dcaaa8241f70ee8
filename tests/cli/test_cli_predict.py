"""`harken predict`: a line a prompt, for models of heads alone and for heads beside language; mistakes in words."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from harken.cli.predict import predict
from harken.cli.predicting import _write
from harken.models.load import load_model

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))
sys.path.insert(0, str(Path(__file__).parents[1] / "pipeline"))

from shades import HEADS, SHADES, SPEAKING, prepared, run, write_prompts
from tiny import tiny_model

PAIR = {"pair": {"name": "contrast", "dimensions": 4}, "same": {"name": "match"}}
NUMBERED = {"number": {"name": "classify", "classes": 3}, "told": {"name": "discriminate"}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Two models: `alone` of heads alone, `beside` with a language head."""
    made = tmp_path_factory.mktemp("models")
    facts = {"facts": lambda n, kind: {"shade": SHADES[kind], "light": float(kind), "number": kind}}
    write_prompts(made, **facts)
    write_prompts(made, 5, "test", seed=1, **facts)
    sft = {"data": {"steps": 30, "batch": 12}}
    run(prepared(made, model={"heads": {**HEADS, **PAIR, **NUMBERED}}, sft=sft), made / "alone", only=("sft",))
    spoken = {"heads": {"answer": SPEAKING, **HEADS}, "fuse": {"name": "joined"}}
    run(prepared(made, model=spoken, sft=sft), made / "beside", only=("sft",))
    return made


def told(model: Path, prompts: Path, out: Path, batch: int = 64) -> list[dict]:
    predict(str(model), prompts, out, batch, "auto")
    return [json.loads(line) for line in out.read_text().splitlines()]


def test_every_head_has_its_say(folder, tmp_path):
    lines = told(folder / "alone" / "sft", folder / "test.jsonl", tmp_path / "new" / "said.jsonl")
    assert [line["id"] for line in lines] == [f"test{n}" for n in range(5)]
    for n, line in enumerate(lines):
        heads = line["heads"]
        assert set(heads) == {"shade", "light", "pair", "same", "number"}, "a discriminator is there to be misled"
        assert set(heads["shade"]["probabilities"]) == set(SHADES)
        assert sum(heads["shade"]["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert heads["shade"]["class"] == max(SHADES, key=heads["shade"]["probabilities"].__getitem__)
        assert heads["number"]["class"] in (0, 1, 2) and len(heads["number"]["probabilities"]) == 3
        assert len(heads["light"]["values"]) == 1
        assert (heads["pair"]["cosine"] is None) == bool(n % 3), "every third prompt has a sound"
        assert (heads["same"]["probability"] is None) == bool(n % 3), "likewise"
        assert n % 3 or 0 <= heads["same"]["probability"] <= 1
    assert [line["heads"]["shade"]["class"] for line in lines].count("dark") == 2
    assert not (tmp_path / "new" / "said.jsonl.writing").exists()


@pytest.mark.parametrize("name", ["alone", "beside"])
def test_batches_do_not_matter_and_facts_are_not_needed(folder, tmp_path, name):
    write_prompts(tmp_path, 5, "test", seed=1, facts=lambda n, kind: {})
    one, two = (told(folder / name / "sft", tmp_path / "test.jsonl", tmp_path / f"{n}.jsonl", n) for n in (5, 2))
    for first, second in zip(one, two, strict=True):
        assert first["heads"]["light"]["values"] == pytest.approx(second["heads"]["light"]["values"], abs=1e-5)
        shares = second["heads"]["shade"]["probabilities"]
        assert first["heads"]["shade"]["probabilities"] == pytest.approx(shares, abs=1e-5)


def test_what_is_no_plain_file_is_not_written_over(folder, tmp_path):
    (tmp_path / "there").write_text("precious")
    (tmp_path / "link").symlink_to(tmp_path / "there")
    (tmp_path / "astray").symlink_to(tmp_path / "nowhere")
    for out in (Path("/dev/full"), tmp_path, tmp_path / "link", tmp_path / "astray"):
        with pytest.raises(ValueError, match="is there and no plain file"):
            _write(["a line"], 1, out)
    assert (tmp_path / "there").read_text() == "precious"


def test_without_a_file_the_lines_are_on_the_screen(folder, capsys):
    predict(str(folder / "alone" / "sft"), folder / "test.jsonl", None, 64, "float32")
    assert [json.loads(line)["id"] for line in capsys.readouterr().out.splitlines()] == [f"test{n}" for n in range(5)]


def refused(capsys, *arguments) -> str:
    with pytest.raises(typer.Exit) as ended:
        predict(*arguments)
    assert ended.value.exit_code == 2
    return capsys.readouterr().err


def test_mistakes_are_answered_in_words(folder, tmp_path, capsys):
    model, asked, out = str(folder / "alone" / "sft"), folder / "test.jsonl", tmp_path / "said.jsonl"
    assert "there is no folder" in refused(capsys, "./nowhere", asked, out, 64, "auto")
    assert "no such file" in refused(capsys, model, tmp_path / "none.jsonl", out, 64, "auto")
    assert "--dtype is one of" in refused(capsys, model, asked, out, 64, "half")
    tiny_model().save(tmp_path / "plain")
    assert load_model(tmp_path / "plain").width == 32
    said = refused(capsys, str(tmp_path / "plain"), asked, out, 64, "auto")
    assert "without heads beside language; harken serve" in said
    assert not out.exists()


@pytest.mark.slow
def test_its_help_teaches():
    environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
    code = "from harken.cli.main import run; run()"
    done = subprocess.run(
        [sys.executable, "-c", code, "predict", "--help"], capture_output=True, text=True, check=True, env=environment
    )
    for words in ("harken predict runs/digits/sft prompts.jsonl --out said.jsonl", '"probabilities"', "docs/family.md"):
        assert words in done.stdout
