"""The TRL export is loaded by `datasets` and taken by TRL's own DPO: its preparation, and a step of its trainer."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from stores import PICTURES, SOUNDS, put_media, sha256_of

from harken.feedback.exchange.door import Place, export_file, find_place
from harken.feedback.store import FeedbackStore
from harken.types import Answer, Audio, Comparison, Completion, Image, Message, Prompt, Ranking, Text


def load(kind: str, file: Path, scratch: Path) -> Any:
    # Loaded here, since it takes seconds and is an extra.
    datasets = pytest.importorskip("datasets", reason="datasets is not installed: pip install 'harken[bench]'")
    return datasets.load_dataset(kind, data_files=str(file), split="train", cache_dir=str(scratch / "cache"))


def asked(name: str, *parts: object) -> Prompt:
    return Prompt(name, (Message("user", (*parts, Text("Which number is it?"))),))


def store_with(folder: Path, *prompts: Prompt) -> Place:
    place = find_place(str(folder))
    put_media(place)
    with FeedbackStore(place.store) as store:
        store.add_prompts(prompts)
        for number, prompt in enumerate(prompts):
            texts = ["It is 42.", "The voice says eight.", "Just words."]
            made = [Completion(f"{number} {i}", prompt.id, text, "model") for i, text in enumerate(texts)]
            store.add_completions(made)
            first, second, third = (one.id for one in made)
            store.add(Answer(f"c{number}", "ada", "human", Comparison(prompt.id, first, second, "b")))
            store.add(Answer(f"r{number}", "ada", "human", Ranking(prompt.id, ((third,), (first,)), (second,))))
    return place


def pictures() -> list[Image]:
    return [Image(sha256_of(data)) for data in PICTURES]


@pytest.mark.slow
def test_datasets_loads_pictures_and_sounds(tmp_path: Path):
    one, two = pictures()
    place = store_with(tmp_path, asked("a", one, two), asked("b", Audio(sha256_of(SOUNDS[0]))))
    file, _ = export_file("trl", place, tmp_path / "pairs.parquet")
    loaded = load("parquet", file, tmp_path)
    assert len(loaded) == 8 and [len(row) for row in loaded["images"]] == [2] * 4 + [0] * 4
    row = loaded[0]
    assert [part["type"] for part in row["prompt"][0]["content"]] == ["image", "image", "text"]
    assert row["chosen"] == [{"role": "assistant", "content": [{"type": "text", "text": "The voice says eight."}]}]
    for seen, data in zip(row["images"], PICTURES, strict=True):
        assert np.array_equal(np.asarray(seen), np.asarray(Pillow.open(io.BytesIO(data))))
    assert loaded[4]["audios"][0]["bytes"] == SOUNDS[0]


@pytest.mark.slow
def test_datasets_loads_lines_of_words(tmp_path: Path):
    file, _ = export_file("trl", store_with(tmp_path, asked("a")), tmp_path / "pairs.jsonl")
    loaded = load("json", file, tmp_path)
    assert loaded[0]["prompt"] == [{"role": "user", "content": "Which number is it?"}]
    assert "images" not in loaded.column_names


@pytest.mark.slow
def test_datasets_loads_the_whole_store(tmp_path: Path):
    place = store_with(tmp_path, asked("a", pictures()[0]))
    file, _ = export_file("parquet", place, tmp_path / "store.parquet")
    loaded = load("parquet", file, tmp_path)
    assert loaded[0]["images"][0].size == (32, 40)
    assert [answer["key"] for answer in loaded[0]["answers"]] == ["c0", "r0"]


@pytest.mark.slow
def test_trl_prepares_pictures_for_dpo_and_takes_a_step(tmp_path: Path):
    trl = pytest.importorskip("trl", reason="trl is not installed: pip install 'harken[bench]'")
    from families import llava
    from transformers import LlavaForConditionalGeneration, LlavaProcessor
    from trl.trainer.dpo_trainer import DataCollatorForVisionPreference

    llava.save(tmp_path / "model")
    processor = LlavaProcessor.from_pretrained(tmp_path / "model")
    model = LlavaForConditionalGeneration.from_pretrained(tmp_path / "model")
    one, two = pictures()
    place = store_with(tmp_path / "run", asked("a", one), asked("b", two), asked("c", one))
    file, _ = export_file("trl", place, tmp_path / "pairs.parquet")
    loaded = load("parquet", file, tmp_path)

    batch = DataCollatorForVisionPreference(processor)([dict(loaded[i]) for i in (0, 4)])
    words = processor.batch_decode(batch["input_ids"])
    spoken = zip(batch["input_ids"], batch["completion_mask"], strict=True)
    replies = [processor.decode(ids[mask.bool()]) for ids, mask in spoken]
    assert [text.split("</s>")[0].strip() for text in replies] == ["The voice says eight."] * 2 + ["It is 42."] * 2
    assert all(text.count("<image>") == 16 for text in words), "LLaVA's 16 tokens for one picture"
    assert batch["pixel_values"].shape == (4, 3, 32, 32)
    assert not np.array_equal(batch["pixel_values"][0].numpy(), batch["pixel_values"][1].numpy())

    settings = trl.DPOConfig(
        output_dir=str(tmp_path / "out"),
        max_steps=1,
        per_device_train_batch_size=2,
        report_to=[],
        use_cpu=True,
        bf16=False,
        max_length=None,
        gradient_checkpointing=False,
    )
    trainer = trl.DPOTrainer(model=model, args=settings, train_dataset=loaded, processing_class=processor)
    done = trainer.train()
    # Before its first step a policy is its reference: the loss is log 2.
    assert done.training_loss == pytest.approx(np.log(2), abs=1e-4)
