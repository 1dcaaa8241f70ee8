"""What a page says of a turn, as answers of the store."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from harken.feedback.desk.desk import Item, Turn
from harken.feedback.desk.keeping import Remark, Said
from harken.feedback.records import check
from harken.studio.state import Studio
from harken.types import Answer, Choice, Comparison, Edit, Feedback, Ranking, Rating

FIELDS = {
    "comparison": {"choice", "strength"},
    "ranking": {"tiers", "rest"},
    "rating": {"scores"},
    "edit": {"candidate", "revision"},
}
REMARKS = ("flag", "comment", "skip")
LONGEST_REMARK, LONGEST_EDIT = 10_000, 100_000
"""Letters of a comment, and of a revised text."""


@dataclass(frozen=True)
class Reply:
    """What a page sends for one turn.

    Attributes:
        key: the turn's.
        said: by the form; empty where it was skipped.
        seconds: from shown to answered.
        amends: which of its answers to this turn it replaces: 0 for none, 1 for the first, and so on.
        remarks: a flag, a comment, or why it was skipped.
    """

    key: str
    said: Mapping[str, Any]
    seconds: float | None
    amends: int
    remarks: Mapping[str, str]


def said_of(studio: Studio, turn: Turn, reply: Reply) -> Said:
    """What is to be kept.

    Raises:
        ValueError: if it makes no sense; says what, and how to mend it.
    """
    item = studio.desk.items[turn.item]
    remarks = _remarks(turn, reply)
    if not reply.said:
        if "skip" not in reply.remarks and "flag" not in reply.remarks:
            raise ValueError("an answer says something, or skips, or flags")
        if turn.ended == "answered":
            raise ValueError("this item is answered; amend the answer instead of skipping it")
        return Said(turn.key, "skipped", turn.amended, (), remarks)
    feedbacks = _feedback(studio, item, turn, reply.said)
    found = studio.completions(item.completions)
    for feedback in feedbacks.values():
        check(feedback, found)
    answers = tuple(
        Answer(
            key=key_of(turn.key, suffix, reply.amends),
            annotator=turn.annotator,
            annotator_kind="human",
            feedback=feedback,
            seconds=reply.seconds,
            amends=key_of(turn.key, suffix, reply.amends - 1) if reply.amends else None,
        )
        for suffix, feedback in feedbacks.items()
    )
    return Said(turn.key, "answered", max(turn.amended, reply.amends), answers, remarks)


def blind(studio: Studio, turn: Turn, words: str) -> str:
    """Words for whoever answers: candidates as the page calls them, since ids may tell whose they are."""
    item = studio.desk.items[turn.item]
    for name in item.completions:
        words = words.replace(repr(name), repr(studio.hidden(turn.key, name)))
    return words.replace(f"prompt {item.prompt_id!r}", "this prompt")


def key_of(turn: str, suffix: str, version: int) -> str:
    """The key of the so-manieth answer to a turn (and to one of its criteria)."""
    return turn + (f":{suffix}" if suffix else "") + (f"~{version}" if version else "")


def turn_of(key: str) -> str:
    """The turn that an answer's key belongs to."""
    return key.partition(":")[0].partition("~")[0]


def keys_of(studio: Studio, turn: Turn) -> list[str]:
    """The keys of all answers that there can be to a turn."""
    criteria = studio.desk.settings(studio.desk.items[turn.item].project).criteria
    suffixes = ["", *(criterion.name for criterion in criteria[1:])]
    return [key_of(turn.key, suffix, version) for version in range(turn.amended + 1) for suffix in suffixes]


def _remarks(turn: Turn, reply: Reply) -> tuple[Remark, ...]:
    out = []
    for kind, text in reply.remarks.items():
        if kind not in REMARKS:
            raise ValueError(f"there is no remark {kind!r}; there are {', '.join(REMARKS)}")
        _bound("a comment", text, LONGEST_REMARK)
        if kind != "comment" or text.strip():
            # The same words again are the same remark, others another one, whatever they came with.
            digest = sha256(text.strip().encode()).hexdigest()[:16]
            out.append(Remark(f"{turn.key}/{kind}~{digest}", turn.item, turn.annotator, kind, text.strip()))
    return tuple(out)


def _bound(what: str, words: str, most: int) -> None:
    if len(words) > most:
        raise ValueError(f"{what} has at most {most:,} letters, and this one has {len(words):,}; shorten it")


def _feedback(studio: Studio, item: Item, turn: Turn, said: Mapping[str, Any]) -> dict[str, Feedback]:
    """By what is added to the key: the criterion, where there are several answers."""
    unknown = set(said) - FIELDS[item.form]
    if unknown:
        raise ValueError(f"a {item.form} says {', '.join(sorted(FIELDS[item.form]))}, not {', '.join(sorted(unknown))}")
    real = {studio.hidden(turn.key, name): name for name in item.completions}
    settings = studio.desk.settings(item.project)
    criterion = settings.criteria[0].name
    match item.form:
        case "comparison":
            return {"": _comparison(studio, item, turn, said, criterion)}
        case "ranking":
            tiers = tuple(tuple(_real(real, name) for name in tier) for tier in _lists(said.get("tiers")))
            rest = tuple(_real(real, name) for name in _names(said.get("rest", [])))
            placed = sum(len(tier) for tier in tiers)
            if placed + len(rest) != len(item.completions):
                raise ValueError("a ranking places every candidate once, or leaves it in `rest`")
            if settings.top_k is None and rest:
                raise ValueError("this ranking asks for all candidates; leave none in `rest`")
            return {"": Ranking(item.prompt_id, tiers, rest, criterion)}
        case "rating":
            return _ratings(item, settings.criteria, said.get("scores"))
        case "edit":
            revision = said.get("revision")
            if not isinstance(revision, str):
                raise ValueError("an edit gives the revised text as `revision`")
            _bound("an edit", revision, LONGEST_EDIT)
            return {"": Edit(item.prompt_id, _real(real, said.get("candidate")), revision)}


def _comparison(studio: Studio, item: Item, turn: Turn, said: Mapping[str, Any], criterion: str) -> Comparison:
    first, second = studio.shuffled(item, turn.annotator)
    choice = said.get("choice")
    named: dict[str, Choice] = {studio.hidden(turn.key, first): "a", studio.hidden(turn.key, second): "b"}
    known: dict[str, Choice] = {**named, "tie": "tie", "both_bad": "both_bad"}
    found = known.get(str(choice))
    if found is None:
        raise ValueError("a comparison's choice is a candidate's id, `tie` or `both_bad`")
    strength = said.get("strength")
    if strength is not None and (not isinstance(strength, int) or isinstance(strength, bool)):
        raise ValueError("the strength of a comparison is 1, 2 or 3")
    return Comparison(item.prompt_id, first, second, found, criterion, strength=strength)


def _ratings(item: Item, criteria: Any, scores: Any) -> dict[str, Feedback]:
    if not isinstance(scores, Mapping) or not scores:
        raise ValueError("a rating gives `scores`: a grade for each criterion")
    known = {criterion.name: criterion for criterion in criteria}
    out: dict[str, Feedback] = {}
    for name, score in scores.items():
        if name not in known:
            raise ValueError(f"there is no criterion {name!r}; there are {', '.join(known)}")
        if not isinstance(score, int) or isinstance(score, bool):
            raise ValueError(f"the grade of {name!r} is a whole number, not {score!r}")
        out[name] = Rating(item.prompt_id, item.completions[0], score, known[name].levels, name)
    missing = [name for name in known if name not in out]
    if missing:
        raise ValueError(f"no grade for {', '.join(missing)}")
    # The first criterion's answer is the turn's own, so that a turn with one criterion has the turn's key.
    first = criteria[0].name
    return {("" if name == first else name): rating for name, rating in out.items()}


def _real(real: Mapping[str, str], name: object) -> str:
    if not isinstance(name, str) or name not in real:
        raise ValueError(f"{name!r} is no candidate of this item")
    return real[name]


def _lists(value: object) -> list[list[str]]:
    if not isinstance(value, list) or not value:
        raise ValueError("a ranking gives `tiers`: lists of candidates, the best first")
    return [_names(tier) for tier in value]


def _names(value: object) -> list[str]:
    if not isinstance(value, list):
        raise ValueError("a list of candidates is wanted")
    return value
