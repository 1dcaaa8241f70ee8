"""crowd-kit's ways to one label (pip install -e '.[bench]')."""

import importlib
import importlib.util
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from harken.reward.consensus import Choices

PEERS = ("DawidSkene", "OneCoinDawidSkene", "GLAD", "MACE")


def installed() -> bool:
    """Whether there is a crowd-kit."""
    return importlib.util.find_spec("crowdkit") is not None


def peer(name: str) -> Callable[[Choices], Float[Tensor, "I L"]]:
    """An aggregator of crowd-kit, by its name, with its own settings."""
    # Loaded when it is asked for: crowd-kit and pandas are of the extra `bench`.
    pandas, aggregation = importlib.import_module("pandas"), importlib.import_module("crowdkit.aggregation")

    def chances(choices: Choices) -> Float[Tensor, "I L"]:
        told = {"task": choices.item, "worker": choices.annotator, "label": choices.label}
        frame = pandas.DataFrame({key: value.numpy() for key, value in told.items()})
        found = getattr(aggregation, name)().fit_predict_proba(frame)
        shape = (range(len(choices.items)), range(len(choices.labels)))
        return torch.tensor(
            found.reindex(index=shape[0], columns=shape[1], fill_value=0.0).fillna(0.0).to_numpy().copy()
        )

    return chances
