"""Records into prompts, completions and answers, each record whole or not at all."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harken.data.record import FieldError, check, content_id
from harken.feedback.exchange.folder import Folder
from harken.feedback.exchange.forms import Statement, statements
from harken.feedback.exchange.mapping import ImportMapping, Join, PartOf
from harken.feedback.exchange.media import MediaDoor
from harken.feedback.exchange.tables import DataError, Record, read_table
from harken.feedback.exchange.templates import MISSING, RecordError, fill, fill_value, shown, value_of, written
from harken.feedback.records import check as check_statement
from harken.feedback.records import feedback_to_json, kind_of
from harken.types import Answer, Audio, Completion, Image, Message, Numbers, Part, Prompt, Text

LONGEST_NAME = 170
"""With a mapping's name before it, it fits the 255 letters of the store's columns."""


@dataclass
class Harvest:
    """What the records gave, by id and in order.

    Attributes:
        prompts: by id.
        completions: by id.
        answers: by key.
        repeated: answers that an earlier file has word for word; they are kept once.
        silent: records that say nothing.
        read: how often each field that answers are read from was found.
    """

    prompts: dict[str, Prompt] = field(default_factory=dict)
    completions: dict[str, Completion] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    repeated: int = 0
    silent: int = 0
    read: Counter[str] = field(default_factory=Counter)


def records(mapping: ImportMapping, folder: Folder) -> Iterator[Record]:
    """The records of all files, with what is extracted and joined.

    Raises:
        DataError: if a file as a whole cannot be read.
    """
    wanted = mapping.records
    joined = [(join, _joined(join, folder)) for join in wanted.joins]
    patterns = {name: _compiled(name, pattern) for name, pattern in wanted.extract.items()}
    for name, data in folder.sources(wanted.files, wanted.zip, wanted.without):
        for record in read_table(name, data, wanted.format, wanted.at, wanted.columns, folder.most):
            if record.error is not None:
                yield record
                continue
            try:
                fields = _extracted(record.fields, patterns)
                for join, table in joined:
                    refuse_taken(join.name, fields, "give the join another name")
                    fields[join.name] = _looked_up(join, table, fields)
            except RecordError as error:
                yield replace(record, error=str(error))
            else:
                yield replace(record, fields=fields, source=name)


def _compiled(name: str, pattern: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise DataError(f"records.extract.{name}: {pattern!r} is no regular expression: {error}") from error
    if not compiled.groupindex:
        raise DataError(f"records.extract.{name}: {pattern!r} names no group; write (?P<name>...)")
    return compiled


def _extracted(fields: Mapping[str, Any], patterns: Mapping[str, re.Pattern[str]]) -> dict[str, Any]:
    out = dict(fields)
    for name, pattern in patterns.items():
        text = written(value_of(fields, name), name)
        found = pattern.search(text)
        if found is None:
            raise RecordError(name, f"{shown(text)} does not fit records.extract.{name}: {pattern.pattern}")
        for group, part in found.groupdict().items():
            refuse_taken(group, out, f"name the group of records.extract.{name} otherwise")
            out[group] = part
    return out


def refuse_taken(name: str, fields: Mapping[str, Any], how: str) -> None:
    """Refuse to write over a field that the record has.

    Raises:
        RecordError: saying how to mend it.
    """
    if name in fields:
        raise RecordError(name, f"the record has a field of this name itself; {how}")


def _joined(join: Join, folder: Folder) -> dict[str, Mapping[str, Any]]:
    table: dict[str, Mapping[str, Any]] = {}
    for name, data in folder.sources(join.file, None):
        for record in read_table(name, data, join.format, most=folder.most):
            try:
                if record.error is not None:
                    raise RecordError("", record.error)
                key = fill(join.key, record.fields)
            except RecordError as error:
                raise DataError(f"{record.place}: {error}") from error
            if key in table:
                raise DataError(f"{record.place}: the key {key!r} of the join {join.name!r} is there twice")
            table[key] = record.fields
    return table


def _looked_up(join: Join, table: Mapping[str, Mapping[str, Any]], fields: Mapping[str, Any]) -> Mapping[str, Any]:
    key = fill(join.match, fields)
    if key not in table:
        raise RecordError(join.name, f"{join.file} has no record with the key {key!r}; add it there")
    return table[key]


class Reader:
    """Makes prompts, completions and answers of records.

    Args:
        mapping: how.
        media: takes what they name.
    """

    def __init__(self, mapping: ImportMapping, media: MediaDoor):
        self._mapping = mapping
        self._media = media
        self.harvest = Harvest()
        self._places: dict[str, str] = {}
        self._said: Counter[tuple[str, str]] = Counter()

    def take(self, record: Record) -> None:
        """Add what a record holds; all of it, or nothing.

        Raises:
            RecordError: if anything in it is wrong.
        """
        if record.error is not None:
            raise RecordError("", record.error)
        prompt = self._prompt(record)
        completions = self._completions(record, prompt.id)
        said = [s for answer in self._mapping.answers for s in statements(answer.form, record.fields, completions)]
        by_id = {completion.id: completion for completion in completions}
        for statement in said:
            _refuse_name(statement.annotator, "annotator")
            try:
                check_statement(statement.feedback, by_id)
            except ValueError as error:
                raise RecordError("answers", str(error)) from error
        self.harvest.prompts[prompt.id] = prompt
        self._places.setdefault(prompt.id, record.place)
        self.harvest.completions.update(by_id)
        for statement in said:
            answer = self._answer(statement, record.source)
            self.harvest.repeated += answer.key in self.harvest.answers
            self.harvest.answers[answer.key] = answer
            self.harvest.read[statement.field] += 1
        self.harvest.silent += not said

    def _prompt(self, record: Record) -> Prompt:
        wanted, fields = self._mapping.prompt, record.fields
        system = fill(wanted.system, fields) if wanted.system is not None else ""
        messages = [Message("system", (Text(system),))] if system else []
        taken = (self._part(given, fields) for given in wanted.parts)
        parts = tuple(part for part in taken if part is not None)
        filled = (fill(template, fields) for template in wanted.references)
        references = tuple(text for text in filled if text)
        values = ((name, fill_value(template, fields)) for name, template in wanted.facts.items())
        facts = {name: value for name, value in values if value is not MISSING}
        prompt = _named(
            Prompt("unnamed", (*messages, Message("user", parts)), references, facts), self._mapping, fields
        )
        there = self.harvest.prompts.get(prompt.id)
        if there is not None and there != prompt:
            part = next(name for name in ("messages", "references", "facts") if vars_of(there, prompt, name))
            raise RecordError(
                "prompt.id",
                f"{prompt.id!r} is the prompt of {self._places[prompt.id]} too, with other {part}; correct the record, "
                "or let prompt.id in the mapping tell the two apart",
            )
        return prompt

    def _part(self, given: PartOf, fields: Mapping[str, Any]) -> Part | None:
        if given.image is not None:
            return Image(self._media.take(given.image, fields, "image"))
        if given.audio is not None:
            return Audio(self._media.take(given.audio, fields, "audio"))
        if given.numbers is not None:
            return Numbers(self._media.take(given.numbers, fields, "numbers"))
        text = fill(given.text or "", fields)
        return Text(text) if text else None

    def _completions(self, record: Record, prompt_id: str) -> list[Completion]:
        wanted = self._mapping.completions
        texts = [fill(template, record.fields) for template in wanted.texts]
        each: list[Mapping[str, Any]] = [record.fields for _ in texts]
        if wanted.field is not None:
            items = value_of(record.fields, wanted.field)
            if not isinstance(items, list):
                raise RecordError(wanted.field, f"a list of completions is wanted, not {shown(items)}")
            each = [{**record.fields, "@item": item, "@index": i} for i, item in enumerate(items)]
            texts = [fill(wanted.text, fields) for fields in each]
            if not texts:
                raise RecordError(wanted.field, "an empty list; a record needs a completion that something is said of")
        policies = [self._policy(i, fields) for i, fields in enumerate(each)]
        made, twins = [], Counter[tuple[str, str]]()
        for text, policy in zip(texts, policies, strict=True):
            _refuse_text(text, wanted.empty)
            # The same text twice in one record are two completions: a comparison of equals is a statement as well.
            name = _hash(prompt_id, policy, text, twins[(policy, text)])
            twins[(policy, text)] += 1
            made.append(Completion(f"c-{name}", prompt_id, text, policy))
        return made

    def _policy(self, i: int, fields: Mapping[str, Any]) -> str:
        policy = self._mapping.completions.policy
        if isinstance(policy, tuple):
            if i >= len(policy):
                raise RecordError("completions.policy", f"{len(policy)} policies for {i + 1} or more texts; name each")
            policy = policy[i]
        name = self._mapping.name if policy is None else fill(policy, fields)
        _refuse_name(name, "policy")
        return name

    def _answer(self, statement: Statement, source: str) -> Answer:
        annotator = f"{self._mapping.name}/{statement.annotator}"
        said = feedback_to_json(statement.feedback)
        what = _hash(annotator, kind_of(statement.feedback), said, statement.count)
        # Said twice in one file is two answers; the same file twice, or another one with the same line, is not.
        time = self._said[(source, what)]
        self._said[(source, what)] += 1
        key = f"import-{_hash(what, time)}"
        return Answer(key, annotator, statement.kind, statement.feedback, statement.seconds, count=statement.count)


def _named(prompt: Prompt, mapping: ImportMapping, fields: Mapping[str, Any]) -> Prompt:
    """The prompt with its id, checked."""
    try:
        # Before an id is made of it, which takes what can be written only.
        check(prompt)
        name = content_id(prompt) if mapping.prompt.id is None else fill(mapping.prompt.id, fields)
        if not name:
            raise FieldError("id", f"empty, made of {mapping.prompt.id!r}; fill the field, or leave prompt.id out")
        named = replace(prompt, id=f"{mapping.name}/{name}")
        check(named)
    except FieldError as error:
        raise RecordError(f"prompt.{error.field}", error.why) from error
    return named


def vars_of(one: Prompt, other: Prompt, name: str) -> bool:
    """Whether two prompts differ in a field."""
    return bool(getattr(one, name) != getattr(other, name))


def _hash(*what: object) -> str:
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:32]


def _refuse_name(name: str, what: str) -> None:
    if not name.strip() or not name.isprintable() or len(name) > LONGEST_NAME:
        raise RecordError(what, f"{shown(name)} is no name; write 1 to {LONGEST_NAME} printable letters")


def _refuse_text(text: str, empty: bool) -> None:
    if not text and not empty:
        raise RecordError(
            "completions", "a completion is empty; leave the record out, or write `empty: true` if nothing was answered"
        )
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise RecordError("completions", f"{shown(text)} holds a NUL or half a letter; take it out")


def parts_of(prompts: Sequence[Prompt]) -> Counter[str]:
    """How many media of each kind prompts show."""
    kinds = {Image: "images", Audio: "audio", Numbers: "numbers"}
    shown_parts = {part for p in prompts for m in p.messages for part in m.parts if not isinstance(part, Text)}
    return Counter(kinds[type(part)] for part in shown_parts)
