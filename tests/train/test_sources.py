"""Demonstrations that lack some of their media."""

import sys
from pathlib import Path

import numpy as np
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from harken.data.blobs import Blobs
from harken.data.encoded import EncodedPrompts
from harken.data.media.audio import encode_wav
from harken.data.media.image import encode_png
from harken.train.sources import Demonstrations, DemonstrationsConfig, Taught, without_some
from harken.types import Audio, Image, Message, Numbers, Prompt, Text

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))

from tiny import tiny_model

PARTS = st.sampled_from([Text("a"), Text("b"), Image("1"), Image("2"), Audio("3"), Numbers("4")])
PROMPTS = st.lists(st.lists(PARTS, min_size=1, max_size=4), min_size=1, max_size=3).map(
    lambda messages: Prompt("p", tuple(Message("user", tuple(parts)) for parts in messages))
)


def kinds_of(prompt):
    return {type(part) for message in prompt.messages for part in message.parts} - {Text}


@example(Prompt("p", (Message("user", (Image("1"), Audio("3"))), Message("user", (Numbers("4"),)))), 0.75, 2)
@given(PROMPTS, st.floats(0, 0.999), st.integers(0, 99))
def test_whole_kinds_are_left_out_and_words_and_one_kind_stay(prompt, share, seed):
    found = without_some(prompt, share, torch.Generator().manual_seed(seed))
    lost = kinds_of(prompt) - kinds_of(found)
    kept = tuple(tuple(part for part in m.parts if type(part) not in lost) for m in prompt.messages)
    assert tuple(m.parts for m in found.messages) == kept
    assert all(kept)
    assert bool(kinds_of(found)) == bool(kinds_of(prompt))
    assert (found.id == prompt.id) == (not lost)
    assert found == without_some(prompt, share, torch.Generator().manual_seed(seed))


def test_each_kind_is_left_out_as_often_as_is_said():
    prompt = Prompt("p", (Message("user", (Image("1"), Audio("2"), Text("?"))),))
    generator = torch.Generator().manual_seed(0)
    lost = [kinds_of(prompt) - kinds_of(without_some(prompt, 0.4, generator)) for _ in range(4000)]
    # Both at once would be 0.16: then the one that was drawn higher stays, either as often.
    for kind in (Image, Audio):
        assert abs(sum(kind in some for some in lost) / 4000 - (0.4 - 0.08)) < 0.03
    assert max(map(len, lost)) == 1


def test_a_step_s_batch_lacks_media_by_the_seed_and_the_measure_s_has_all(tmp_path):
    model, blobs = tiny_model(), Blobs(tmp_path)
    picture = Image(blobs.put(encode_png(np.full((8, 24, 3), 90, np.uint8)), "image"))
    sound = Audio(blobs.put(encode_wav(np.full(4000, 0.1, np.float32), 16_000), "audio"))
    prompts = [Prompt(f"p{n}", (Message("user", (picture, sound, Text(f"Number {n}?"))),)) for n in range(12)]
    pairs = [(prompt, "It is 4.") for prompt in prompts]
    encoded, config = EncodedPrompts(model.processor, blobs), DemonstrationsConfig(3, 12)
    whole = Demonstrations(pairs, encoded, config, 0)
    some = Demonstrations(pairs, encoded, config, 0, Taught(drop=0.5))
    (full,), (less,), (again,) = whole.batches(1), some.batches(1), some.batches(1)
    assert torch.equal(less.prompts.ids, again.prompts.ids)
    assert set(full.prompts.media_rows["pixel_values"].tolist()) == {1}
    rows = torch.stack([less.prompts.media_rows[name] for name in ("pixel_values", "input_features")], 1)
    assert set(rows.sum(1).tolist()) == {1, 2}
    assert torch.equal(less.completions.ids, full.completions.ids)
    assert torch.equal(some.batch_of(range(12)).prompts.ids, whole.batch_of(range(12)).prompts.ids)
