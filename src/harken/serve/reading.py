"""The conversation of a request: media within bounds, and none that the model cannot take."""

from harken.data.blobs import Blobs
from harken.data.media import audio, image, numbers
from harken.data.media.limits import MediaError
from harken.data.openai import read_messages
from harken.data.processor import Processor
from harken.data.record import FieldError
from harken.serve.refusal import Refusal
from harken.types import Audio, Image, Numbers, Prompt, Text

MOST_MEDIA = 32
MOST_PIXELS = 100_000_000
MOST_SECONDS = 1200.0
MOST_NUMBERS = 1_000_000
NAMES = {"image": "pictures", "audio": "sounds", "numbers": "numbers"}
KINDS = {"image_url": "image", "input_audio": "audio", "input_numbers": "numbers"}
"""What each kind of part holds."""


def read_prompt(messages: object, blobs: Blobs, processor: Processor) -> Prompt:
    """The prompt of a request.

    Args:
        messages: as they came.
        blobs: receives the media; a folder of this request alone.
        processor: knows what the model takes.

    Raises:
        Refusal: if a turn, a part or a medium is wrong, or the model takes no such media.
    """
    _refuse_what_it_cannot_take(messages, processor)
    try:
        prompt = Prompt("request", read_messages(messages, blobs))
        _refuse_too_much(prompt, blobs)
    except FieldError as error:
        raise Refusal(str(error), error.field or None, "invalid_value") from error
    except MediaError as error:
        raise Refusal(str(error), "messages", "invalid_value") from error
    return prompt


def _refuse_what_it_cannot_take(messages: object, processor: Processor) -> None:
    """Said first, so that nothing is decoded in vain."""
    count = 0
    for i, turn in enumerate(messages if isinstance(messages, list) else []):
        content = turn.get("content") if isinstance(turn, dict) else None
        for j, part in enumerate(content if isinstance(content, list) else []):
            kind = part.get("type") if isinstance(part, dict) else None
            modality = KINDS.get(kind) if isinstance(kind, str) else None
            count += modality is not None
            if modality is not None and modality not in processor.takes:
                takes = " and ".join(["text", *(NAMES[name] for name in processor.takes)])
                at = f"messages[{i}].content[{j}]"
                raise Refusal(
                    f"{at}: this model takes {takes} and no {NAMES[modality]}", at, f"{modality}_not_supported"
                )
    if count > MOST_MEDIA:
        raise Refusal(f"a request holds at most {MOST_MEDIA} media, not {count}", "messages")


def _refuse_too_much(prompt: Prompt, blobs: Blobs) -> None:
    """All media of a prompt are decoded at one time, so their sum is bounded too."""
    pixels, seconds, values = 0, 0.0, 0
    for part in [part for message in prompt.messages for part in message.parts]:
        match part:
            case Image(sha256):
                seen = image.header(blobs.read(sha256))
                pixels += seen.width * seen.height
            case Audio(sha256):
                heard = audio.header(blobs.read(sha256))
                seconds += heard.frames / heard.rate
            case Numbers(sha256):
                values += numbers.decode(blobs.read(sha256)).size
            case Text():
                pass
    if pixels > MOST_PIXELS:
        raise MediaError(f"the pictures have {pixels} pixels together, more than {MOST_PIXELS}; make them smaller")
    if seconds > MOST_SECONDS:
        raise MediaError(f"the sounds take {seconds:.0f} s together, more than {MOST_SECONDS:g}; cut them")
    if values > MOST_NUMBERS:
        raise MediaError(f"the prompt has {values} numbers, more than {MOST_NUMBERS}; thin them")
