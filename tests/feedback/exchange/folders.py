"""Small folders of data and mappings for them, made in code, for the tests of this room."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import soundfile
import yaml
from PIL import Image

from harken.feedback.exchange.load import Imported, import_data
from harken.feedback.exchange.mapping import read_mapping
from harken.feedback.store import FeedbackStore
from harken.types import Answer

CHOICE = {
    "records": {"files": "*.jsonl"},
    "prompt": {"id": "{id}", "parts": [{"text": "{question}"}]},
    "completions": {"texts": ["yes", "no"]},
    "answers": [{"choice": {"field": "said", "annotator": "{who}"}}],
}
"""A mapping of choices; `mapping` overrides its keys."""


def png(seed: int = 0) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def wav(samples: np.ndarray, rate: int = 8_000, subtype: str = "PCM_16") -> bytes:
    out = io.BytesIO()
    soundfile.write(out, samples, rate, format="WAV", subtype=subtype)
    return out.getvalue()


def write(folder: Path, files: dict[str, object]) -> Path:
    """Files of bytes, text, lists (JSON lines, or JSON by the name), dictionaries of members (zip) or arrays (npz)."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        match content:
            case bytes():
                path.write_bytes(content)
            case str():
                path.write_bytes(content.encode())
            case dict() if name.endswith(".zip"):
                with zipfile.ZipFile(path, "w") as archive:
                    for member, data in content.items():
                        archive.writestr(member, data)
            case dict() if name.endswith(".npz"):
                np.savez(path, **content)
            case list() if name.endswith(".jsonl"):
                path.write_text("".join(json.dumps(item) + "\n" for item in content))
            case _:
                path.write_text(json.dumps(content))
    return folder


def asked(number: int = 0, **fields: object) -> dict[str, object]:
    """A record that `CHOICE` reads."""
    return {"id": f"q{number}", "question": f"Is {number} even?", "said": "yes", "who": "ada", **fields}


def mapping(tmp_path: Path, **changed: object) -> Path:
    """A mapping's file, named toy."""
    path = tmp_path / "toy.yaml"
    path.write_text(yaml.safe_dump({"about": "A toy", **CHOICE, **changed}, sort_keys=False))
    return path


def bring(tmp_path: Path, files: dict[str, object], skip_bad: bool = False, **changed: object) -> Imported:
    """Import a folder of these files with `CHOICE`, changed, into `tmp_path / "out"`."""
    data = write(tmp_path / "data", files)
    return import_data(read_mapping(mapping(tmp_path, **changed)), data, tmp_path / "out", None, skip_bad)


def answers(tmp_path: Path) -> list[Answer]:
    with FeedbackStore(tmp_path / "out" / "feedback.db") as store:
        return store.answers()


def said(tmp_path: Path) -> list[tuple[object, ...]]:
    """Who said what, with texts for ids."""
    with FeedbackStore(tmp_path / "out" / "feedback.db") as store:
        texts = {completion.id: completion.text for completion in store.completions()}
        given = store.answers()
    return [(a.annotator.removeprefix("toy/"), *_words(a.feedback, texts)) for a in given]


def _words(feedback: object, texts: dict[str, str]) -> tuple[object, ...]:
    match vars_of(feedback):
        case {"tiers": tiers, "rest": rest}:
            return (tuple(tuple(texts[n] for n in tier) for tier in tiers), tuple(texts[n] for n in rest))
        case {"a": a, "b": b, "choice": choice}:
            return texts[a], texts[b], choice
        case {"completion": name, "score": score, "levels": levels}:
            return texts[name], score, levels
        case {"completion": name, "revision": revision}:
            return texts[name], revision
    raise AssertionError(feedback)


def vars_of(record: object) -> dict[str, object]:
    return {name: getattr(record, name) for name in record.__slots__}
