"""From scores to what annotators say: ties, "both bad", grades, and how each annotator differs from the others."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

SPAN = 3.0
"""How far apart the first and the last threshold of a scale begin, in units of the score."""
CLOSEST = 1e-4
"""How near two thresholds of a scale may come, in units of the score."""
SPREADS = {"severity": 1.0, "log_scale": 0.5, "log_reliability": 0.5, "side": 0.5}
"""Standard deviations of annotators about the average one, before they have said anything."""


class Wording(nn.Module):
    """What annotators make of a score; learnt with the scores.

    Who said little is taken as the average annotator: each of the four parameters of an annotator has a normal prior
    around 0 (`prior`).

    Attributes:
        annotators: their ids; rows of what is below.
        log_tie: log of Davidson's tie parameter.
        floor: the score under which two completions are called both bad.
        first: by the number of levels of a scale, its lowest threshold between grades.
        gaps: by the number of levels, softplus of these are the distances to the next thresholds, (L - 2,).
        severity: how much each annotator asks above the average one for the same grade, (A,).
        log_scale: how finely each annotator's grades follow the score, (A,).
        log_reliability: how closely each annotator's choices (comparisons, rankings, edits) follow the score, (A,);
            at minus infinity they are by chance.
        side: how much each annotator leans to the completion that is shown first, (A,).
    """

    def __init__(self, annotators: Sequence[str], scales: Sequence[int] = (5,)):
        super().__init__()
        self.annotators = tuple(annotators)
        self.scales = tuple(sorted(set(scales)))
        self.log_tie = nn.Parameter(torch.tensor(-1.0))
        self.floor = nn.Parameter(torch.tensor(-3.0))
        self.first, self.gaps = nn.ParameterDict(), nn.ParameterDict()
        for levels in self.scales:
            inner = levels - 2
            gap = torch.tensor(SPAN / max(inner, 1))
            self.first[str(levels)] = nn.Parameter(torch.tensor(-SPAN / 2 if inner else 0.0))
            self.gaps[str(levels)] = nn.Parameter(torch.expm1(gap).log().repeat(inner))
        self.severity = nn.Parameter(torch.zeros(len(self.annotators)))
        self.log_scale = nn.Parameter(torch.zeros(len(self.annotators)))
        self.log_reliability = nn.Parameter(torch.zeros(len(self.annotators)))
        self.side = nn.Parameter(torch.zeros(len(self.annotators)))

    def thresholds(self, levels: int) -> Float[Tensor, " L1"]:
        """Increasing thresholds between the L grades of a scale, (L - 1,)."""
        first = self.first[str(levels)]
        # Between two grades of which nobody gives the one in the middle, the likeliest distance is none at all.
        rises = nn.functional.softplus(self.gaps[str(levels)]).clamp(min=CLOSEST).cumsum(0)
        return torch.cat([first[None], first + rises])

    @torch.no_grad()
    def expected_grade(self, scores: Float[Tensor, "N K"], levels: int) -> Float[Tensor, " N"]:
        """What all annotators together would say on a scale, on average: from 1 to `levels`, whatever the score's unit.

        Mean over members and annotators of the cumulative link's expectation, 1 + sum over thresholds of
        P(grade > threshold).
        """
        who = torch.arange(max(1, len(self.annotators)), device=scores.device)
        fine, severity = self.log_fineness(who).exp(), self.severity[who]
        above = scores[..., None] - self.thresholds(levels).to(scores)
        each = [
            torch.sigmoid(f.to(scores) * (above - s.to(scores))).sum(-1) for f, s in zip(fine, severity, strict=True)
        ]
        return 1 + torch.stack(each).mean(0).mean(1)

    def reliability(self, annotator: Int[Tensor, " M"]) -> Float[Tensor, "M 1"]:
        """What multiplies the scores in an annotator's choices; 1 for the average one."""
        return self._about_average(self.log_reliability)[annotator].exp()[:, None]

    def log_fineness(self, annotator: Int[Tensor, " M"]) -> Float[Tensor, " M"]:
        """Log of what multiplies the scores in an annotator's grades; 0 for the average one."""
        return self._about_average(self.log_scale)[annotator]

    def _about_average(self, logs: Float[Tensor, " A"]) -> Float[Tensor, " A"]:
        # Otherwise scores could be small and all annotators keen, and a penalty on scores would mean nothing.
        return logs - logs.mean() if len(logs) else logs

    def prior(self) -> Float[Tensor, ""]:
        """Minus the log-density of annotators' parameters, but for a constant: half the squares of their z-scores."""
        parts = [(getattr(self, name) / spread).square().sum() for name, spread in SPREADS.items()]
        return torch.stack(parts).sum() / 2
