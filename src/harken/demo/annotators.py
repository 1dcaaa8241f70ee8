"""The demo's three simulated annotators: one preference, three characters."""

from dataclasses import dataclass

from harken.data.seeds import derive
from harken.demo.gold import gold, improve
from harken.feedback.annotators.simulated import SimulatedAnnotator


@dataclass(frozen=True)
class Character:
    """How a simulated annotator differs from the hidden rule.

    Attributes:
        id: the annotator's id.
        noise: of each judgement, in units of the gold preference.
        severity: taken off before a grade is given.
        care: share of questions that are really looked at.
    """

    id: str
    noise: float
    severity: float
    care: float


CHARACTERS = (
    Character("simulated-mild", 0.4, -0.6, 0.95),
    Character("simulated-strict", 0.3, 0.8, 0.97),
    Character("simulated-hasty", 0.6, 0.0, 0.85),
)


def annotators(seed: int) -> tuple[SimulatedAnnotator, ...]:
    """The three, each with noise of its own."""
    return tuple(
        SimulatedAnnotator(c.id, gold, improve, c.noise, c.severity, c.care, derive(seed, "annotator", c.id))
        for c in CHARACTERS
    )
