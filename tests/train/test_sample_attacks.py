"""Attacks on what is played: the ball in decibels, the loss that rises, and training against it, to the same bits."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from harken.data.batch import Batch, collate_examples
from harken.data.processor import SAMPLES
from harken.models.fusion.build import FamilyConfig
from harken.models.hearing import Hearing
from harken.models.predictor import Predictor
from harken.pipeline.learn import learn, new_predictor
from harken.pipeline.settings import SftConfig
from harken.train.adversarial import Attack, attacked, in_training_against
from harken.train.examples import Table
from harken.train.optimizers import OptimizerConfig
from harken.train.sources import DemonstrationsConfig
from harken.train.tasks import tasks_of

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.family.sounds import log_mels, with_samples
from benchmarks.family.tables import table_of

COUNT = 18
SNR = Attack({"samples": 0.05}, steps=2, norm="snr")


def predictor(seed: int = 0) -> Predictor:
    audio = {"name": "log_mel_cnn", "rate": 8000, "mels": 12, "max_seconds": 1, "widths": (6, 8), "strides": (2, 2)}
    return new_predictor(
        FamilyConfig(
            encoders={"audio": audio},
            fuse={"name": "joined", "layers": 0, "width": 8},
            heads={"kind": {"name": "classify", "classes": 3}},
        ),
        ["a"],
        seed,
    )


def waves() -> list[np.ndarray]:
    """Low, middle and high tones of different length."""
    rng, out = np.random.default_rng(0), []
    for n in range(COUNT):
        at = np.arange(400 + 37 * n)
        out.append((np.sin(at * (0.2 + 0.4 * (n % 3))) * 0.3 + rng.normal(0, 0.02, len(at))).astype(np.float32))
    return out


def table(model: Predictor) -> Table:
    return table_of(model, {"audio": with_samples(model, waves())}, {"kind": torch.arange(COUNT) % 3})


def batch_of(model: Predictor) -> Batch:
    return table(model).batch_of(range(COUNT), model.processor.pad_id)


def taught(attack: Attack | None, steps: int = 12) -> Predictor:
    model = predictor()
    how = SftConfig(
        DemonstrationsConfig(steps, batch=12), OptimizerConfig(rate=0.02, muon_rate=0.0, warmup=0), attack=attack
    )
    return learn(model, table(model), how)


def loss_of(module: torch.nn.Module, model: Predictor, batch: Batch) -> float:
    objective = tasks_of(model.trunk.config.head_parts())
    return float(objective.loss(module(batch, objective.needs), batch).value.detach())


def moved(model: Predictor, attack: Attack, seed: int = 0) -> Batch:
    objective = tasks_of(model.trunk.config.head_parts())
    generator = torch.Generator().manual_seed(seed)
    return attacked(Hearing(model, model.processor), objective, batch_of(model), attack, generator)


def noisy(batch: Batch, like: torch.Tensor) -> torch.Tensor:
    """As much noise as another change, of no direction."""
    clean = batch.prompts.media["samples"]
    real = torch.arange(clean.shape[1]) < batch.prompts.media["sample_lengths"][:, None]
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(1)) * real
    return clean + noise * ((like - clean).norm(dim=1) / noise.norm(dim=1))[:, None]


@pytest.mark.parametrize("steps", [1, 4])
def test_the_ball_holds_in_decibels_and_the_loss_rises_more_than_noise_raises_it(steps):
    model = predictor()
    batch, made = batch_of(model), moved(model, Attack({"samples": 0.01}, steps=steps, norm="snr"))
    clean, away = batch.prompts.media["samples"].double(), made.prompts.media["samples"].double()
    for row, length in enumerate(batch.prompts.media["sample_lengths"].tolist()):
        signal, noise = clean[row, :length], (away - clean)[row, :length]
        decibels = 10 * torch.log10(signal.square().sum() / noise.square().sum())
        assert 40 <= decibels < 40.1
        assert torch.equal(away[row, length:], clean[row, length:]), "silence behind a sound is not moved"
    hearing = Hearing(model, model.processor)
    before, after = loss_of(hearing, model, batch), loss_of(hearing, model, made)
    batch.prompts.media["samples"] = noisy(batch, made.prompts.media["samples"])
    assert after > before
    assert after > loss_of(hearing, model, batch) + 0.5 * (after - before)


def test_the_gradient_of_the_whole_is_that_of_small_differences():
    model = predictor()
    model.trunk.double()
    hearing, batch = Hearing(model, model.processor).double().eval(), batch_of(model)
    media = batch.prompts.media
    samples = media["samples"].double().requires_grad_()
    media |= {"samples": samples, "input_features": media["input_features"].double()}
    objective = tasks_of(model.trunk.config.head_parts())
    (gradient,) = torch.autograd.grad(objective.loss(hearing(batch, objective.needs), batch).value, samples)
    generator, told = torch.Generator().manual_seed(2), []
    for _ in range(3):
        way = torch.randn(samples.shape, generator=generator, dtype=torch.double) * media["samples"].detach().abs()
        said = []
        for size in (1e-6, -1e-6):
            media["samples"] = samples.detach() + size * way
            said.append(loss_of(hearing, model, batch))
        told.append(((said[0] - said[1]) / 2e-6, float((gradient * way).sum())))
    for plain, found in told:
        assert found == pytest.approx(plain, rel=1e-4)


@pytest.mark.slow
def test_training_against_it_helps():
    harmed = [loss_of(Hearing(m, m.processor), m, moved(m, SNR)) for m in (taught(None, 40), taught(SNR, 40))]
    assert harmed[1] < harmed[0]


def test_training_against_it_repeats_to_the_bit():
    hard, again = taught(SNR, 2), taught(SNR, 2)
    for mine, other in zip(hard.parameters(), again.parameters(), strict=True):
        assert torch.equal(mine, other)
    features = {name: each for name, each in hard.state_dict().items() if "log_mel." in name}
    assert not features, "what makes frames is no part of the model that is kept"


def test_a_model_reads_the_frames_it_is_given_where_nobody_moves_samples():
    model = predictor()
    with_them = model.predict(table(model).encoding(range(COUNT)))["kind.logits"]
    media = {"audio": log_mels(model, waves())}
    without = model.predict(table_of(model, media, {}).encoding(range(COUNT)))["kind.logits"]
    assert torch.equal(with_them, without)


def test_a_share_of_the_sounds_is_moved():
    model, seen = predictor(), []
    objective = tasks_of(model.trunk.config.head_parts())
    module = in_training_against(model, objective, Attack({"samples": 0.01}, norm="snr", share=0.5)).train()
    model.register_forward_hook(lambda _, given, __: seen.append(given[0].prompts.media))
    torch.manual_seed(0)
    batch = batch_of(model)
    module(batch, objective.needs)
    assert not set(SAMPLES) & set(seen[-1])
    away = (seen[-1]["input_features"] - batch.prompts.media["input_features"]).abs().amax((1, 2))
    assert 3 < int((away > 1e-4).sum()) < COUNT - 3


def test_what_does_not_go_together_is_refused():
    with pytest.raises(ValueError, match="input_features are made of samples again"):
        Attack({"samples": 0.01, "input_features": 0.1})
    with pytest.raises(ValueError, match=r"attack\.norm names pixels, and attack\.radius samples"):
        Attack({"samples": 0.01}, norm={"pixels": "snr"})


def test_each_medium_has_its_norm():
    attack = Attack({"samples": 0.01, "pixel_values": 0.1}, norm={"samples": "snr"})
    assert (attack.norm_of("samples"), attack.norm_of("pixel_values")) == ("snr", "inf")


def test_a_batch_without_sounds_is_as_it_was():
    model = predictor()
    encoded = [one for one in table(model).encoding([0])]
    bare = collate_examples([type(encoded[0])(torch.tensor([1]))], 0, {})
    assert Hearing(model, model.processor).heard(bare.prompts) is bare.prompts
