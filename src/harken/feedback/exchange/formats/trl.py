"""TRL's preference format: prompt, chosen, rejected, the prompt's media in columns `images`, `audios` and `numbers`.

Parquet, which `datasets` loads with the pictures in it, or JSON lines for prompts of words alone. Where some prompt
has a medium, contents are lists of parts with a placeholder for each, as TRL wants them for models that see; else
they are texts. `audios` and `numbers` (CSV) are harken's own extensions: TRL reads pictures.

Held: comparisons with a winner, rankings (a row for every two completions in order), edits (the revision against what
it revises). Not held, and counted: ties, both bad, ratings, comparisons across two prompts, rankings that order
nothing, answers that were amended (what they were amended to is there, and no longer says that it amends). A crowd's
answer is one row; its count stands in the column `harken`.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from harken.data.blobs import Blobs
from harken.feedback.exchange.arrow import Column, ParquetOut, medium, read_parquet
from harken.feedback.exchange.foreign import Foreign, single
from harken.feedback.exchange.jsonfile import JsonOut, read_json
from harken.feedback.exchange.parcel import (
    FIELD,
    Parcel,
    Tally,
    from_json,
    refuse_changed,
    statement_by_statement,
    to_text,
)
from harken.feedback.exchange.tables import DataError
from harken.feedback.exchange.templates import shown
from harken.feedback.exchange.turns import Reader, media, placeholder_turns, text_turns
from harken.feedback.kinds import comparison, edit, ranking
from harken.feedback.store import FeedbackStore
from harken.types import Answer, Comparison, Edit, Feedback, Message, Modality, Ranking, Rating, Text

SUFFIXES = (".parquet", ".jsonl")
COLUMNS: tuple[tuple[Modality, str], ...] = (("image", "images"), ("audio", "audios"), ("numbers", "numbers"))
PART: Column = {"type": "string", "text": "string"}


def write(store: FeedbackStore, blobs: Blobs, out: BinaryIO, suffix: str = ".parquet") -> Tally:
    """Write what people preferred, as it comes out of the store.

    Raises:
        DataError: for prompts with media, if the suffix is .jsonl.
        MediaError: if a medium is not there.
    """
    shown_media = _kinds_of_media(store)
    if suffix == ".jsonl":
        if shown_media:
            raise DataError("some prompts have media, which JSON lines cannot hold for TRL; write a .parquet file")
        with JsonOut(out, lines=True) as lines:
            return _write(store, blobs, lines, shown_media)
    content: Column = [PART] if shown_media else "string"
    turns: Column = [{"role": "string", "content": content}]
    columns: dict[str, Column] = {"prompt": turns, "chosen": turns, "rejected": turns, FIELD: "string"}
    columns |= {column: [modality] for modality, column in COLUMNS if modality in shown_media}
    with ParquetOut(out, columns) as rows:
        return _write(store, blobs, rows, shown_media)


def _write(store: FeedbackStore, blobs: Blobs, out: JsonOut | ParquetOut, shown_media: frozenset[Modality]) -> Tally:
    tally = Tally()
    for given in statement_by_statement(store.stream(), tally, _cannot_hold):
        for row in _rows(given, blobs, shown_media):
            out.add(row)
            tally.records += 1
    return tally


def read(file: Path, blobs: Blobs, levels: int = 5) -> Iterator[Parcel]:
    """Read preferences, harken's own and those of other programs.

    Those of others have an explicit prompt, or one that chosen and rejected begin with; texts, or turns.

    Raises:
        DataError: what is wrong, and in which row.
    """
    foreign = Foreign("trl", file, blobs, levels)
    for place, row in read_json(file) if file.suffix == ".jsonl" else read_parquet(file):
        reader = foreign.reader(place)
        for modality, column in COLUMNS:
            reader.waiting[modality] = [_put(reader, one, modality) for one in _media_of(row, modality, column)]
        if row.get(FIELD) is not None:
            yield _own(row, reader, blobs)
        else:
            yield _others(row, reader, foreign)


def _kinds_of_media(store: FeedbackStore) -> frozenset[Modality]:
    kinds: set[Modality] = set()
    for item in store.stream():
        kinds |= {modality for modality, _ in COLUMNS if media(item.prompt, modality)}
    return frozenset(kinds)


def _cannot_hold(said: Feedback) -> str:
    match said:
        case Rating():
            return "ratings"
        case Comparison(other_prompt_id=str()):
            return "comparisons across two prompts"
        case Comparison(choice="tie" | "both_bad"):
            return "ties and both bad"
        case Ranking() if not ranking.pairs(said):
            return "rankings that order nothing"
    return ""


def _pairs(answer: Answer) -> list[tuple[str, str]]:
    match answer.feedback:
        case Comparison() as said:
            return comparison.pairs(said)
        case Ranking() as said:
            return ranking.pairs(said)
        case Edit() as said:
            return edit.pairs(said, answer.annotator)
        case Rating():
            return []


def _rows(given: Parcel, blobs: Blobs | None, shown_media: frozenset[Modality]) -> Iterator[dict[str, Any]]:
    """The rows of a parcel with one answer; without blobs, no media in them."""
    prompt, answer = given.prompts[0], given.answers[0]
    texts = {completion.id: completion.text for completion in given.completions}
    if isinstance(answer.feedback, Edit):
        texts[edit.revision(answer.feedback, answer.annotator).id] = answer.feedback.revision
    for better, worse in _pairs(answer):
        row: dict[str, Any] = {
            "prompt": placeholder_turns(prompt) if shown_media else text_turns(prompt),
            "chosen": _reply(texts[better], bool(shown_media)),
            "rejected": _reply(texts[worse], bool(shown_media)),
            FIELD: to_text(given),
        }
        if blobs is not None:
            for modality, column in COLUMNS:
                if modality in shown_media:
                    row[column] = [medium(blobs, sha256) for sha256 in media(prompt, modality)]
        yield row


def _reply(text: str, parts: bool) -> list[dict[str, Any]]:
    return [{"role": "assistant", "content": [{"type": "text", "text": text}] if parts else text}]


def _media_of(row: Mapping[str, Any], modality: Modality, column: str) -> list[Any]:
    """A column of lists, or one of single media under the singular name."""
    one = row.get(modality) if modality != column else None
    return list(row.get(column) or ([] if one is None else [one]))


def _put(reader: Reader, value: Any, modality: Modality) -> str:
    match value:
        case {"bytes": bytes(data)} | bytes(data):
            return reader.put(data, modality)
        case {"path": str(name)} | str(name):
            return reader.put(name, modality)
        case _:
            raise DataError(f"{reader.place}: {modality}: {shown(value)} has neither bytes nor a path")


def _own(row: Mapping[str, Any], reader: Reader, blobs: Blobs) -> Parcel:
    given = from_json(row[FIELD], reader.place)
    if len(given.answers) != 1 or not given.prompts:
        raise DataError(f"{reader.place}: the field {FIELD!r} must hold one answer; take it out to read the rest")
    words = all(isinstance(turn.get("content"), str) for turn in row.get("chosen") or ())
    seen = frozenset() if words else frozenset(modality for modality, _ in COLUMNS)
    try:
        candidates = list(_rows(given, None, seen))
    except KeyError as error:
        raise DataError(f"{reader.place}: the field {FIELD!r} lacks completion {error}; take the field out") from error
    same = next((one for one in candidates if all(row.get(name) == one[name] for name in ("chosen", "rejected"))), None)
    refuse_changed(row, same or candidates[0], reader.place)
    for modality, column in COLUMNS:
        if reader.waiting[modality] != media(given.prompts[0], modality):
            raise DataError(f"{reader.place}: {column!r} was changed after harken wrote it; take {FIELD!r} out")
    return given


def _others(row: Mapping[str, Any], reader: Reader, foreign: Foreign) -> Parcel:
    place = reader.place
    for name in ("chosen", "rejected"):
        if row.get(name) is None:
            raise DataError(f"{place}: no {name!r}; a preference has prompt, chosen and rejected")
    chosen, rejected, asked = row["chosen"], row["rejected"], row.get("prompt")
    if asked is None:
        asked, chosen, rejected = _common(chosen, rejected, place)
    messages = reader.turns(asked, "prompt")
    reader.done()
    prompt = foreign.prompt(messages, place)
    texts = [_answer_text(chosen, reader, "chosen"), _answer_text(rejected, reader, "rejected")]
    a, b = foreign.pair(prompt, texts, [None, None], place)
    said = foreign.answer(Comparison(prompt.id, a.id, b.id, "a"), {a.id: a, b.id: b}, place)
    return single(prompt, (a, b), (said,))


def _common(chosen: Any, rejected: Any, place: str) -> tuple[Any, Any, Any]:
    """The prompt that both conversations begin with, as TRL finds it."""
    if isinstance(chosen, str) or isinstance(rejected, str):
        raise DataError(f"{place}: texts without a prompt; write the prompt into a column 'prompt'")
    same = 0
    while same < min(len(chosen), len(rejected)) and chosen[same] == rejected[same]:
        same += 1
    # Equal answers share their last turn too.
    same = min(same, len(chosen) - 1, len(rejected) - 1)
    return list(chosen[:same]), chosen[same:], rejected[same:]


def _answer_text(value: Any, reader: Reader, name: str) -> str:
    if isinstance(value, str):
        return value
    messages: tuple[Message, ...] = reader.turns(value, name)
    if len(messages) != 1 or messages[0].role != "assistant" or not all(isinstance(p, Text) for p in messages[0].parts):
        raise DataError(f"{reader.place}: {name} must be one turn of the assistant, of text; harken keeps no other")
    return "\n".join(part.text for part in messages[0].parts if isinstance(part, Text))
