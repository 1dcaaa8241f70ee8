"""A model of the family that reads numbers: padding is exact, each setting is checked, and the doctor is content."""

import numpy as np
import pytest
import torch
from numerate import reading
from tiny import doubled, tiny_model

from harken.data.batch import collate, collate_prompts
from harken.data.blobs import Blobs
from harken.data.media.numbers import encode_csv
from harken.data.processor import IntegrityError
from harken.models.doctor import examine, sample_prompts
from harken.models.encoders import encoder_parameters
from harken.models.fusion import parts
from harken.models.fusion.build import FamilyConfig
from harken.models.fusion.stream import Stream
from harken.models.load import load_model
from harken.types import Completion, Message, Numbers, Prompt, Text

KINDS = ("mlp", "gru")


def asked(blobs: Blobs, shapes: list[tuple[int, int]], seed: int = 0) -> list[Prompt]:
    rng = np.random.default_rng(seed)
    drawn = [Numbers(blobs.put(encode_csv(rng.standard_normal(shape)), "numbers")) for shape in shapes]
    return [Prompt(f"p{n}", (Message("user", (part, Text("Rising?"))),)) for n, part in enumerate(drawn)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stride", [1, 3])
def test_what_lies_beyond_a_series_changes_nothing(kind, stride):
    torch.manual_seed(0)
    settings = parts.encoder("numbers", {"name": kind, "channels": 2, "hidden": 8, "stride": stride})
    encoder = settings.build().double().eval()
    lengths = torch.tensor([1, 4, 7])
    series = torch.randn(3, 7, 2, dtype=torch.double)
    together: Stream = encoder(series, lengths)
    assert together.states.shape == (3, settings.tokens(7), 8)
    assert together.real.sum(1).tolist() == [settings.tokens(n) for n in lengths.tolist()]
    beyond = torch.arange(7)[None, :, None] >= lengths[:, None, None]
    other = encoder(torch.where(beyond, 1e6, series), lengths)
    assert torch.equal(other.states, together.states)
    for row, length in enumerate(lengths.tolist()):
        alone: Stream = encoder(series[row : row + 1, :length])
        assert bool(alone.real.all())
        torch.testing.assert_close(together.states[row, together.real[row]], alone.states[0], atol=1e-12, rtol=1e-12)
    assert not together.states[~together.real].any()


def test_each_channel_is_centred_and_scaled():
    settings = parts.encoder("numbers", {"channels": 2, "mean": [1, 10], "spread": [2.0, 5.0], "stride": 2})
    stacked, real = settings.stacked(torch.tensor([[[3.0, 15.0], [1.0, 0.0], [5.0, 10.0]]]), None)
    assert stacked.tolist() == [[[1.0, 1.0, 0.0, -2.0], [2.0, 0.0, 0.0, 0.0]]]
    assert real.tolist() == [[True, True]]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"channels": 0}, "numbers.channels"),
        ({"max_steps": 0}, "numbers.max_steps"),
        ({"stride": 0}, "numbers.stride"),
        ({"channels": 2, "mean": [1.0]}, "numbers.mean has 1 numbers for 2 channels"),
        ({"spread": 0.0}, "numbers.spread must be finite and above 0"),
        ({"channels": 2, "spread": [1.0, -1.0]}, "numbers.spread must be finite and above 0"),
        ({"mean": float("nan")}, "numbers.mean must be finite"),
        ({"hidden": 7}, "numbers.hidden must be even"),
        ({"layers": 0}, "numbers.layers"),
        ({"chanels": 2}, "did you mean 'channels'"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_settings_that_cannot_be_are_refused(kind, said, words):
    with pytest.raises(parts.PartError, match=words):
        parts.encoder("numbers", {"name": kind, **said})


def test_the_encoders_are_found_by_their_files():
    with pytest.raises(parts.PartError, match="did you mean 'gru'"):
        parts.encoder("numbers", {"name": "grus"})
    config = FamilyConfig(encoders={"numbers": {"name": "gru", "mean": [1.0, 2.0], "channels": 2}})
    assert config.plain()["encoders"]["numbers"]["mean"] == (1.0, 2.0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_doctor_is_content(kind):
    found = {finding.check: finding.verdict for finding in examine(reading(kind, stride=2, mean=0.1, spread=[1, 2, 3]))}
    assert set(found.values()) == {"ok"}
    assert {"series is read", "numbers placeholders", "pixel_values is read", "input_features is read"} <= set(found)


def test_the_sample_prompts_of_other_models_hold_no_numbers(tmp_path):
    made = sample_prompts(tiny_model(), Blobs(tmp_path))
    assert not any(isinstance(part, Numbers) for p in made for m in p.messages for part in m.parts)


@pytest.mark.parametrize("kind", KINDS)
def test_prompts_of_different_lengths_in_one_batch_are_exact_in_double(kind, tmp_path):
    blobs, model = Blobs(tmp_path), reading(kind, alone=True)
    model.double()
    encoded = doubled([model.processor.encode(p, blobs) for p in asked(blobs, [(1, 3), (8, 3), (4, 3)])])
    words = model.processor.encode_completion(Completion("c", "p", "It is.", "x"))
    together = model(collate(encoded, [words] * 3, [0, 1, 2], model.processor.pad_id), frozenset({"logprobs"})).logprobs
    for row, one in enumerate(encoded):
        alone = model(collate([one], [words], [0], model.processor.pad_id), frozenset({"logprobs"})).logprobs
        torch.testing.assert_close(together[row], alone[0], atol=1e-12, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_large_numbers_are_centred_before_they_are_rounded_to_the_weights_type(kind):
    settings = parts.encoder("numbers", {"name": kind, "hidden": 8, "mean": 1e6})
    encoder = settings.build().to(torch.bfloat16)
    states = encoder(torch.tensor([[[1e6 + 1]], [[1e6 - 1]]])).states
    assert states.dtype == torch.bfloat16
    assert not torch.equal(states[0], states[1])


def test_the_processor_makes_tensors_and_placeholders(tmp_path):
    blobs, model = Blobs(tmp_path), reading("mlp", stride=2)
    first, second = asked(blobs, [(5, 3), (2, 3)])
    both = Prompt("both", (Message("user", (*first.messages[0].parts, *second.messages[0].parts)),))
    made = model.processor.encode(both, blobs)
    assert {name: tuple(tensor.shape) for name, tensor in made.media.items()} == {
        "series": (2, 5, 3),
        "series_lengths": (2,),
    }
    assert made.media["series_lengths"].tolist() == [5, 2]
    assert not made.media["series"][1, 2:].any()
    assert made.placeholders == {"image": 0, "audio": 0, "numbers": 3 + 1}
    batch = collate_prompts([made, model.processor.encode(second, blobs)], model.processor.pad_id)
    assert tuple(batch.media["series"].shape) == (3, 5, 3)
    assert model.processor.series_shape == (8, 3)
    assert tiny_model().processor.series_shape == (0, 0)


@pytest.mark.parametrize(
    ("shape", "words"),
    [((4, 2), r"2 channels .* reads 3.*encoders\.numbers\.channels=2"), ((9, 3), r"9 steps .* 8 .*max_steps")],
)
def test_numbers_that_do_not_fit_are_refused(tmp_path, shape, words):
    blobs = Blobs(tmp_path)
    with pytest.raises(ValueError, match=words):
        reading("mlp").processor.encode(asked(blobs, [shape])[0], blobs)


def test_a_model_that_takes_none_refuses_them(tmp_path):
    blobs, (prompt,) = Blobs(tmp_path), asked(Blobs(tmp_path), [(2, 3)])
    with pytest.raises(IntegrityError, match=r"1 numbers part\(s\), but this model takes none"):
        tiny_model().processor.encode(prompt, blobs)


def test_a_model_without_numbers_reads_the_word_as_text(tmp_path):
    plain = Prompt("p", (Message("user", (Text("What does <numbers> mean?"),)),))
    encoded = tiny_model().processor.encode(plain, Blobs(tmp_path))
    assert "<numbers>" in tiny_model().processor.decode(encoded.ids)
    with pytest.raises(IntegrityError, match="control token '<numbers>'"):
        reading("mlp").processor.encode(plain, Blobs(tmp_path))


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_loaded_it_is_the_same(kind, tmp_path):
    blobs, model = Blobs(tmp_path / "blobs"), reading(kind, mean=[0.5, 0, 1])
    model.save(tmp_path / "model")
    back = load_model(tmp_path / "model")
    words = model.processor.encode_completion(Completion("c", "p", "It is.", "x"))
    (prompt,) = asked(blobs, [(4, 3)])
    batches = [collate([m.processor.encode(prompt, blobs)], [words], [0], m.processor.pad_id) for m in (model, back)]
    found = [m(batch, frozenset({"logprobs"})).logprobs for m, batch in zip((model, back), batches, strict=True)]
    assert torch.equal(*found)
    assert any("encoders.numbers" in name for name in encoder_parameters(back.trunk))
