"""A folder in which another training was before; the average where training is watched; parts and their figures."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from harken.algorithms.objective import Loss
from harken.train import checkpoint
from harken.train.descent import Figures
from harken.train.metrics_log import read_metrics
from harken.train.optimizers import OptimizerConfig
from harken.train.stopping import StoppingConfig

sys.path.insert(0, str(Path(__file__).parents[1] / "golden"))

from every_algorithm import GENTLE, Training, fingerprint

OFTEN = StoppingConfig(every=1, share=0.25)
UNWATCHED = StoppingConfig()


def keyed(training: Training, key: str) -> Training:
    training.at = replace(training.at, key=key)
    return training


@pytest.mark.slow
def test_what_another_recipe_left_is_not_the_result_of_this_one(tmp_path):
    """A longer training's best and checkpoints lie there: they are neither taken for ours nor in ours's way."""
    keyed(Training(tmp_path / "used", steps=9, stopping=OFTEN, checkpoint_every=2), "longer")("sft")
    assert list((tmp_path / "used" / "best").iterdir())
    again = keyed(Training(tmp_path / "used", steps=5, stopping=OFTEN, checkpoint_every=2), "shorter")("sft")
    fresh = keyed(Training(tmp_path / "fresh", steps=5, stopping=OFTEN, checkpoint_every=2), "shorter")("sft")
    assert fingerprint(again) == fingerprint(fresh)
    for folder in ("checkpoints", "best"):
        kept = [sorted(p.name for p in (tmp_path / where / folder).iterdir()) for where in ("used", "fresh")]
        assert kept[0] == kept[1] and kept[0]
        assert all(checkpoint.state_of(p)["key"] == "shorter" for p in (tmp_path / "used" / folder).iterdir())


@pytest.mark.slow
def test_a_broken_best_is_an_error_and_not_a_worse_model(tmp_path, monkeypatch):
    wild = OptimizerConfig(rate=5e-2, muon_rate=0.0, warmup=0)

    def spoil(folder: Path, step: int) -> Path:
        (folder / f"step-{step:08d}" / "model.safetensors").write_bytes(b"spoilt")
        return of_step(folder, step)

    of_step = checkpoint.of_step
    monkeypatch.setattr(checkpoint, "of_step", spoil)
    with pytest.raises(OSError, match=r"best/step-\d+ is broken .*remove .* to train this stage again"):
        Training(tmp_path, steps=4, optimizer=wild, stopping=OFTEN)("sft")


@pytest.mark.slow
def test_the_average_is_what_is_measured_and_what_is_left(tmp_path):
    """With a decay near 1 the average hardly moves: neither may its measure, and the best of it is left."""
    still = replace(GENTLE, rate=2e-2, ema=0.9999)
    Training(tmp_path / "still", steps=6, optimizer=still, stopping=OFTEN)("sft")
    Training(tmp_path / "moving", steps=6, optimizer=replace(still, ema=0.0), stopping=OFTEN)("sft")
    measured = {
        name: [line["measure"] for line in read_metrics(tmp_path / name / "metrics.jsonl", "training")]
        for name in ("still", "moving")
    }
    spans = {name: max(values) - min(values) for name, values in measured.items()}
    assert spans["still"] < 0.02 * spans["moving"]
    begun = Training(tmp_path / "begun", steps=0, stopping=UNWATCHED)("sft")
    left = Training(tmp_path / "left", steps=6, optimizer=still, stopping=OFTEN)("sft")
    apart = [(a - b).abs().max() for a, b in zip(begun.parameters(), left.parameters(), strict=True)]
    assert 0 < max(apart).item() < 1e-3


def test_a_figure_that_a_part_lacks_is_the_mean_over_the_parts_that_have_it():
    figures = Figures()
    value = torch.tensor(1.0)
    figures.add(Loss(value, {"good": 2.0, "taken": 0.5}, 3.0, {"good": 1.0, "taken": 4.0}), {"seen": 1.0})
    figures.add(Loss(value, {"good": 5.0, "bad": 7.0, "taken": 1.0}, 1.0, {"good": 2.0, "taken": 4.0}), {})
    figures.add(Loss(value, {}, 0.0), {})
    assert figures.means() == {"loss": 1.0, "good": 4.0, "bad": 7.0, "taken": 0.75, "seen": 1.0}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["kto", "rejection_sampling"])
def test_figures_of_parts_are_those_of_the_whole(name, tmp_path):
    lines = []
    for parts in (1, 4):
        Training(tmp_path / str(parts), steps=2, accumulate=parts, stopping=UNWATCHED)(name)
        lines.append(read_metrics(tmp_path / str(parts) / "metrics.jsonl", "training")[0])
    for figure in ("desirable_reward", "undesirable_reward", "accuracy", "taken", "kl_baseline"):
        assert (figure in lines[0]) == (figure in lines[1])
        if figure in lines[0]:
            assert lines[1][figure] == pytest.approx(lines[0][figure], abs=1e-6)
