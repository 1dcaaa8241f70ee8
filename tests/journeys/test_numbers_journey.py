"""Is the series rising? A language model of the family learns to say so from demonstrations, and says it."""

import numpy as np
import pytest
import torch

from harken.algorithms.sft import SFT
from harken.data.batch import collate_prompts
from harken.data.blobs import Blobs
from harken.data.encoded import EncodedPrompts
from harken.data.media.numbers import encode_csv
from harken.data.processor import Processor
from harken.models.fusion.build import FamilyConfig, build
from harken.models.generate import Decoding, generate
from harken.models.model import Model
from harken.train.loop import Fit, fit
from harken.train.optimizers import OptimizerConfig
from harken.train.sources import Demonstrations, DemonstrationsConfig
from harken.types import Message, Numbers, Prompt, Text

FAST = OptimizerConfig(rate=3e-3, muon_rate=0.0, warmup=0)


def tasks(blobs: Blobs, count: int, seed: int) -> list[tuple[Prompt, str]]:
    """Series of 3 to 9 steps around 100, that rise or fall by some noise's multiple."""
    rng = np.random.default_rng(seed)
    made = []
    for n in range(count):
        steps, rises = int(rng.integers(3, 10)), bool(rng.integers(2))
        slope = (1 if rises else -1) * rng.uniform(1.0, 3.0)
        values = 100 + slope * np.arange(steps) + rng.normal(0, 0.2, steps) + rng.normal(0, 10)
        part = Numbers(blobs.put(encode_csv(values[:, None], ["glucose"]), "numbers"))
        made.append((Prompt(f"p{n}", (Message("user", (part, Text("Rising?"))),)), "yes" if rises else "no"))
    return made


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mlp", "gru"])
def test_a_model_learns_whether_a_series_rises(kind, tmp_path):
    torch.set_num_threads(1)
    config = FamilyConfig(
        encoders={"numbers": {"name": kind, "hidden": 32, "max_steps": 9, "mean": 100.0, "spread": 10.0}},
        heads={"answer": {"hidden": 32, "layers": 2, "heads": 2, "intermediate": 64, "vocabulary": 280}},
    )
    trunk, hf = build(config, ["Rising? yes no"], 0)
    model, blobs = Model(trunk.eval(), Processor(hf)), Blobs(tmp_path / "blobs", flush=False)
    learnt, held = tasks(blobs, 256, 0), tasks(blobs, 64, 1)
    encoded = EncodedPrompts(model.processor, blobs)
    how = Fit(tmp_path, "sft", "key", 0, FAST, tmp_path / "metrics.jsonl")
    fit(model, Demonstrations(learnt, encoded, DemonstrationsConfig(steps=80, batch=32), 0), SFT(), how)
    asked = collate_prompts([model.processor.encode(prompt, blobs) for prompt, _ in held], model.processor.pad_id)
    rows = torch.arange(len(held))
    said = generate(model.eval(), asked, rows, Decoding(4, temperature=0.0), torch.Generator().manual_seed(0))
    right = [model.processor.decode(ids) == answer for ids, (_, answer) in zip(said.ids, held, strict=True)]
    assert np.mean(right) > 0.9, np.mean(right)
