"""How right a model's heads are on prompts whose facts say what is true."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from harken.data.blobs import Blobs
from harken.evaluate.metrics.bootstrap import bootstrap_interval
from harken.evaluate.metrics.exactness import exactness
from harken.evaluate.metrics.retrieval import recall_at
from harken.models.fusion.heads.classify import Classify
from harken.models.fusion.heads.contrast import Contrast
from harken.models.fusion.heads.match import Match
from harken.models.fusion.heads.regress import Regress
from harken.models.model import Model
from harken.models.predictor import Predictor
from harken.pipeline.predictions import said_by
from harken.train.targets import targets_of
from harken.types import Prompt

NEAREST = (1, 10)
"""For which k recall is told."""


def head_figures(model: Model | Predictor, prompts: Sequence[Prompt], blobs: Blobs) -> dict[str, Any]:
    """How right each head is, with 95 % intervals; a head without targets has a count of 0 and no more.

    Args:
        model: whose heads.
        prompts: their facts are the targets.
        blobs: the prompts' media.
    """
    heads, found = model.trunk.config.head_parts(), dict[str, Any]()
    said, targets = said_by(model, prompts, blobs), targets_of(prompts, heads, needed=False)
    for name, head in heads.items():
        match head:
            case Classify():
                found[name] = _classified(said[f"{name}.logits"], targets[name], head)
            case Regress():
                found[name] = _regressed(said[f"{name}.values"], targets[name])
            case Contrast():
                there = said[f"{name}.there"].bool()
                found[name] = _retrieved(said[f"{name}.one"][there], said[f"{name}.other"][there])
            case Match():
                found[name] = _matched({key: said[f"{name}.{key}"] for key in ("matched", "mismatched", "there")})
            case _:
                continue
    return found


def _classified(logits: Tensor, targets: Tensor, head: Classify) -> dict[str, Any]:
    goal = targets if targets.dim() == 1 else torch.where(targets.isnan().any(1), -1, targets.nan_to_num().argmax(1))
    if not bool((goal >= 0).any()):
        return {"count": 0}
    said, goal = logits.argmax(1)[goal >= 0], goal[goal >= 0]
    share = exactness((said == goal).numpy())
    names = [str(n) for n in range(head.count)] if isinstance(head.classes, int) else list(head.classes)
    classes = {n: _class(name, said == n, goal == n) for n, name in enumerate(names)}
    seen = [n for n, one in classes.items() if one is not None]
    return {
        "accuracy": share.rate,
        "interval": [share.low, share.high],
        "count": share.count,
        "classes": [classes[n] for n in seen],
        "confusion": [[int(((goal == true) & (said == other)).sum()) for other in seen] for true in seen],
    }


def _class(name: str, said: Tensor, true: Tensor) -> dict[str, Any] | None:
    """Of one class: how many of its prompts were found, and how many of those that were said to be of it are."""
    if not bool((said | true).any()):
        return None
    out: dict[str, Any] = {"class": name, "count": int(true.sum()), "said": int(said.sum())}
    for figure, of, hit in (("recall", true, said), ("precision", said, true)):
        if bool(of.any()):
            share = exactness(hit[of].numpy())
            out[figure] = {"share": share.rate, "interval": [share.low, share.high]}
    return out


def _matched(said: Mapping[str, Tensor]) -> dict[str, Any]:
    there = said["there"].bool()
    if not bool(there.any()):
        return {"count": 0}
    share = exactness(torch.cat([said["matched"][there] > 0, said["mismatched"][there] < 0]).numpy())
    return {"accuracy": share.rate, "interval": [share.low, share.high], "count": share.count}


def _regressed(values: Tensor, targets: Tensor) -> dict[str, Any]:
    there = torch.isfinite(targets).all(1)
    if not bool(there.any()):
        return {"count": 0}
    errors = (values - targets)[there].abs().mean(1).double().numpy()
    return {
        "absolute_error": float(errors.mean()),
        "interval": list(bootstrap_interval(errors)),
        "count": int(there.sum()),
    }


def _retrieved(one: Tensor, other: Tensor) -> dict[str, Any]:
    if len(one) < 2:
        return {"count": 0}
    found = [recall_at(k, one.numpy(), other.numpy()) for k in NEAREST if k < len(one)]
    return {
        f"recall@{recall.k}": {
            "share": recall.share.rate,
            "interval": [recall.share.low, recall.share.high],
            "chance": recall.chance,
            "count": recall.share.count,
        }
        for recall in found
    }
