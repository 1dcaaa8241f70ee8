"""Accuracy in parts: by modality, by kind of feedback, by annotator."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from harken.evaluate.metrics.bootstrap import Values
from harken.evaluate.metrics.reward_accuracy import Accuracy, reward_accuracy
from harken.types import Prompt


@dataclass(frozen=True)
class Labelled:
    """A pair's labels: a value for each way of parting, and what it is resampled together with."""

    labels: Mapping[str, str]
    group: Hashable


def modality(*prompts: Prompt) -> str:
    """What prompts hold, such as `text` or `audio+text`."""
    return "+".join(sorted({type(p).__name__.lower() for x in prompts for m in x.messages for p in m.parts}))


def accuracy_by(
    better: Values, worse: Values, labelled: Sequence[Labelled], resamples: int = 10_000
) -> dict[str, dict[str, Accuracy]]:
    """For each way of parting and each part: how often the better one has the higher score, with its interval.

    Args:
        better: (n,) scores of the preferred completions.
        worse: (n,) scores of the others.
        labelled: (n,) the pairs' labels.
        resamples: of the bootstrap over groups.

    Raises:
        ValueError: as `reward_accuracy`.
    """
    parts: dict[tuple[str, str], list[int]] = {}
    for place, one in enumerate(labelled):
        for way, part in one.labels.items():
            parts.setdefault((way, part), []).append(place)
    out: dict[str, dict[str, Accuracy]] = {}
    for (way, part), places in sorted(parts.items()):
        out.setdefault(way, {})[part] = reward_accuracy(
            [better[place] for place in places],
            [worse[place] for place in places],
            ["a"] * len(places),
            resamples=resamples,
            groups=[labelled[place].group for place in places],
        )
    return out
