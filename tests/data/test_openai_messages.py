"""What a client of harken's writes, a server of harken's reads; and what it does not open."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_media import png, wav

from harken.data.blobs import Blobs
from harken.data.media import audio, image
from harken.data.openai import part_of_message, read_messages
from harken.data.record import FieldError
from harken.types import Audio, Image, Message, Text

PARTS = st.lists(
    st.one_of(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1), st.integers(0, 3)
    ),
    min_size=1,
    max_size=4,
).filter(lambda parts: any(not isinstance(part, str) or part.strip() for part in parts))


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PARTS)
def test_there_and_back(blobs: Blobs, parts):
    made = []
    for part in parts:
        if isinstance(part, str):
            made.append(Text(part))
        elif part < 2:
            made.append(Image(blobs.put(png(part), "image")))
        else:
            made.append(Audio(blobs.put(wav(part), "audio")))
    said = [{"role": "user", "content": [part_of_message(part, blobs, 8_000) for part in made]}]
    (message,) = read_messages(said, blobs)
    assert message.role == "user"
    for part, back in zip(made, message.parts, strict=True):
        match part, back:
            case Text(), Text():
                assert part == back
            case Image(before), Image(after):
                assert (image.decode(blobs.read(before)) == image.decode(blobs.read(after))).all()
            case Audio(before), Audio(after):
                assert (
                    abs(audio.decode(blobs.read(before), 8_000) - audio.decode(blobs.read(after), 8_000)).max() < 1e-4
                )
            case _:
                raise AssertionError((part, back))


def test_what_clients_add_is_read_over(blobs: Blobs):
    said = [
        {"role": "developer", "content": "Be kind.", "name": "x"},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi", "refusal": None, "tool_calls": [], "audio": None, "annotations": []},
        {"role": "user", "content": [{"type": "text", "text": "Bye"}]},
    ]
    roles = ("system", "user", "assistant", "user")
    texts = ("Be kind.", "Hello", "Hi", "Bye")
    assert read_messages(said, blobs) == tuple(Message(r, (Text(t),)) for r, t in zip(roles, texts, strict=True))


@pytest.mark.parametrize("name", ["a.png", "/etc/passwd", "../a.png", "file:///a.png", "http://x/a.png", ""])
def test_a_name_opens_nothing(blobs: Blobs, name):
    """Not even a picture that lies in the very folder of the media."""
    blobs.put(png(), "image")
    (blobs.folder / "a.png").write_bytes(png())
    (blobs.folder / "a.wav").write_bytes(wav())
    for part in (
        {"type": "image_url", "image_url": {"url": name}},
        {"type": "image", "image": name},
        {"type": "audio", "path": name},
        {"type": "input_audio", "input_audio": {"path": "a.wav"}},
    ):
        with pytest.raises(FieldError) as error:
            read_messages([{"role": "user", "content": [part]}], blobs)
        assert error.value.field.startswith("messages[0].content[0]")


@pytest.mark.parametrize("turn", [{"role": "assistant", "content": "x", "tool_calls": [1]}, {"role": "tool"}, 3, None])
def test_turns_that_say_what_no_model_here_reads(blobs: Blobs, turn):
    with pytest.raises(FieldError):
        read_messages([turn, {"role": "user", "content": "x"}], blobs)
