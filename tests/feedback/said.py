"""Prompts, completions and statements for the tests of this room."""

from hypothesis import strategies as st

from harken.types import (
    Answer,
    Audio,
    Comparison,
    Completion,
    Edit,
    Feedback,
    Image,
    Message,
    Numbers,
    Prompt,
    Ranking,
    Rating,
    Text,
)

PROMPTS = [Prompt(name, (Message("user", (Text(f"What is {name}?"),)),)) for name in ("p", "q")]
COMPLETIONS = [Completion(f"{p}{i}", p, f"It is {i} of {p}.", "model") for p in ("p", "q") for i in range(4)]
BY_ID = {completion.id: completion for completion in COMPLETIONS}

# Every text that can be stored: no halves of characters.
texts = st.text(st.characters(exclude_categories=["Cs"]))
names = texts.filter(bool)
hashes = st.text("0123456789abcdef", min_size=64, max_size=64)
parts = st.builds(Text, texts) | st.builds(Image, hashes) | st.builds(Audio, hashes) | st.builds(Numbers, hashes)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
messages = st.builds(Message, st.sampled_from(["system", "user", "assistant"]), st.lists(parts, max_size=4).map(tuple))
prompts = st.builds(
    Prompt,
    names,
    st.lists(messages, max_size=3).map(tuple),
    st.lists(texts, max_size=3).map(tuple),
    st.dictionaries(texts, plain, max_size=3),
)


@st.composite
def comparisons(draw: st.DrawFn) -> Comparison:
    a, b = draw(st.permutations(["p0", "p1", "p2", "p3"]))[:2]
    choice, criterion = draw(st.sampled_from(["a", "b", "tie", "both_bad"])), draw(st.sampled_from(["overall", "wit"]))
    if draw(st.booleans()):
        return Comparison("p", a, "q0", choice, criterion, "q")
    return Comparison("p", a, b, choice, criterion)


@st.composite
def rankings(draw: st.DrawFn) -> Ranking:
    """Some of prompt p's completions, cut into tiers, and perhaps a rest."""
    order = draw(st.permutations(["p0", "p1", "p2", "p3"]))[: draw(st.integers(2, 4))]
    cuts = sorted(draw(st.sets(st.integers(1, len(order) - 1))))
    tiers = [tuple(order[i:j]) for i, j in zip([0, *cuts], [*cuts, len(order)], strict=True)]
    rest = tiers.pop() if len(tiers) > 1 and draw(st.booleans()) else ()
    return Ranking("p", tuple(tiers), rest)


@st.composite
def ratings(draw: st.DrawFn) -> Rating:
    levels = draw(st.integers(2, 11))
    criterion = draw(texts.filter(lambda text: bool(text.strip())))
    return Rating("p", draw(st.sampled_from(["p0", "p1"])), draw(st.integers(1, levels)), levels, criterion)


@st.composite
def edits(draw: st.DrawFn) -> Edit:
    revision = draw(texts.filter(lambda text: bool(text.strip()) and text != BY_ID["p0"].text))
    return Edit("p", "p0", revision)


statements: st.SearchStrategy[Feedback] = comparisons() | rankings() | ratings() | edits()


def comparison(key: str, choice: str = "a", annotator: str = "ada", amends: str | None = None) -> Answer:
    return Answer(key, annotator, "human", Comparison("p", "p0", "p1", choice), amends=amends)


def compared(annotator: str, a: str, b: str, choice: str, seconds: float | None = None, key: str = "") -> Answer:
    """A comparison of two of prompt p's completions, under a key of its own."""
    return Answer(key or f"{annotator} {a} {b} {choice}", annotator, "human", Comparison("p", a, b, choice), seconds)
