"""Random stores with real media, and what formats can hold of them."""

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
from hypothesis import strategies as st
from PIL import Image as Pillow
from said import COMPLETIONS, names, plain, statements, texts

from harken.data.blobs import Blobs
from harken.feedback.exchange.door import Place, find_place
from harken.feedback.kinds.edit import revision
from harken.feedback.records import named_completions
from harken.feedback.store import FeedbackStore
from harken.types import Answer, Audio, Comparison, Completion, Edit, Image, Message, Numbers, Prompt, Ranking, Text

KINDS = {"ada": "human", "bob": "human", "=cmd|' /C calc'!A0": "human", "sim": "simulated", "judge": "model"}


def png(seed: int) -> bytes:
    out = io.BytesIO()
    Pillow.fromarray(np.random.default_rng(seed).integers(0, 256, (40, 32, 3), dtype=np.uint8)).save(out, "PNG")
    return out.getvalue()


def wav(seed: int) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, np.random.default_rng(seed).uniform(-0.9, 0.9, 400), 8_000, format="WAV")
    return out.getvalue()


PICTURES, SOUNDS, SERIES = [png(0), png(1)], [wav(0)], [b"1,2.5\n-3,1e-10\n", b'"x, or y"\n7\n']


@dataclass(frozen=True)
class Contents:
    """What a store is filled with; media by the place that they have in PICTURES, SOUNDS and SERIES."""

    prompts: tuple[Prompt, ...]
    completions: tuple[Completion, ...]
    answers: tuple[Answer, ...]


@st.composite
def contents(draw: st.DrawFn, media: bool = True) -> Contents:
    """Prompts p and q and one of any name, eight completions of any text, up to twelve answers, some amended."""
    # Media are named by their hash, which is known before they lie anywhere.
    pictures = [Image(sha256_of(data)) for data in PICTURES]
    sounds = [Audio(sha256_of(data)) for data in SOUNDS]
    series = [Numbers(sha256_of(data)) for data in SERIES]
    part = st.builds(Text, texts) | (st.sampled_from([*pictures, *sounds, *series]) if media else st.nothing())
    message = st.builds(
        Message, st.sampled_from(["system", "user", "assistant"]), st.lists(part, max_size=3).map(tuple)
    )
    conversation = st.lists(message, max_size=3).map(tuple)
    rest = (st.lists(texts, max_size=2).map(tuple), st.dictionaries(texts, plain, max_size=2))
    third = draw(names.filter(lambda name: name not in ("p", "q")))
    prompts = tuple(draw(st.builds(Prompt, st.just(name), conversation, *rest)) for name in ("p", "q", third))
    completions = tuple(
        replace(one, text=draw(texts), policy=draw(texts), finished=draw(st.booleans())) for one in COMPLETIONS
    )
    said = draw(st.lists(statements.filter(lambda one: _changes(one, completions)), max_size=12))
    return Contents(prompts, completions, tuple(_answers(draw, said)))


def _answers(draw: st.DrawFn, said: Sequence) -> list[Answer]:
    answers: list[Answer] = []
    for number, statement in enumerate(said):
        who = draw(st.sampled_from(sorted(KINDS)))
        free = [a.key for a in answers if a.annotator == who and a.key not in {b.amends for b in answers}]
        amends = draw(st.sampled_from([None, *free]))
        seconds = draw(st.none() | st.floats(0, 1e6))
        key = f"{number} {draw(texts)}"
        answers.append(Answer(key, who, KINDS[who], statement, seconds, amends, draw(st.integers(1, 9))))
    return answers


def _changes(said: object, completions: Sequence[Completion]) -> bool:
    texts_of = {completion.id: completion.text for completion in completions}
    return not isinstance(said, Edit) or said.revision != texts_of[said.completion]


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def fill(folder: Path, given: Contents, media: bool = True) -> Place:
    """A store with these contents, and its blobs."""
    place = find_place(str(folder))
    folder.mkdir(parents=True, exist_ok=True)
    if media:
        put_media(place)
    with FeedbackStore(place.store) as store:
        store.add_prompts(given.prompts)
        store.add_completions(given.completions)
        store.add_answers(given.answers)
    return place


def put_media(place: Place) -> None:
    blobs = Blobs(place.blobs, flush=False)
    for data in PICTURES:
        blobs.put(data, "image")
    for data in SOUNDS:
        blobs.put(data, "audio")
    for data in SERIES:
        assert blobs.put(data, "numbers") == sha256_of(data)


def held(place: Place) -> dict[str, Answer]:
    with FeedbackStore(place.store) as store:
        return {answer.key: answer for answer in store.answers(amended=True)}


def last_words(given: Contents) -> list[Answer]:
    """Answers that nobody amended, as those formats have them that do not know amendments."""
    replaced = {answer.amends for answer in given.answers}
    return [replace(answer, amends=None) for answer in given.answers if answer.key not in replaced]


def all_of(place: Place) -> tuple[dict[str, Prompt], dict[str, Completion]]:
    with FeedbackStore(place.store) as store:
        return {one.id: one for one in store.prompts()}, {one.id: one for one in store.completions()}


def spoken_of(answers: Sequence[Answer]) -> tuple[set[str], set[str]]:
    """Ids of the prompts and completions that answers speak of, revisions included."""
    prompts = {answer.feedback.prompt_id for answer in answers}
    prompts |= {a.feedback.other_prompt_id for a in answers if isinstance(a.feedback, Comparison)} - {None}
    completions = {name for answer in answers for name in named_completions(answer.feedback)}
    completions |= {revision(a.feedback, a.annotator).id for a in answers if isinstance(a.feedback, Edit)}
    return prompts, completions


def orders_something(said: Ranking) -> bool:
    return len(said.tiers) + bool(said.rest) > 1
