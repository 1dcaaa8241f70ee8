"""Hugging Face families by their own processors: every medium arrives, and the batch says what the model alone says."""

import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from families import llava, qwen2_5_omni, qwen2_audio, qwen2_vl
from families.families import FAMILIES
from PIL import Image as Pillow
from transformers import AutoProcessor, processing_utils
from transformers.utils import is_torchvision_available

from harken.data.batch import EncodedPrompt, collate
from harken.data.blobs import Blobs
from harken.data.media.audio import encode_wav
from harken.data.media.image import encode_png
from harken.data.processor import IntegrityError, Processor
from harken.models.load import load_model
from harken.models.model import Model
from harken.models.novideo import NoVideo, stand_in_for_video
from harken.types import Audio, Completion, Image, Message, Prompt, Text

WITH_IMAGE = [name for name, (_, modalities, _) in FAMILIES.items() if "image" in modalities]
WITH_AUDIO = [name for name, (_, modalities, _) in FAMILIES.items() if "audio" in modalities]
ENDS = {
    "voxtral": "</s>",
    "llava": "</s>",
    "idefics3": "<end_of_utterance>",
    "smolvlm": "<end_of_utterance>",
    "gemma3": "<end_of_turn>",
    "gemma4": "<turn|>",
    "janus": "<｜end▁of▁sentence｜>",
}


@cache
def family(name: str) -> Model:
    with TemporaryDirectory() as folder:
        FAMILIES[name][0](Path(folder) / name)
        return load_model(Path(folder) / name)


@pytest.fixture(scope="module")
def blobs(tmp_path_factory) -> Blobs:
    return Blobs(tmp_path_factory.mktemp("blobs"))


def picture(blobs: Blobs, height: int = 16, width: int = 16, seed: int = 0) -> Image:
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return Image(blobs.put(encode_png(pixels), "image"))


def sound(blobs: Blobs, seconds: float = 0.4, pitch: float = 200.0) -> Audio:
    wave = np.sin(np.arange(int(16_000 * seconds)) * pitch * 2 * np.pi / 16_000).astype(np.float32) / 2
    return Audio(blobs.put(encode_wav(wave, 16_000), "audio"))


def prompts(name: str, blobs: Blobs) -> dict[str, Prompt]:
    """Every mixture that a family takes, and a conversation of three turns under a system message."""
    _, takes, several = FAMILIES[name]
    made = {"text": (Message("user", (Text("Just words."),)),)}
    if "image" in takes:
        one = Message("user", (picture(blobs), Text("Which number?")))
        made["picture"] = (one,)
        again = (picture(blobs, 24, 16, 1), Text("And now?"), *([picture(blobs, 16, 40, 2)] if several else []))
        turns = (one, Message("assistant", (Text("It is 42."),)), Message("user", (Text("Sure?"),)))
        turns = (*turns, Message("assistant", (Text("It is."),)), Message("user", again))
        made["turns"] = (Message("system", (Text("You are kind."),)), *turns)
    if several:
        made["two pictures"] = (Message("user", (Text("Are"), picture(blobs), picture(blobs, 16, 32), Text("same?"))),)
    if "audio" in takes:
        made["sound"] = (Message("user", (sound(blobs), Text("What was said?"))),)
        made["two sounds"] = (Message("user", (sound(blobs, 0.7), Text("then"), sound(blobs, 0.3, 90.0))),)
    if takes >= {"image", "audio"}:
        made["both"] = (Message("user", (Text("Agree?"), sound(blobs, 0.9), picture(blobs, 16, 32))),)
    return {label: Prompt(label, messages) for label, messages in made.items()}


def said_alone(model: Model, encoded: EncodedPrompt, answer: torch.Tensor) -> torch.Tensor:
    """Log-probabilities of an answer by the Hugging Face model itself: one row, no padding, nothing of harken."""
    ids = torch.cat([encoded.ids, answer])[None]
    further = {k: torch.cat([v, v.new_zeros(len(answer))])[None] for k, v in encoded.per_token.items()}
    with torch.no_grad():
        out = model.trunk(input_ids=ids, attention_mask=torch.ones_like(ids), **further, **encoded.media)
    logits = out.logits[0, len(encoded.ids) - 1 : -1].clone()
    logits[:, list(model.suppressed)] = -torch.inf
    return logits.log_softmax(-1).gather(1, answer[:, None])[:, 0]


@pytest.mark.parametrize("name", FAMILIES)
def test_every_medium_arrives(name, blobs):
    model = family(name)
    for label, prompt in prompts(name, blobs).items():
        encoded = model.processor.encode(prompt, blobs)
        parts = [part for message in prompt.messages for part in message.parts]
        assert set(encoded.placeholders) == FAMILIES[name][1], label
        for modality, kind in (("image", Image), ("audio", Audio)):
            count = sum(isinstance(part, kind) for part in parts)
            assert encoded.placeholders.get(modality, 0) >= 3 * count, (label, modality)
        assert all(tensor.shape == encoded.ids.shape for tensor in encoded.per_token.values()), label
        assert all(isinstance(tensor, torch.Tensor) and len(tensor) for tensor in encoded.media.values()), label
        assert bool(encoded.media) == any(not isinstance(part, Text) for part in parts), label


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_a_batch_says_what_each_prompt_says_alone(name, blobs):
    """All prompts of a family, padded and stacked in one batch, two completions each, against one row at a time."""
    model = family(name)
    encoded = [model.processor.encode(prompt, blobs) for prompt in prompts(name, blobs).values()]
    answers = [model.processor.encode_completion(Completion("c", "p", text, "me")) for text in ("It is 7.", "Yes")]
    rows = [row for row in range(len(encoded)) for _ in answers]
    batch = collate(encoded, answers * len(encoded), rows, model.processor.pad_id)
    with torch.no_grad():
        logprobs = model(batch, frozenset({"logprobs"})).logprobs
    assert logprobs.isfinite().all()
    for n, row in enumerate(rows):
        answer = answers[n % len(answers)]
        alone = said_alone(model, encoded[row], answer)
        torch.testing.assert_close(logprobs[n, : len(answer)], alone, atol=2e-4, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_what_is_read_seen_and_heard_changes_the_answer(name, blobs):
    model = family(name)
    first, other = {"text": Text("a")}, {"text": Text("b")}
    if "image" in FAMILIES[name][1]:
        first["image"], other["image"] = picture(blobs, seed=1), picture(blobs, seed=2)
    if "audio" in FAMILIES[name][1]:
        first["audio"], other["audio"] = sound(blobs), sound(blobs, pitch=900.0)
    answer = model.processor.encode_completion(Completion("c", "p", "It is 7.", "me"))

    def say(parts):
        prompt = Prompt("p", (Message("user", tuple(parts.values())),))
        return said_alone(model, model.processor.encode(prompt, blobs), answer)

    before = say(first)
    for modality, part in other.items():
        assert (say({**first, modality: part}) - before).abs().max() > 0.01, modality


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_an_answer_ends_as_the_template_ends_it(name):
    processor = family(name).processor
    ids = processor.encode_completion(Completion("c", "p", "Yes", "me"))
    assert processor.tokenizer.convert_ids_to_tokens(int(ids[-1])) == ENDS.get(name, "<|im_end|>")
    assert processor.decode(ids) == "Yes"


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_no_control_token_passes_as_words(name, blobs):
    processor = family(name).processor
    tokens = [str(token) for token in processor.tokenizer.added_tokens_decoder.values()]
    assert len(tokens) > 4
    for token in tokens:
        with pytest.raises(IntegrityError, match="control token"):
            processor.encode(Prompt("p", (Message("user", (Text(f"Look {token}"),)),)), blobs)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["llava", "qwen2_5_omni", "gemma4", "idefics3"])
def test_a_folder_comes_back_the_same(name, blobs, tmp_path):
    model = family(name)
    model.save(tmp_path / "again")
    back = load_model(tmp_path / "again")
    answer = model.processor.encode_completion(Completion("c", "p", "It is 7.", "me"))
    for prompt in prompts(name, blobs).values():
        one, two = model.processor.encode(prompt, blobs), back.processor.encode(prompt, blobs)
        assert torch.equal(one.ids, two.ids)
        assert one.media_key == two.media_key
        torch.testing.assert_close(said_alone(model, one, answer), said_alone(back, two, answer))


@pytest.mark.parametrize("name", WITH_IMAGE)
def test_a_picture_of_three_rows_has_three_rows(name, blobs):
    """An array (3, W, 3) looks like three colours first; transformers would read it so."""
    processor = family(name).processor
    part = picture(blobs, 3, 24)
    prompt = Prompt("p", (Message("user", (part, Text("a"))),))
    pixels = Pillow.open(blobs.path(part.sha256))
    made = processor.encode(prompt, blobs).media["pixel_values"]
    right = processor.hf(
        text=[processor.render(prompt.messages)],
        images=[[pixels]],
        input_data_format="channels_last",
        return_tensors="pt",
        add_special_tokens=False,
    )
    assert torch.equal(made, right["pixel_values"])


def test_two_pictures_of_one_prompt_are_not_tiled(blobs):
    """LLaVA-OneVision tiles a lone picture, and shows each of several whole: 4 x 4 features and a line's end."""
    processor = family("llava_onevision").processor
    made = {label: processor.encode(p, blobs) for label, p in prompts("llava_onevision", blobs).items()}
    assert made["two pictures"].placeholders["image"] == 2 * 17
    assert made["picture"].placeholders["image"] > 17
    assert made["two pictures"].media["batch_num_images"].tolist() == [2]


@pytest.mark.parametrize("save", [qwen2_audio.save, qwen2_5_omni.save])
def test_a_sound_that_would_be_cut_is_refused(save, blobs, tmp_path):
    save(tmp_path)
    stand_in_for_video()
    processor = Processor(AutoProcessor.from_pretrained(tmp_path))
    heard = Prompt("fits", (Message("user", (sound(blobs, 2.0),)),))
    assert processor.encode(heard, blobs).placeholders["audio"] == 50
    cut = Prompt("long", (Message("user", (sound(blobs, 2.5),)),))
    with pytest.raises(IntegrityError, match=r"'long': a sound of 2\.5 s, of which .* hear the first 2\.0 s"):
        processor.encode(cut, blobs)


def test_a_modality_that_a_family_lacks_is_refused(blobs):
    with pytest.raises(IntegrityError, match="takes none"):
        family("llava").processor.encode(Prompt("p", (Message("user", (sound(blobs),)),)), blobs)
    with pytest.raises(IntegrityError, match="takes none"):
        family("text").processor.encode(Prompt("p", (Message("user", (picture(blobs),)),)), blobs)


@pytest.mark.skipif(is_torchvision_available(), reason="with torchvision, video processors are the real ones")
def test_an_unknown_video_processor_is_no_hindrance_and_is_kept(blobs, tmp_path, monkeypatch):
    qwen2_vl.save(tmp_path / "m")
    # As in a process that has loaded nothing yet: the tables of parts are transformers' own.
    theirs = ("transformers.models.auto.video_processing_auto", "AutoVideoProcessor")
    monkeypatch.setitem(processing_utils._LazyAutoProcessorMapping._MAPPING_NAMES, "video_processor", theirs)
    monkeypatch.setitem(processing_utils.MODALITY_TO_BASE_CLASS_MAPPING, "video_processor", "VideoProcessorMixin")
    path = tmp_path / "m" / "processor_config.json"
    config = json.loads(path.read_text())
    config["video_processor"] = {
        "video_processor_type": "NobodysVideoProcessor",
        "fps": 3,
        "size": {"shortest_edge": 9},
    }
    path.write_text(json.dumps(config))
    model = load_model(tmp_path / "m")
    assert model.processor.encode(prompts("qwen2_vl", blobs)["picture"], blobs).placeholders["image"] == 4
    model.save(tmp_path / "again")
    assert json.loads((tmp_path / "again" / "processor_config.json").read_text()) == config
    with pytest.raises(ImportError, match="torchvision"):
        model.processor.hf(text=["<|video_pad|>"], videos=[np.zeros((4, 16, 16, 3), np.uint8)], return_tensors="pt")


@pytest.mark.skipif(is_torchvision_available(), reason="with torchvision, video processors are the real ones")
def test_settings_of_an_older_folder_are_kept(tmp_path):
    """Before transformers 5 a video processor's settings lay in a file of their own, or in the pictures'."""
    (tmp_path / "video_preprocessor_config.json").write_text('{"video_processor_type": "OldVideoProcessor", "fps": 2}')
    assert NoVideo.from_pretrained(tmp_path).to_dict() == {"video_processor_type": "OldVideoProcessor", "fps": 2}
    assert NoVideo.from_pretrained(tmp_path).fps == 2
    assert NoVideo.from_pretrained(tmp_path / "nothing").to_dict() == {}


@pytest.mark.skipif(is_torchvision_available(), reason="with torchvision, nothing is changed")
def test_another_transformers_is_told(monkeypatch):
    monkeypatch.delattr(processing_utils, "MODALITY_TO_BASE_CLASS_MAPPING")
    with pytest.raises(RuntimeError, match=r"install torchvision, or transformers 5\.23"):
        stand_in_for_video()


def test_a_family_is_the_same_twice(tmp_path):
    llava.save(tmp_path / "a", 3)
    llava.save(tmp_path / "b", 3)
    llava.save(tmp_path / "c", 4)
    weights = [(tmp_path / x / "model.safetensors").read_bytes() for x in "abc"]
    assert weights[0] == weights[1] != weights[2]
