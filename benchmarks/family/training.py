"""How the family's benchmarks train: AdamW, its rate up and down once, matrices multiplied in bfloat16."""

from pathlib import Path
from typing import Literal

from tqdm import tqdm

from harken.data.blobs import Blobs
from harken.models.predictor import Predictor
from harken.pipeline.learn import learn
from harken.pipeline.settings import SftConfig
from harken.pipeline.verbs import Workplace
from harken.train.examples import Table
from harken.train.optimizers import OptimizerConfig


def up_and_down(
    warmup: int, rate: float = 2e-3, weight_decay: float = 0.05, decay: Literal["cosine", "linear"] = "cosine"
) -> OptimizerConfig:
    """AdamW for all weights.

    Args:
        warmup: steps in which the rate rises.
        rate: at its highest; it ends at nothing.
        weight_decay: of the weights.
        decay: how the rate falls.
    """
    return OptimizerConfig(
        rate=rate,
        muon_rate=0.0,
        weight_decay=weight_decay,
        warmup=warmup,
        decay=decay,
        floor=0.0,
        precision="bfloat16",
    )


def trained(model: Predictor, table: Table, config: SftConfig, seed: int, what: str = "learning") -> Predictor:
    """The model, trained behind a bar, without checkpoints.

    Args:
        model: that learns, in place.
        table: the examples.
        config: how.
        seed: of everything drawn.
        what: is said beside the bar.
    """
    with tqdm(total=config.data.steps, desc=what, disable=None) as bar:
        at = Workplace(Blobs(Path("runs") / "blobs"), seed, options={"on_step": lambda *_: bar.update()})
        return learn(model, table, config, at)
