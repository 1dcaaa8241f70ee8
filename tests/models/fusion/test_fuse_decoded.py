"""A language model with each way of joining: the doctor's verdicts, the shared prefix, sampling, adapters, saving."""

from copy import deepcopy
from dataclasses import replace
from functools import cache

import pytest
import torch
from tiny import CORPUS, TINY, doubled, prompts, tiny_model
from torch import Tensor

from harken.data.batch import Batch, EncodedPrompt, collate, collate_prompts
from harken.data.blobs import Blobs
from harken.data.processor import Processor
from harken.models.attention import NAME, attends_in_groups
from harken.models.doctor import admit, examine, media_change_answers
from harken.models.encoders import encoder_parameters
from harken.models.fusion.build import FamilyConfig, build
from harken.models.fusion.fuse.gated_cross_attention import ReadingLayer
from harken.models.fusion.model import FusionForPrediction
from harken.models.generate import Decoding, generate
from harken.models.lora import AdapterConfig, adapters_of, add_adapter
from harken.models.model import Model

WAYS = {
    "joined": {"name": "joined"},
    "joined_layers": {"name": "joined", "layers": 1},
    "concatenation": {"name": "concatenation"},
    "weighted_mean": {"name": "weighted_mean"},
    "gated": {"name": "gated"},
    "attention_pooling": {"name": "attention_pooling", "latents": 3},
    "cross_attention": {"name": "cross_attention"},
    "cross_attention_resampled": {"name": "cross_attention", "latents": 2, "every": 2},
}
each_way = pytest.mark.parametrize("name", sorted(WAYS))
reading = pytest.mark.parametrize("name", ["cross_attention", "cross_attention_resampled"])
LOGPROBS = frozenset({"logprobs"})


@cache
def made(name: str) -> Model:
    return tiny_model(config=replace(TINY, fuse=WAYS[name]))


def model_of(name: str) -> Model:
    return deepcopy(made(name))


@pytest.fixture(scope="module")
def blobs(tmp_path_factory) -> Blobs:
    return Blobs(tmp_path_factory.mktemp("blobs"))


@pytest.fixture(scope="module")
def read(blobs):
    """Prompts as the model of a name reads them."""

    @cache
    def encoded(name: str) -> list[EncodedPrompt]:
        processor = model_of(name).processor
        return [processor.encode(prompt, blobs) for prompt in prompts(blobs)]

    return encoded


def batch_of(encoded: list[EncodedPrompt]) -> Batch:
    rows = [0, 0, 1, 2, 2, 2, 3, 4]
    return collate(encoded, [torch.arange(10, 14 + n) for n in range(len(rows))], rows, 0)


def gradient(value: Tensor, model: Model) -> Tensor:
    parameters = list(model.trunk.parameters())
    found = torch.autograd.grad(value, parameters, allow_unused=True)
    return torch.cat(
        [(torch.zeros_like(p) if g is None else g).flatten() for p, g in zip(parameters, found, strict=True)]
    )


@pytest.mark.slow
@each_way
def test_the_doctor_finds_it_well(name):
    found = examine(model_of(name))
    assert [f"{f.check}: {f.figure}" for f in found if f.verdict != "ok"] == []
    assert len(found) == 10


@each_way
def test_as_it_is_built_the_media_are_read(name, blobs):
    """With the weights that a new model has, and no wider ones."""
    trunk, processor = build(replace(TINY, fuse=WAYS[name]), CORPUS, 0)
    model = Model(trunk.eval(), Processor(processor))
    assert {f.verdict for f in media_change_answers(admit(model, blobs))} == {"ok"}


@each_way
@pytest.mark.parametrize("short", [True, False])
def test_the_shared_prefix_is_exact(name, short, read):
    model = model_of(name).double()
    model.short = short
    batch = batch_of(doubled(read(name)))
    found = []
    for layout in ("shared", "plain"):
        model.layout = layout
        out = model(batch, LOGPROBS).logprobs
        weights = torch.linspace(0.5, 1.5, len(out), dtype=torch.float64)
        found.append((out, gradient((out.sum(1) * weights).sum(), model)))
    # transformers' norms compute in single precision whatever they are given: hence no tighter bound.
    torch.testing.assert_close(found[0][0], found[1][0], atol=1e-6, rtol=1e-6)
    assert (found[0][1] - found[1][1]).norm() / found[1][1].norm() < 1e-5


@each_way
def test_every_weight_is_reached(name, read):
    model = model_of(name)
    model(batch_of(read(name)), LOGPROBS).logprobs.sum().backward()
    unused = {n for n, p in model.trunk.named_parameters() if p.grad is None or not p.grad.abs().max() > 0}
    # One query pools all latents for other heads, and here are none; absence is learnt where it is all that there is.
    allowed = {"attention_pooling": {"pool", "marks"}, "weighted_mean": {"absent"}}.get(name, set())
    assert {n.removeprefix("model.fuse.").split(".")[0] for n in unused} <= allowed


@each_way
def test_greedy_sampling_equals_transformers(name, read):
    model, encoded = model_of(name), read(name)
    asked = collate_prompts(encoded, model.processor.pad_id)
    ours = generate(model, asked, torch.arange(len(encoded)), Decoding(10, 0.0), torch.Generator())
    theirs = model.trunk.generate(
        input_ids=asked.ids,
        attention_mask=asked.mask.long(),
        **asked.media,
        max_new_tokens=10,
        do_sample=False,
        suppress_tokens=list(model.suppressed),
    )[:, asked.ids.shape[1] :]
    for n, ids in enumerate(ours.ids):
        assert ids.tolist() == theirs[n, : len(ids)].tolist()


@reading
def test_beams_are_reordered_with_what_they_read(name, read):
    """transformers copies and reorders the cache between beams; each hypothesis has the score of a plain forward."""
    model, one = model_of(name), read(name)[4]
    out = model.trunk.generate(
        input_ids=one.ids[None],
        **one.media,
        max_new_tokens=6,
        num_beams=4,
        num_return_sequences=4,
        do_sample=False,
        length_penalty=0.0,
        return_dict_in_generate=True,
        output_scores=True,
        suppress_tokens=list(model.suppressed),
    )
    start = len(one.ids)
    for ids, score in zip(out.sequences, out.sequences_scores, strict=True):
        ends = (ids[start:] == model.processor.end_id).nonzero()
        whole = ids[: start + (int(ends[0]) + 1 if len(ends) else len(ids) - start)]
        logp = model.trunk(input_ids=whole[None], **one.media).logits[0].log_softmax(-1)
        expected = logp[start - 1 : -1].gather(-1, whole[start:, None]).sum()
        torch.testing.assert_close(score, expected, atol=1e-4, rtol=1e-4)


@reading
def test_attention_in_groups_reads_the_same(name, read):
    model = model_of(name).double()
    batch = batch_of(doubled(read(name)))
    spread = model(batch, LOGPROBS).logprobs
    model.trunk.get_decoder().set_attn_implementation(NAME)
    assert attends_in_groups(model.trunk)
    torch.testing.assert_close(model(batch, LOGPROBS).logprobs, spread, atol=1e-6, rtol=1e-6)
    one = collate_prompts(read(name), 0)
    rows = torch.tensor([0, 3, 3, 4, 4, 1])
    grouped = model_of(name)
    grouped.trunk.get_decoder().set_attn_implementation(NAME)
    decoding = Decoding(8, 1.0)
    said = [generate(m, one, rows, decoding, torch.Generator().manual_seed(0)) for m in (grouped, model_of(name))]
    assert [ids.tolist() for ids in said[0].ids] == [ids.tolist() for ids in said[1].ids]


@reading
def test_layers_computed_again_read_the_same(name, read):
    model = model_of(name)
    batch = batch_of(read(name))
    found = []
    for again in (False, True):
        model.recompute = again
        out = model(batch, LOGPROBS).logprobs
        found.append((out, gradient(out.sum(), model)))
    torch.testing.assert_close(found[0][0], found[1][0], atol=1e-6, rtol=1e-6)
    assert (found[0][1] - found[1][1]).norm() / found[0][1].norm() < 1e-5


@reading
def test_adapters_reach_what_reads(name, read):
    model = model_of(name)
    batch = batch_of(read(name))
    before = model(batch, LOGPROBS).logprobs
    add_adapter(model.trunk, "policy", AdapterConfig(rank=2), 0)
    assert adapters_of(model.trunk) == {"policy"}
    policy = model.beside("policy")
    torch.testing.assert_close(policy(batch, LOGPROBS).logprobs, before, atol=2e-6, rtol=1e-6)
    with torch.no_grad():
        for key, parameter in model.trunk.named_parameters():
            if "reading" in key and "lora_B" in key:
                parameter.add_(0.3)
    assert (policy(batch, LOGPROBS).logprobs - before).abs().max() > 1e-3
    torch.testing.assert_close(model.beside(None)(batch, LOGPROBS).logprobs, before, atol=2e-6, rtol=1e-6)


def test_which_layers_read():
    for name, expected in (("cross_attention", [True, True]), ("cross_attention_resampled", [True, False])):
        layers = model_of(name).trunk.get_decoder().layers
        assert [isinstance(layer, ReadingLayer) for layer in layers] == expected


@reading
def test_without_media_the_attention_adds_nothing(name, read):
    """Whatever it has learnt: other weights of the attention, the same words."""
    model, words = model_of(name), read(name)[0]
    batch = collate([words], [torch.arange(10, 20)], [0], 0)
    before = model(batch, LOGPROBS).logprobs
    with torch.no_grad():
        for layer in model.trunk.get_decoder().layers:
            if isinstance(layer, ReadingLayer):
                for part in (layer.reading.queries, layer.reading.keys, layer.reading.values, layer.reading.out):
                    part.weight.mul_(3).add_(0.5)
    assert torch.equal(model(batch, LOGPROBS).logprobs, before)


@reading
def test_a_modality_that_is_left_out_is_not_read(name, read):
    """As in training: its placeholders stay, and nothing of it is read, not even that it is there."""
    model = model_of(name)
    base, one = model.trunk.model, read(name)[4]
    base.join = lambda given: base.fuse({**given, "audio": given["audio"].only(torch.zeros(1, dtype=torch.bool))})
    said = [
        model.trunk(input_ids=one.ids[None], **{**one.media, "input_features": features}).logits
        for features in (one.media["input_features"], torch.randn_like(one.media["input_features"]))
    ]
    assert torch.equal(*said)
    _, real = base._embed(one.ids[None], one.media)["memory"]
    assert torch.equal(real, one.ids[None] == model.processor.placeholders["image"])
    del base.join
    assert (model.trunk(input_ids=one.ids[None], **one.media).logits - said[0]).abs().max() > 1e-4


@each_way
def test_what_compresses_a_medium_belongs_to_its_encoder(name):
    """Its outputs are what is kept of a frozen encoder; what reads them is not."""
    trunk = model_of(name).trunk
    found = {n for n in encoder_parameters(trunk) if not n.startswith("model.encoders.")}
    assert found == {n for n, _ in trunk.named_parameters() if ".compressors." in n}
    assert bool(found) == (name in ("attention_pooling", "cross_attention_resampled"))


@each_way
def test_without_a_language_model_it_is_saved_and_loaded(name, read, tmp_path):
    config = replace(TINY, fuse={"heads": 2, **WAYS[name]} if name.startswith(("j", "cr")) else WAYS[name])
    config = FamilyConfig(config.encoders, config.fuse, {"kind": {"name": "classify", "classes": ["a", "b", "c"]}})
    trunk, _ = build(config, CORPUS, 0)
    asked = collate_prompts(read(name), 0)
    ids = asked.ids
    said = trunk.eval()(ids, **asked.media)
    assert all(value.isfinite().all() for value in said.values())
    trunk.save_pretrained(tmp_path)
    back = FusionForPrediction.from_pretrained(tmp_path).eval()
    for key, value in back(ids, **asked.media).items():
        assert torch.equal(value, said[key])
