import base64
import json
import logging
import os
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_media import png, wav

from harken.data.blobs import Blobs
from harken.data.prompts import PromptError, load_prompts, read_prompts, save_prompts
from harken.types import Audio, Image, Message, Prompt, Text


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "given"
    (folder / "pics").mkdir(parents=True)
    (folder / "pics" / "a.png").write_bytes(png())
    (folder / "图片.png").write_bytes(png(1))
    (folder / "a.wav").write_bytes(wav())
    (folder / "cut.png").write_bytes(png(2, 30, 30)[:-500])
    (tmp_path / "secret.png").write_bytes(png(9))
    return folder


def write(folder: Path, *records: object) -> Path:
    path = folder / "prompts.jsonl"
    lines = [r if isinstance(r, bytes) else json.dumps(r, ensure_ascii=False).encode() for r in records]
    path.write_bytes(b"\n".join(lines))
    return path


def said(*parts: object, **more: object) -> dict:
    return {"messages": [{"role": "user", "content": list(parts)}], **more}


def asked(text: str = "Hello?", **more: object) -> dict:
    return {"messages": [{"role": "user", "content": text}], **more}


WORDS = {"type": "text", "text": "What is this?"}


def test_a_whole_record(folder, blobs):
    record = {
        "id": "p1",
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": [{"type": "image", "image": "pics/a.png"}, WORDS]},
            {"role": "assistant", "content": "A digit."},
            {"role": "user", "content": "Which?"},
        ],
        "references": ["Seven.", "It is seven."],
        "facts": {"number": 7, "nested": [{"a": None}, 0.5, True]},
    }
    (prompt,) = load_prompts(write(folder, record), blobs)
    picture = blobs.put(png(), "image")
    assert prompt == Prompt(
        "p1",
        (
            Message("system", (Text("Be kind."),)),
            Message("user", (Image(picture), Text("What is this?"))),
            Message("assistant", (Text("A digit."),)),
            Message("user", (Text("Which?"),)),
        ),
        ("Seven.", "It is seven."),
        {"number": 7, "nested": [{"a": None}, 0.5, True]},
    )


PICTURE = base64.b64encode(png()).decode()
SOUND = base64.b64encode(wav()).decode()


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image", "image": "pics/a.png"},
        {"type": "image", "path": "pics/a.png"},
        {"type": "image", "url": "pics/a.png"},
        {"type": "image_url", "image_url": {"url": "pics/a.png"}},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}},
        {"type": "audio", "audio": "a.wav"},
        {"type": "audio", "path": "a.wav"},
        {"type": "audio", "url": f"data:audio/wav;base64,{SOUND}"},
        {"type": "input_audio", "input_audio": {"path": "a.wav"}},
        {"type": "input_audio", "input_audio": {"data": SOUND, "format": "wav"}},
    ],
    ids=lambda part: " ".join([part["type"], *next(iter(v for k, v in part.items() if k != "type"))][:2])[:30],
)
def test_every_way_to_write_a_medium_gives_the_same_prompt(folder, blobs, part):
    picture = "image" in part["type"]
    (prompt,) = load_prompts(write(folder, said(WORDS, part)), blobs)
    medium = Image(blobs.put(png(), "image")) if picture else Audio(blobs.put(wav(), "audio"))
    assert prompt.messages == (Message("user", (Text("What is this?"), medium)),)
    (plain,) = load_prompts(
        write(
            folder,
            said(WORDS, {"type": "image", "image": "pics/a.png"} if picture else {"type": "audio", "audio": "a.wav"}),
        ),
        blobs,
    )
    assert prompt.id == plain.id


def test_ids_of_records_without_one_come_from_their_content(folder, blobs):
    one, two, three = load_prompts(write(folder, asked("A"), asked("B"), asked("A", facts={"n": 1})), blobs)
    assert len({one.id, two.id, three.id}) == 3
    spaced = b'  { "messages" : [{"content":"A", "role":"user"}] } '
    assert load_prompts(write(folder, spaced), blobs)[0].id == one.id


def test_marks_line_ends_and_blank_lines_do_no_harm(folder, blobs):
    lines = [json.dumps(asked(text, id=text), ensure_ascii=False).encode() for text in ("你好\u2028", "b")]
    (folder / "p.jsonl").write_bytes(b"\xef\xbb\xbf" + b"\r\n\r\n".join(lines) + b"\r\n \n")
    with pytest.raises(PromptError, match=r"p\.jsonl:1"):  # an id that cannot be printed
        load_prompts(folder / "p.jsonl", blobs)
    good = [
        json.dumps(asked(text, id=str(n)), ensure_ascii=False).encode() for n, text in enumerate(["你好\u2028", "b"])
    ]
    (folder / "p.jsonl").write_bytes(b"\xef\xbb\xbf" + b"\r\n\r\n".join(good) + b"\r\n \n")
    assert [p.messages[0].parts[0] for p in load_prompts(folder / "p.jsonl", blobs)] == [Text("你好\u2028"), Text("b")]


def image(name: str) -> dict:
    return said(WORDS, {"type": "image", "image": name})


def turns(*roles: str) -> dict:
    return {"messages": [{"role": role, "content": "Hm."} for role in roles]}


# The bad record -> the field that the error names, and what it says.
BAD = {
    "not JSON": (b'{"messages": [', "", "not JSON"),
    "a list around all": (b'[{"messages": []},', "", "no list around them"),
    "a list": ([1], "", "a list instead of an object"),
    "a string": ("hello", "", "a string instead of an object"),
    "null": (None, "", "null instead"),
    "Latin-1": (b'{"messages": "caf\xe9"}', "", "save the file as UTF-8"),
    "UTF-16": ("{}".encode("utf-16"), "", "save the file as UTF-8"),
    "NaN": (b'{"facts": {"x": NaN}, "messages": []}', "", "NaN is not JSON"),
    "infinite": (
        b'{"facts": {"x": [1e999]}, "messages": [{"role": "user", "content": "a"}]}',
        r"facts\.x\[0\]",
        "inf is no",
    ),
    "a long number": (b'{"facts": ' + b"1" * 5_000 + b"}", "", "number that is too long"),
    "deep": (b'{"facts": ' + b"[" * 100_000, "", "nested too deeply"),
    "deep where a word should be": (
        said({"type": json.loads("[" * 400 + "]" * 400)}),
        r"content\[0\]\.type",
        "a list is no",
    ),
    "a key twice": (b'{"id": "a", "id": "b", "messages": []}', "id", "there twice"),
    "column images": (asked(images=["pics/a.png"]), "images", "column of media that no one reads"),
    "column audio": (asked(audio="a.wav"), "audio", "as a part of a message"),
    "column video": (asked(video="a.mp4"), "video", "column of media"),
    "unknown key": (asked(refernces=["x"]), "refernces", "did you mean 'references'"),
    "another name": ({"prompt": "Hello?"}, "prompt", "did you mean 'messages'"),
    "unlike any": (asked(zzz=1), "zzz", "known: id, messages, references, facts"),
    "a key of control letters": (json.dumps(asked(**{"a\n\ud800": 1})).encode(), r"'a\\n\\ud800'", "no one reads"),
    "no messages": ({"id": "x"}, "messages", "missing"),
    "messages is no list": ({"messages": "Hello?"}, "messages", "no list"),
    "no turns": ({"messages": []}, "messages", "empty"),
    "a turn is a string": ({"messages": ["Hello?"]}, r"messages\[0\]", "a string instead"),
    "a turn's unknown key": (
        {"messages": [{"role": "user", "contents": "a"}]},
        r"messages\[0\]\.contents",
        "'content'",
    ),
    "no content": ({"messages": [{"role": "user"}]}, r"messages\[0\]\.content", "missing"),
    "empty content": (asked(""), r"messages\[0\]\.content", "empty"),
    "blank content": (asked(" \n"), r"messages\[0\]\.content", "empty"),
    "no parts": (said(), r"messages\[0\]\.content", "empty"),
    "blank parts": (said({"type": "text", "text": " "}), r"messages\[0\]\.content", "empty"),
    "empty part": (said(WORDS, {"type": "text", "text": ""}), r"messages\[0\]\.content\[1\]\.text", "empty"),
    "NUL": (asked("a\0b"), r"messages\[0\]\.content\[0\]\.text", "NUL"),
    "half a letter": (b'{"messages": [{"role": "user", "content": "\\ud800"}]}', r"content\[0\]\.text", "surrogate"),
    "NUL in a fact": (asked(facts={"a": [{"b": "\0"}]}), r"facts\.a\[0\]\.b", "NUL"),
    "unknown role": (turns("human"), r"messages\[0\]\.role", "did you mean 'user'"),
    "no role": ({"messages": [{"content": "a"}]}, r"messages\[0\]\.role", "null is no role"),
    "nothing to answer": (turns("user", "assistant"), r"messages\[1\]\.role", "known answer into references"),
    "system last": (turns("system"), r"messages\[0\]\.role", "nothing waits"),
    "system late": (turns("user", "system", "user"), r"messages\[1\]\.role", "put it first"),
    "assistant with media": (
        {
            "messages": [
                {"role": "assistant", "content": [{"type": "image", "image": "pics/a.png"}]},
                {"role": "user", "content": "a"},
            ]
        },
        r"messages\[0\]\.content",
        "text only",
    ),
    "unknown part": (said({"type": "image_ulr"}), r"messages\[0\]\.content\[0\]\.type", "did you mean 'image_url'"),
    "no type": (said({"text": "a"}), r"content\[0\]\.type", "null is no kind"),
    "a part is a string": (said("a"), r"messages\[0\]\.content\[0\]", "a string instead of an object"),
    "text is a number": (said({"type": "text", "text": 3}), r"content\[0\]\.text", "a number instead"),
    "image without a name": (said({"type": "image"}), r"content\[0\]", "none of"),
    "image with two names": (said({"type": "image", "image": "a", "url": "b"}), r"content\[0\]", "exactly one"),
    "image_url is a string": (
        said({"type": "image_url", "image_url": "a"}),
        r"content\[0\]\.image_url",
        "a string instead",
    ),
    "image_url's unknown key": (
        said({"type": "image_url", "image_url": {"url": "a", "detail": "low"}}),
        r"content\[0\]\.image_url\.detail",
        "no one reads",
    ),
    "sound of unknown format": (
        said({"type": "input_audio", "input_audio": {"data": SOUND, "format": "wma"}}),
        r"input_audio\.format",
        "'wma' is not a format",
    ),
    "sound that is no base64": (
        said({"type": "input_audio", "input_audio": {"data": "?"}}),
        r"input_audio\.data",
        "not base64",
    ),
    "missing file": (image("pics/b.png"), r"content\[1\]\.image", "'pics/b.png': no such file"),
    "missing Chinese file": (image("图.png"), r"content\[1\]\.image", "'图.png': no such file"),
    "cut file": (image("cut.png"), r"content\[1\]\.image", "'cut.png': the picture does not decode"),
    "a sound for a picture": (image("a.wav"), r"content\[1\]\.image", "'a.wav': not a picture"),
    "outside": (image("../secret.png"), r"content\[1\]\.image", "'../secret.png': the path leaves the folder"),
    "absolute": (image("/etc/passwd"), r"content\[1\]\.image", "'/etc/passwd': not a relative path"),
    "address": (image("https://example.org/a.png"), r"content\[1\]\.image", "fetches nothing"),
    "pipe": (image("pipe"), r"content\[1\]\.image", "'pipe': not a regular file"),
    "wrong type in a data URI": (image("data:text/html;base64,AA=="), r"content\[1\]\.image", "says 'text/html'"),
    "id is a number": (asked(id=7), "id", "put it in quotes"),
    "id is empty": (asked(id=" "), "id", "no name"),
    "id of control letters": (asked(id="a\nb"), "id", "no name"),
    "id is long": (asked(id="a" * 201), "id", "no name"),
    "the same id": (asked("Other.", id="good"), "id", "'good' is the id of line 1 too"),
    "the same record": (asked("Good."), "id", "id of line 2 too"),
    "references is a string": (asked(references="a"), "references", "not a list"),
    "an empty reference": (asked(references=["a", ""]), r"references\[1\]", "empty"),
    "facts is a list": (asked(facts=[]), "facts", "a list instead"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_record_is_an_error_that_says_where_and_how(folder, blobs, case):
    os.mkfifo(folder / "pipe")
    record, field, why = BAD[case]
    path = write(folder, asked("First.", id="good"), asked("Good."), record, asked("Last.", id="last"))
    with pytest.raises(PromptError) as raised:
        load_prompts(path, blobs)
    error = raised.value
    assert re.search(f"{field}$", error.field) if field else error.field == ""
    assert (error.path, error.line) == (path, 3)
    assert why in error.why
    assert f"{path}:3" in str(error)
    str(error).encode()  # fit to be printed

    reported: list[PromptError] = []
    prompts = load_prompts(path, blobs, skip_bad=True, on_skip=reported.append)
    assert [p.messages[0].parts[0] for p in prompts] == [Text("First."), Text("Good."), Text("Last.")]
    assert [str(e) for e in reported] == [str(error)]


def test_the_error_names_the_record(folder, blobs):
    with pytest.raises(
        PromptError, match=r"prompts\.jsonl:1 \(record 'p7'\): messages\[0\]\.content\[1\]\.image: 'x\.png'"
    ):
        load_prompts(write(folder, {**image("x.png"), "id": "p7"}), blobs)


def test_what_is_skipped_is_never_skipped_in_silence(folder, blobs, caplog):
    path = write(folder, asked(), image("x.png"), {"id": "b"})
    with caplog.at_level(logging.WARNING):
        assert len(load_prompts(path, blobs, skip_bad=True)) == 1
    assert [r.message.startswith(f"skipped: {path}:{n}") for r, n in zip(caplog.records, (2, 3), strict=True)] == [
        True
    ] * 2
    found = read_prompts(path, blobs)
    assert (len(found.prompts), [e.line for e in found.skipped], found.skipped[1].record) == (1, [2, 3], "b")


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\r\n"])
def test_an_empty_file_is_an_error_with_skip_bad_too(folder, blobs, content):
    (folder / "p.jsonl").write_bytes(content)
    for skip_bad in (False, True):
        with pytest.raises(PromptError, match="empty"):
            load_prompts(folder / "p.jsonl", blobs, skip_bad=skip_bad)


def test_a_file_without_one_good_record_is_an_error(folder, blobs):
    with pytest.raises(PromptError, match=r"all 2 records are bad; the first: .*prompts\.jsonl:1"):
        load_prompts(write(folder, {}, []), blobs, skip_bad=True)


def test_what_is_no_file(folder, blobs):
    os.mkfifo(folder / "pipe")
    for name, why in [("none.jsonl", "no such file"), ("pics", "not a regular file"), ("pipe", "not a regular file")]:
        with pytest.raises(PromptError, match=why):
            load_prompts(folder / name, blobs)


def letters(**sizes: int) -> st.SearchStrategy[str]:
    return st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), **sizes)


solid = letters(min_size=1, max_size=12).filter(lambda text: text.strip())
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | letters(max_size=5)
)
objects = st.dictionaries(letters(max_size=5), scalars, max_size=3)
facts = st.dictionaries(letters(max_size=5), scalars | objects | st.lists(scalars | objects, max_size=3), max_size=3)
names = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=9)
# A part is its text, or the number of one of six media; the records are made outside of the strategy.
mixed = st.lists(solid | st.integers(0, 5), min_size=1, max_size=4)
turn = st.tuples(st.just("user"), mixed) | st.tuples(st.just("assistant"), st.lists(solid, min_size=1, max_size=2))


@st.composite
def drafts(draw: st.DrawFn) -> list[tuple]:
    out = []
    for name in draw(st.lists(names, min_size=1, max_size=4, unique=True)):
        first = [("system", draw(mixed))] if draw(st.booleans()) else []
        turns = [*first, *draw(st.lists(turn, max_size=2)), ("user", draw(mixed))]
        out.append((name, turns, draw(st.lists(solid, max_size=2)), draw(facts)))
    return out


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(drafts=drafts())
def test_what_is_saved_is_loaded(tmp_path_factory, drafts):
    folder = tmp_path_factory.mktemp("round")
    blobs = Blobs(folder / "blobs")
    media = [Image(blobs.put(png(n), "image")) for n in range(3)] + [
        Audio(blobs.put(wav(n), "audio")) for n in range(3)
    ]
    prompts = [
        Prompt(
            name,
            tuple(
                Message(role, tuple(Text(p) if isinstance(p, str) else media[p] for p in parts))
                for role, parts in turns
            ),
            tuple(references),
            known,
        )
        for name, turns, references, known in drafts
    ]
    save_prompts(prompts, folder / "out" / "p.jsonl", blobs)
    fresh = Blobs(folder / "others")
    assert load_prompts(folder / "out" / "p.jsonl", fresh) == prompts
    for part in [part for p in prompts for m in p.messages for part in m.parts]:
        assert isinstance(part, Text) or part.sha256 in fresh
    left = sorted(path.name for path in (folder / "out").iterdir())
    assert left in (["media", "p.jsonl"], ["p.jsonl"])  # no drafts stay behind
    before = (folder / "out" / "p.jsonl").read_bytes()
    save_prompts(prompts, folder / "out" / "p.jsonl", fresh)
    assert (folder / "out" / "p.jsonl").read_bytes() == before


def plain(facts: object = None) -> Prompt:
    prompt = Prompt("p", (Message("user", (Text("a"),)),))
    if facts is not None:
        object.__setattr__(prompt, "facts", facts)  # past the type checks, which run in tests only
    return prompt


UNSAVABLE = {
    "nothing": ([], "no prompts"),
    "one id twice": ([plain(), plain()], "id of line 1 too"),
    "no turns": ([Prompt("p", ())], "messages: empty"),
    "a tuple among the facts": ([plain(facts={"a": (1, 2)})], "facts.a: a tuple"),
    "deep facts": ([plain(facts={"a": json.loads("[" * 40 + "]" * 40)})], "levels deep"),
    "a number as a key": ([plain(facts={"a": {1: 2}})], "facts.a: the key 1"),
    "not a number": ([plain(facts={"a": float("nan")})], "facts.a: nan"),
    "a medium that is not there": ([Prompt("p", (Message("user", (Image("0" * 64),)),))], "no medium"),
}


@pytest.mark.parametrize("case", UNSAVABLE)
def test_what_could_not_be_loaded_is_not_saved(tmp_path, blobs, case):
    prompts, why = UNSAVABLE[case]
    with pytest.raises(PromptError) as raised:
        save_prompts(prompts, tmp_path / "p.jsonl", blobs)
    assert why in str(raised.value)
    assert not (tmp_path / "p.jsonl").exists()
