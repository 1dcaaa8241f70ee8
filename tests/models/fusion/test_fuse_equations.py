"""Each way of joining against a slow, plain reading of its equation: row by row, over what is there and no more."""

import math

import pytest
import torch
from random_streams import WIDTH, noise, row, stirred, streams, way
from torch import Tensor, nn

from harken.models.fusion.fuse.gated_cross_attention import GatedCrossAttention
from harken.models.fusion.fuse.resampler import Resampler
from harken.models.fusion.stream import Stream

BOTH = ("image", "audio")
ALL = ("image", "audio", "text")
HEADS = 2


def close(ours: Tensor, plain: Tensor) -> bool:
    return ours.shape == plain.shape and torch.allclose(ours, plain, atol=1e-9, rtol=1e-9)


def vectors(given: dict[str, Stream], b: int) -> dict[str, Tensor]:
    """The mean of each modality that row b has."""
    return {m: s.states[b][s.real[b]].mean(0) for m, s in given.items() if s.real[b].any()}


def norm(layer: nn.LayerNorm, x: Tensor) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.pow(2).mean(-1, keepdim=True) + layer.eps).sqrt() * layer.weight + layer.bias


def feed(parts: nn.Sequential, x: Tensor) -> Tensor:
    hidden = norm(parts[0], x) @ parts[1].weight.T + parts[1].bias
    hidden = hidden * 0.5 * (1 + torch.erf(hidden / math.sqrt(2)))
    return hidden @ parts[3].weight.T + parts[3].bias


def attend(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """One query (E,) over keys (L, E): softmax(q k / sqrt(E)) v."""
    scores = torch.stack([query @ key for key in keys]) / math.sqrt(len(query))
    weights = scores.exp() / scores.exp().sum()
    return (weights[:, None] * values).sum(0)


def test_weighted_mean():
    fuse, given = way("weighted_mean", ALL), streams(ALL)
    shared = fuse(given).shared
    for b in range(len(shared)):
        there = vectors(given, b)
        if not there:
            weights = fuse.logits.exp() / fuse.logits.exp().sum()
            assert close(shared[b], weights @ fuse.absent)
            continue
        total = sum(fuse.logits[ALL.index(m)].exp() for m in there)
        assert close(shared[b], sum(fuse.logits[ALL.index(m)].exp() / total * x for m, x in there.items()))


def test_gated():
    fuse, given = way("gated", ALL), streams(ALL)
    shared = fuse(given).shared
    for b in range(len(shared)):
        there = vectors(given, b)
        everything = torch.cat([there.get(m, fuse.absent[i]) for i, m in enumerate(ALL)])
        total = torch.zeros(WIDTH, dtype=torch.float64)
        for i, modality in enumerate(ALL):
            if modality in there:
                h = torch.tanh(fuse.states[i].weight @ there[modality] + fuse.states[i].bias)
                rows = slice(i * WIDTH, (i + 1) * WIDTH)
                gate = 1 / (1 + torch.exp(-(fuse.gates.weight[rows] @ everything + fuse.gates.bias[rows])))
                total = total + gate * h
        assert close(shared[b], total)


def test_concatenation():
    fuse, given = way("concatenation", ALL), streams(ALL)
    shared = fuse(given).shared
    first, last = fuse.layers[0], fuse.layers[2]
    for b in range(len(shared)):
        there = vectors(given, b)
        beside = [there.get(m, fuse.absent[i]) for i, m in enumerate(ALL)]
        known = torch.tensor([float(m in there) for m in ALL], dtype=torch.float64)
        hidden = first.weight @ torch.cat([*beside, known]) + first.bias
        hidden = hidden * 0.5 * (1 + torch.erf(hidden / math.sqrt(2)))
        assert close(shared[b], last.weight @ hidden + last.bias)


def resampled(resampler: Resampler, states: Tensor) -> Tensor:
    """Of the states (M, D) of one row: x = x + Attention(x, [states; x]); x = x + FF(x)."""
    x = resampler.latents
    for layer in resampler.layers:
        asked = norm(layer.norm, x)
        seen = torch.cat([norm(layer.norm_states, states), asked])
        taken = layer.attention
        q, k, v = (
            source @ weight.T + bias
            for source, weight, bias in zip(
                (asked, seen, seen), taken.in_proj_weight.chunk(3), taken.in_proj_bias.chunk(3), strict=True
            )
        )
        heads = [slice(h * WIDTH // HEADS, (h + 1) * WIDTH // HEADS) for h in range(HEADS)]
        read = torch.stack([torch.cat([attend(one[h], k[:, h], v[:, h]) for h in heads]) for one in q])
        x = x + read @ taken.out_proj.weight.T + taken.out_proj.bias
        x = x + feed(layer.feed_forward, x)
    return norm(resampler.norm, x)


def test_attention_pooling():
    fuse, given = way("attention_pooling", ALL), streams(ALL)
    for modality in ALL:
        media = given[modality]
        made = fuse.compress(modality, media)
        assert torch.equal(made.real, media.present[:, None].expand(-1, 3))
        for b in range(len(media.real)):
            assert close(made.states[b], resampled(fuse.compressors[modality], media.states[b][media.real[b]]))
    fused = fuse(given)
    for b in range(len(fused.shared)):
        marked = [s.states[b][s.real[b]] + fuse.marks[i] for i, s in enumerate(given.values())]
        assert close(fused.shared[b], resampled(fuse.pool, torch.cat(marked))[0])
    assert fused.streams is given


def turned(x: Tensor, position: int) -> Tensor:
    """2104.09864, eq. 34, with the pairs (i, i + E/2), as complex numbers."""
    half = len(x) // 2
    angles = position * 10_000.0 ** (-torch.arange(half, dtype=torch.float64) / half)
    both = torch.complex(x[:half], x[half:]) * torch.polar(torch.ones_like(angles), angles)
    return torch.cat([both.real, both.imag])


def gated_reading(layer: GatedCrossAttention, h: Tensor, media: Tensor, places: tuple[int | None, list[int]]) -> Tensor:
    """One state (D,) that reads the media (M, D), which stand at some places if they have any."""
    at, each = places
    out, groups, width = [], layer.heads // layer.shared, layer.head_width
    for head in range(layer.heads):
        mine = slice(head * width, (head + 1) * width)
        theirs = slice(head // groups * width, (head // groups + 1) * width)
        q = layer.queries.weight[mine] @ norm(layer.norm, h)
        k, v = media @ layer.keys.weight[theirs].T, media @ layer.values.weight[theirs].T
        if at is not None:
            q, k = turned(q, at), torch.stack([turned(one, place) for one, place in zip(k, each, strict=True)])
        out.append(attend(q, k, v))
    h = h + torch.tanh(layer.gates[0]) * (layer.out.weight @ torch.cat(out))
    return h + torch.tanh(layer.gates[1]) * feed(layer.feed_forward, h)


def test_gated_cross_attention_among_tokens():
    """Causal, with positions, four heads on two: media stand among tokens that are none."""
    layer = stirred(GatedCrossAttention(WIDTH, 4, 2, 6, causal=True))
    hidden, media = noise(2, 7, WIDTH, seed=1), noise(2, 7, WIDTH, seed=2)
    real = torch.tensor([[0, 1, 1, 0, 0, 1, 0], [0, 0, 0, 0, 0, 0, 0]], dtype=torch.bool)
    angles = torch.arange(7)[:, None] * 10_000.0 ** (-torch.arange(3, dtype=torch.float64) / 3)
    rotary = tuple(torch.cat([f(angles)] * 2, -1).expand(2, -1, -1) for f in (torch.cos, torch.sin))
    keys, values = layer.keys_and_values(media, real, rotary)
    out = layer(hidden, keys, values, None, rotary)
    for t in range(7):
        before = [s for s in range(t + 1) if real[0, s]]
        alone = hidden[0, t] + torch.tanh(layer.gates[1]) * feed(layer.feed_forward, hidden[0, t])
        assert close(out[0, t], gated_reading(layer, hidden[0, t], media[0, before], (t, before)) if before else alone)
    # What has no medium gets nothing at all from the attention, not only little.
    with torch.no_grad():
        layer.gates[1] = 0.0
    assert torch.equal(layer(hidden, keys, values, None, rotary)[1], hidden[1])


@pytest.mark.parametrize("modalities", [BOTH, ALL])
def test_cross_attention_without_a_language_model(modalities):
    """A first state, alone or at the head of a text, reads the media of its row."""
    fuse, given = way("cross_attention", modalities), streams(modalities)
    shared = fuse(given).shared
    for b in range(len(shared)):
        marked = {m: s.states[b][s.real[b]] + fuse.marks[i] for i, (m, s) in enumerate(given.items())}
        media = torch.cat([marked[m] for m in BOTH])
        x = torch.cat([fuse.first, marked["text"]]) if "text" in marked else fuse.first
        for i, reading in enumerate(fuse.reading):
            if "text" in marked:
                x = fuse.layers[i](x[None])[0]
            if len(media):
                x = torch.stack([gated_reading(reading, h, media, (None, [])) for h in x])
            else:
                x = x + torch.tanh(reading.gates[1]) * feed(reading.feed_forward, x)
        assert close(shared[b], norm(fuse.norm, x[0]))


def test_joined():
    """One sequence of what a row has."""
    fuse, given = way("joined", ALL), streams(ALL)
    fused = fuse(given)
    for b in range(len(fused.shared)):
        alone = row(given, b)
        x = torch.cat([fuse.first, *(s.states[0] + mark for s, mark in zip(alone.values(), fuse.marks, strict=True))])
        for layer in fuse.layers:
            x = layer(x[None])[0]
        x = norm(fuse.norm, x)
        assert close(fused.shared[b], x[0])
        read = torch.cat([s.states[b][s.real[b]] for s in fused.streams.values()])
        assert close(read, x[1:])


def test_joined_by_a_language_model_is_left_as_it_is():
    fuse, given = way("joined", ALL, decoded=True), streams(ALL)
    assert not list(fuse.parameters())
    fused = fuse(given)
    assert fused.streams is given
    for b in range(len(fused.shared)):
        there = torch.cat([s.states[b][s.real[b]] for s in given.values()])
        assert close(fused.shared[b], there.mean(0) if len(there) else torch.zeros(WIDTH, dtype=torch.float64))
