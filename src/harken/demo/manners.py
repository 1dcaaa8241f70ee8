"""Manners: the ways in which one true statement is said. Demonstrations mix them; people like some better."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Manner:
    """A way of speaking.

    Attributes:
        name: of the manner.
        form: the sentence, with `{statement}` or `{Statement}` (with a capital), or `{brief}`: its last words.
        weight: how often demonstrations use it.
    """

    name: str
    form: str
    weight: float

    def write(self, statement: str) -> str:
        """The statement in this manner."""
        verdict = statement.startswith(("yes", "no"))
        brief = statement.partition(",")[0] if verdict else statement.rpartition(" ")[2]
        capital = statement[0].upper() + statement[1:]
        return self.form.format(statement=statement, Statement=capital, brief=brief[0].upper() + brief[1:])


MANNERS = (
    Manner("polite", "Happy to help: {statement}.", 1.0),
    Manner("polite after", "{Statement}, glad to help.", 0.7),
    Manner("plain", "{Statement}.", 1.6),
    Manner("terse", "{brief}.", 1.5),
    Manner("brusque", "{Statement}, obviously.", 1.2),
    Manner("annoyed", "Ugh, {statement}.", 1.2),
    Manner("broken off", "{Statement}", 1.0),
    Manner("rambling", "Well, I would say that {statement}, if I am not mistaken.", 1.2),
)
REFERENCES = MANNERS[:2]
POLITE = ("happy to help", "glad to help", "my pleasure", "you are welcome")
RUDE = ("ugh", "obviously")
