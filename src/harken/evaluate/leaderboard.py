"""Which policy do people prefer? Bradley-Terry strengths with bootstrap intervals. numpy alone, no torch.

A comparison of two policies is won, lost, or half of each where it is a tie or both were bad. Strengths are the
maximum of the likelihood with one imagined tie between every two policies that met, so that who won every comparison
has a finite strength too.

Source: Bradley and Terry 1952, Biometrika 39; Hunter 2004, Ann. Stat. 32, eq. 3 (the iteration); Chiang 2024,
2403.04132, section 4 (as a leaderboard, with bootstrap intervals).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from harken.types import Answer, Comparison, Completion

RESAMPLES = 400
FEWEST = 10
"""Comparisons of a policy under which no interval is given."""
STEPS, TOLERANCE = 500, 1e-9
POINTS = 400 / np.log(10)
"""Of a rating as chess has them, for one unit of log-strength."""


@dataclass(frozen=True)
class Met:
    """One comparison of two policies.

    Attributes:
        first: a policy.
        second: another one.
        won: by the first: 1, 0, or .5.
        cluster: what is drawn together in the bootstrap: the prompt.
        count: how many people said so.
    """

    first: str
    second: str
    won: float
    cluster: str
    count: int = 1


@dataclass(frozen=True)
class Standing:
    """A policy's place.

    Attributes:
        policy: its name.
        rating: 1000 is the mean of all; 400 more means ten times the odds.
        low: lower end of the 95 % bootstrap interval; None where it stood in fewer than `FEWEST` comparisons: of so few
            a bootstrap would say too much.
        high: upper end.
        comparisons: in which it stood.
        win_rate: of these, ties counted half.
    """

    policy: str
    rating: float
    low: float | None
    high: float | None
    comparisons: int
    win_rate: float


def meetings(answers: Iterable[Answer], completions: Mapping[str, Completion]) -> list[Met]:
    """The comparisons of two different policies among answers."""
    wins = {"a": 1.0, "b": 0.0, "tie": 0.5, "both_bad": 0.5}
    out = []
    for answer in answers:
        match answer.feedback:
            case Comparison(prompt_id=prompt, a=a, b=b, choice=choice):
                first, second = completions[a].policy, completions[b].policy
                if first != second:
                    out.append(Met(first, second, wins[choice], prompt, answer.count))
    return out


def leaderboard(met: Sequence[Met], seed: int = 0, resamples: int = RESAMPLES) -> list[Standing]:
    """Policies from the strongest down.

    Args:
        met: comparisons.
        seed: of the bootstrap over clusters.
        resamples: how many.
    """
    names = sorted({name for one in met for name in (one.first, one.second)})
    if not names:
        return []
    place = {name: n for n, name in enumerate(names)}
    clusters = sorted({one.cluster for one in met})
    where = {name: n for n, name in enumerate(clusters)}
    each = np.zeros((len(clusters), len(names), len(names)))
    for one in met:
        i, j, at = place[one.first], place[one.second], where[one.cluster]
        each[at, i, j] += one.won * one.count
        each[at, j, i] += (1 - one.won) * one.count
    whole = each.sum(0)
    rng = np.random.default_rng(seed)
    drawn: Int[np.ndarray, "B C"] = rng.multinomial(len(clusters), np.full(len(clusters), 1 / len(clusters)), resamples)
    again = np.tensordot(drawn.astype(np.float64), each, 1)
    ratings = strengths(np.concatenate([whole[None], again]), whole + whole.T > 0)
    points = 1000 + POINTS * ratings
    low, high = np.quantile(points[1:], [0.025, 0.975], axis=0)
    seen, won = (whole + whole.T).sum(1), whole.sum(1)
    found = [
        Standing(
            name,
            float(points[0, n]),
            float(low[n]) if seen[n] >= FEWEST else None,
            float(high[n]) if seen[n] >= FEWEST else None,
            int(seen[n]),
            float(won[n] / seen[n]),
        )
        for n, name in enumerate(names)
    ]
    return sorted(found, key=lambda one: (-one.rating, one.policy))


def strengths(wins: Float[np.ndarray, "B K K"], met: Float[np.ndarray, "K K"] | np.ndarray) -> Float[np.ndarray, "B K"]:
    """Log-strengths of K policies in each of B tables of wins, with mean 0.

    Args:
        wins: how often row beat column.
        met: which policies met at all: each such pair gets one imagined tie.
    """
    tables = wins + 0.5 * (met & ~np.eye(len(met), dtype=bool))
    total, played = tables.sum(2), tables + tables.transpose(0, 2, 1)
    strength = np.ones(total.shape)
    for _ in range(STEPS):
        below = (played / (strength[:, :, None] + strength[:, None, :])).sum(2)
        fresh = total / np.maximum(below, 1e-300)
        fresh /= np.exp(np.log(fresh).mean(1, keepdims=True))
        moved = np.abs(np.log(fresh) - np.log(strength)).max()
        strength = fresh
        if moved < TOLERANCE:
            break
    return np.log(strength)
