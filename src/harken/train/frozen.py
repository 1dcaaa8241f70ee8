"""Lines on a trunk that stays as it is: all completions are computed once, then `reward/linear.py` fits."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from harken.models.heads import LinearHeads
from harken.models.model import Model, last_states
from harken.reward.linear import LinearConfig, LinePrior, fit_lines
from harken.reward.model import RewardModel
from harken.train.statements import Statements


@torch.no_grad()
def frozen_features(model: Model, statements: Statements, batch: int = 64) -> Float[Tensor, "N D"]:
    """The trunk's state after each completion of `statements.names`, (N, D), in single precision."""
    out = []
    for start in range(0, len(statements.names), batch):
        made = statements.rows(statements.names[start : start + batch]).to(model.trunk.device)
        out.append(last_states(model.states(made), made).float().cpu())
    return torch.cat(out)


def fit_heads(
    reward: RewardModel, statements: Statements, config: LinearConfig, weights: Mapping[str, float], batch: int = 64
) -> None:
    """Fit a reward model's linear heads and its wording to everything that was said.

    Args:
        reward: with `head: linear`.
        statements: what was said.
        config: how the lines are fitted.
        weights: how much each kind of feedback counts.
        batch: completions that go through the trunk at a time.
    """
    heads = reward.model.heads["score"]
    assert isinstance(heads, LinearHeads), "the recipe asks for this with linear heads alone"
    features = frozen_features(reward.model.eval(), statements, batch)
    place: dict[str, int] = {}
    groups = [place.setdefault(statements.completions[name].prompt_id, len(place)) for name in statements.names]
    reward.wording.cpu()
    prior = LinePrior(reward.config.prior, seed=statements.seed)
    lines = fit_lines(features, statements.every_label(), reward.wording, config, groups, weights, prior)
    heads.fix(lines.mean, lines.scale, lines.weight)
    reward.wording.to(heads.mean.device)
