"""Folders of weights that are not whole are refused in words."""

import json
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from harken.data.tensors import read_tensors
from harken.models.load import load_model

sys.path.insert(0, str(Path(__file__).parent))

from tiny import tiny_model


@pytest.fixture
def folder(tmp_path) -> Path:
    model = tiny_model()
    model.add_heads("score", 2, 0)
    model.save(tmp_path)
    return tmp_path


def test_missing_weights_are_named(folder):
    tensors = load_file(folder / "model.safetensors")
    gone = next(name for name in tensors if "layers.1" in name)
    save_file({n: t for n, t in tensors.items() if n != gone}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=rf"lacks 1 weights of .*{gone.replace('.', chr(92) + '.')}.*random"):
        load_model(folder)


def test_weights_of_another_shape_are_refused(folder):
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["intermediate_size"] += 8
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"do not fit its config.json"):
        load_model(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "heads.safetensors"])
@pytest.mark.parametrize("harm", ["cut", "noise", "empty"])
def test_a_broken_file_is_named(folder, name, harm):
    whole = (folder / name).read_bytes()
    broken = {"cut": whole[: len(whole) // 2], "noise": b"\xff" * 64, "empty": b""}[harm]
    (folder / name).write_bytes(broken)
    with pytest.raises(ValueError, match=rf"{folder}.*(broken|no whole safetensors).*copy or save it again"):
        load_model(folder)


def test_a_whole_file_is_read(folder):
    assert set(read_tensors(folder / "heads.safetensors")) == set(load_file(folder / "heads.safetensors"))
