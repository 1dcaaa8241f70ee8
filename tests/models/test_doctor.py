"""The doctor: passes on every family, chooses the layout, and finds what is wrong where something is."""

import json
import subprocess
import sys

import pytest
import torch
from families.families import FAMILIES
from tiny import prompts, tiny_model

from harken.data.blobs import Blobs
from harken.data.processor import IntegrityError
from harken.models.doctor import Finding, examine, first_step
from harken.models.fusion.stream import Stream
from harken.models.load import load_model
from harken.models.model import Model


@pytest.fixture
def family(request, tmp_path) -> Model:
    torch.set_num_threads(1)
    FAMILIES[request.param][0](tmp_path)
    return load_model(tmp_path)


def verdicts(findings: list[Finding]) -> dict[str, str]:
    return {finding.check: finding.verdict for finding in findings}


@pytest.mark.slow
@pytest.mark.parametrize("family", sorted(FAMILIES), indirect=True)
def test_every_family_is_well(family, request):
    found = examine(family)
    failed = [finding for finding in found if finding.verdict == "failed"]
    assert not failed
    linear = request.node.callspec.params["family"] == "qwen3_5"
    assert family.layout == ("plain" if linear else "shared")
    assert verdicts(found)["shared prefix"] == ("plain" if linear else "ok")
    modalities = FAMILIES[request.node.callspec.params["family"]][1]
    for modality in modalities:
        assert verdicts(found)[f"{modality} placeholders"] == "ok"
    assert sum(check.endswith("is read") for check in verdicts(found)) >= len(modalities)


def test_harkens_own_family_is_well():
    found = verdicts(examine(tiny_model()))
    assert set(found.values()) == {"ok"}
    assert len(found) == 10


def blind(model: Model) -> None:
    """A model whose picture features are all the same: what a dropped picture looks like from outside."""
    encoder = model.trunk.model.encoders["image"]
    forward = encoder.forward

    def same(*media):
        stream = forward(*media)
        return Stream(torch.zeros_like(stream.states), stream.real)

    encoder.forward = same


def test_a_blind_model_is_found(tmp_path):
    model, blobs = tiny_model(), Blobs(tmp_path)
    blind(model)
    found = verdicts(examine(model))
    assert found["pixel_values is read"] == "failed"
    assert found["input_features is read"] == "ok"
    encoded = [model.processor.encode(prompt, blobs) for prompt in prompts(blobs)]
    with pytest.raises(IntegrityError, match="pixel_values is read: no"):
        first_step(model, encoded)
    assert verdicts(first_step(model, [encoded[0]])) == {"media are read": "absent", "shared prefix": "ok"}


def test_a_prefix_that_is_not_exact_is_found():
    """Attention that forgets the prompt in the shared layout alone: the plain layout is chosen."""
    model = tiny_model()
    decoder = model.trunk.get_decoder()
    forward = decoder.forward

    def forgetful(*args, position_ids=None, past_key_values=None, **kwargs):
        if past_key_values is not None and past_key_values.get_seq_length():
            position_ids = position_ids + 3
        return forward(*args, position_ids=position_ids, past_key_values=past_key_values, **kwargs)

    decoder.forward = forgetful
    found = {finding.check: finding for finding in examine(model)}
    assert model.layout == "plain"
    assert found["shared prefix"].verdict == "plain"
    assert "plain layout" in found["shared prefix"].advice
    # Sampling goes by the model's own cache, which this fault spoils too: the doctor says so.
    assert found["training = sampling"].verdict == "failed"
    assert found["agrees with transformers"].verdict == "ok"


def test_a_template_that_hides_the_answer_is_found():
    model = tiny_model()
    template = model.processor.hf.chat_template
    spoilt = template.replace(
        "{%- if message.content is string -%}",
        "{%- if message.role == 'assistant' -%}Well: {%- endif -%}{%- if message.content is string -%}",
    )
    model.processor.hf.chat_template = spoilt
    found = {finding.check: finding for finding in examine(model)}
    assert found["template and loss mask"].verdict == "failed"
    assert "differs at token" in found["template and loss mask"].figure


@pytest.mark.slow
@pytest.mark.parametrize("sick", [False, True])
def test_the_command(tmp_path, sick):
    model = tiny_model()
    if sick:
        with torch.no_grad():
            for parameter in model.trunk.model.encoders["image"].parameters():
                parameter.zero_()
    model.save(tmp_path / "m")
    command = [sys.executable, "-c", "from harken.cli.main import run; run()", "doctor", str(tmp_path / "m")]
    done = subprocess.run(
        [*command, "--json", str(tmp_path / "found.json")], capture_output=True, text=True, check=False
    )
    assert done.returncode == int(sick), done.stderr
    assert "shared prefix" in done.stdout
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["layout"] == "shared"
    assert any(f["verdict"] == "failed" for f in found["findings"]) == sick
