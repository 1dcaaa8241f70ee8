"""Embeddings laid open: unmoved they change nothing, moved they mean what they say, and no completion is touched."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from tiny import tiny_model
from tiny_text import CORPUS, FOLDERS, OWN, pretrained_folder, said, text_family, text_model
from torch import nn

from harken.algorithms.sft import SFT
from harken.data.batch import Batch, Completions, Prompts, collate, collate_examples, collate_prompts
from harken.data.blobs import Blobs
from harken.models.embeddings import REAL, TEXT, TOKENS, ReadingEmbeddings
from harken.models.fusion.build import FamilyConfig
from harken.models.fusion.encoders.text.writing import TextEncoder
from harken.models.load import load_model
from harken.models.model import Model
from harken.models.predictor import Predictor
from harken.pipeline.learn import new_predictor

sys.path.insert(0, str(Path(__file__).parents[1]))

from families.families import FAMILIES

ANSWERS = ["It is 42.", "Yes.", "No, 7."]
TEXTS = [*OWN, *FOLDERS]
QUESTIONS = ("what is this", "a few words, is it", "no")


@cache
def reader(name: str) -> Model:
    """A policy with this encoder of text."""
    with TemporaryDirectory() as folder:
        if name in FOLDERS:
            pretrained_folder(name, Path(folder))
        return text_model(text_family(OWN.get(name, {"name": "pretrained", "path": folder})))


@cache
def family(name: str) -> Model:
    with TemporaryDirectory() as folder:
        FAMILIES[name][0](Path(folder) / name)
        return load_model(Path(folder) / name)


def silent(text: Mapping[str, Any] = OWN["gru"]) -> Predictor:
    family_ = FamilyConfig({"text": text}, {"name": "joined", "layers": 0}, {"a": {"name": "regress"}})
    return new_predictor(family_, CORPUS, 0)


def batch_of(model: Model | Predictor, *questions: str) -> Batch:
    asked = [said(question, name=str(n)) for n, question in enumerate(questions or QUESTIONS)]
    with TemporaryDirectory() as folder:
        encoded = [model.processor.encode(prompt, Blobs(Path(folder))) for prompt in asked]
    ids = [torch.tensor(model.processor.encode_text(answer)) for answer in ANSWERS[: len(asked)]]
    return collate(encoded, ids, range(len(ids)), model.processor.pad_id)


def opened(model: Model | Predictor, name: str) -> ReadingEmbeddings:
    return ReadingEmbeddings(model, model, frozenset({name}))


def with_media(batch: Batch, **media: torch.Tensor) -> Batch:
    return replace(batch, prompts=replace(batch.prompts, media={**batch.prompts.media, **media}))


def logprobs(module: nn.Module, batch: Batch) -> torch.Tensor:
    return module(batch, SFT.needs).logprobs


@pytest.mark.parametrize("table", [*[(name, TEXT) for name in TEXTS], ("gru", TOKENS)])
def test_unmoved_they_change_neither_what_is_said_nor_the_gradient_of_any_weight(table):
    model, reading = reader(table[0]), opened(reader(table[0]), table[1])
    batch = batch_of(model)
    laid = reading.laid_open(batch)
    embeddings = laid.prompts.media[table[1]]
    assert embeddings.shape[:2] == laid.prompts.media[table[1] + REAL].shape
    assert reading.laid_open(laid).prompts.media[table[1]] is embeddings, "what is there is kept"
    weights = [p for p in model.trunk.parameters() if p.requires_grad]
    told = []
    for module, asked in ((model, batch), (reading, laid)):
        out = logprobs(module, asked)
        told.append((out.detach(), torch.autograd.grad(out.sum(), weights, allow_unused=True)))
    assert torch.equal(told[0][0], told[1][0])
    for plain, through in zip(told[0][1], told[1][1], strict=True):
        assert (plain is None) == (through is None)
        assert plain is None or torch.allclose(plain, through, atol=1e-6)


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_means_what_its_embeddings_say_and_its_filling_nothing(name):
    """The words of another text, put in place of its own; behind its end, anything."""
    model, reading = reader(name), opened(reader(name), TEXT)
    (encoder,) = (part for part in model.trunk.modules() if isinstance(part, TextEncoder))
    asked = ("It is 1.", "It is 3.") if name in OWN and name != "words" else ("what is this", "is this what")
    laid = reading.laid_open(batch_of(model, *asked))
    media = laid.prompts.media
    assert torch.equal(media["text_lengths"][0], media["text_lengths"][1]), "as many pieces"
    assert not torch.equal(media["text_ids"][0], media["text_ids"][1])
    swapped = encoder(media["text_ids"].flip(0), media["text_lengths"]).states
    found: list[torch.Tensor] = []
    hook = encoder.register_forward_hook(lambda _, __, out: found.append(out.states))
    logprobs(reading, with_media(laid, **{TEXT: media[TEXT].flip(0)}))
    three = reading.laid_open(batch_of(model))
    filled = torch.where(three.prompts.media[TEXT + REAL][..., None], three.prompts.media[TEXT], 1e3)
    same = torch.equal(logprobs(reading, three), logprobs(reading, with_media(three, **{TEXT: filled})))
    hook.remove()
    if name not in {"clip", "t5"}:  # these look at ids besides: where a text ends
        assert torch.allclose(found[0], swapped, atol=1e-6)
    assert same


def test_a_model_with_a_second_table_of_words_is_refused():
    with pytest.raises(ValueError, match="in a second table in every layer"):
        opened(family("gemma4"), TOKENS)


@pytest.mark.parametrize("name", ["bert", "roberta", "clip", "t5"])
def test_what_a_tokenizer_adds_is_no_word_and_an_unknown_word_is_one(name):
    model = reader(name)
    media = opened(model, TEXT).laid_open(batch_of(model, "zebra is no", "what is this")).prompts.media
    plain = model.processor.hf.reader("zebra is no what is this", add_special_tokens=False)["input_ids"]
    inside = torch.arange(media["text_ids"].shape[1]) < media["text_lengths"][:, None]
    assert torch.equal(media[TEXT + REAL], inside & torch.isin(media["text_ids"], torch.tensor(plain)))
    assert not torch.equal(media[TEXT + REAL], inside)


@pytest.mark.parametrize("name", sorted(set(FAMILIES) - {"gemma4"}))
def test_any_policy_reads_the_embeddings_of_its_prompts_and_of_nothing_else(name):
    """With the tokens of another prompt in place of its own it answers as to that one, once or twice a prompt."""
    model = family(name)
    reading = opened(model, TOKENS)
    once = [batch_of(model, "no way", "no why"), batch_of(model, "no why", "no way")]
    row = torch.tensor([0, 0, 1, 1])
    twice = [replace(b, completions=Completions(b.completions.ids[row], b.completions.mask[row], row)) for b in once]
    for batch, other in [once, twice] if model.layout == "shared" else [once]:
        laid, meant = reading.laid_open(batch), reading.laid_open(other)
        assert laid.prompts.ids.shape == meant.prompts.ids.shape
        said_of_other = logprobs(model, replace(other, completions=batch.completions))
        assert not torch.allclose(logprobs(model, batch), said_of_other, atol=1e-4)
        put = with_media(laid, **{TOKENS: meant.prompts.media[TOKENS]})
        assert torch.allclose(logprobs(reading, put), said_of_other, atol=1e-5)


def slopes(reading: nn.Module, laid: Batch, name: str, value: Callable[[Batch], torch.Tensor], size: float) -> list:
    """By gradient and by a small difference, in a random direction."""
    leaf = laid.prompts.media[name].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(value(with_media(laid, **{name: leaf})), leaf)
    way = torch.randn(gradient.shape, generator=torch.Generator().manual_seed(0), dtype=torch.double)
    ends = [
        float(value(with_media(laid, **{name: laid.prompts.media[name] + step * way})).detach())
        for step in (size, -size)
    ]
    real = laid.prompts.media[name + REAL]
    assert torch.equal(gradient[~real], torch.zeros_like(gradient[~real]))
    assert gradient[real].any()
    return [float((gradient * way).sum()), (ends[0] - ends[1]) / (2 * size)]


def test_gradients_of_an_encoders_embeddings_are_those_of_small_differences():
    model = silent()
    model.trunk.double()
    reading = opened(model, TEXT)
    laid = reading.laid_open(batch_of(model))
    assert laid.prompts.media[TEXT].dtype == torch.double
    found = slopes(
        reading, laid, TEXT, lambda batch: reading(batch, frozenset({"heads"})).heads["a.values"].sum(), 1e-6
    )
    assert found[0] == pytest.approx(found[1], rel=1e-6)


def test_gradients_of_a_policys_embeddings_are_those_of_small_differences():
    """As nearly as a decoder tells whose norms are taken in single precision."""
    model = text_model(text_family(OWN["gru"]))
    model.trunk.double()
    reading = ReadingEmbeddings(model, model, frozenset({TEXT, TOKENS}))
    laid = reading.laid_open(batch_of(model))
    for name in (TEXT, TOKENS):
        found = slopes(reading, laid, name, lambda batch: logprobs(reading, batch).sum(), 1e-3)
        assert found[0] == pytest.approx(found[1], rel=0.03)


def test_the_words_of_a_vocabulary_are_told_from_those_that_it_lacks():
    """Both are laid open, each with its own vector."""
    model = silent({"name": "words", "dimensions": 4})
    with TemporaryDirectory() as folder:
        encoded = [model.processor.encode(said("which zebra is"), Blobs(Path(folder)))]
    reading, batch = opened(model, TEXT), collate_examples(encoded, model.processor.pad_id, {})
    found = reading.laid_open(batch).prompts.media[TEXT][0]
    (encoder,) = (part for part in model.trunk.modules() if isinstance(part, TextEncoder))
    assert torch.equal(found[1], encoder.unknown)
    assert torch.equal(found, encoder.words(batch.prompts.media["text_ids"])[0])


def test_a_model_without_such_a_table_is_refused_with_what_it_has():
    with pytest.raises(ValueError, match=r"token_embeddings: this model has no language head.*are text_embeddings"):
        opened(silent(), TOKENS)
    with pytest.raises(ValueError, match=r"text_embeddings: .*no text encoder.*or take token_embeddings"):
        opened(tiny_model(), TEXT)


def test_a_model_that_reads_its_words_otherwise_is_no_quiet_failure():
    model = tiny_model()

    class Deaf(nn.Module):
        def forward(self, batch: Batch, needs: frozenset[str]) -> object:
            prompts: Prompts = batch.prompts
            other = replace(prompts, ids=prompts.ids.flip(1))
            return model(replace(batch, prompts=other), needs)

    reading = ReadingEmbeddings(Deaf(), model, frozenset({TOKENS}))
    with pytest.raises(ValueError, match="does not ask its table for the words of its prompts"):
        logprobs(reading, reading.laid_open(batch_of(model)))


def test_prompts_without_words_for_an_encoder_are_left_as_they_are():
    model = reader("gru")
    asked = collate_prompts(
        [replace(p, media={}, placeholders={}) for p in [model.processor.encode(said("no"), Blobs(Path("x")))]], 0
    )
    batch = Batch(asked, batch_of(model, "no").completions)
    assert TEXT not in opened(model, TEXT).laid_open(batch).prompts.media
