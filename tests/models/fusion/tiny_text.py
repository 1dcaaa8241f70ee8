"""Tiny models that have an encoder of text, and tiny Hugging Face folders to make one from."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from tiny import tiny_model
from tokenizers import pre_tokenizers
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertTokenizer,
    CLIPConfig,
    CLIPModel,
    CLIPTokenizer,
    DistilBertConfig,
    DistilBertModel,
    PreTrainedModel,
    RobertaConfig,
    RobertaModel,
    RobertaTokenizer,
    T5Config,
    T5Model,
    T5Tokenizer,
)

from harken.models.fusion.build import FamilyConfig
from harken.models.model import Model
from harken.types import Message, Prompt, Text

CORPUS = ["Which number is it? It is 42.", "The picture shows 7, and the voice says 8. What is this?"]
LANGUAGE = {"hidden": 32, "layers": 2, "heads": 2, "intermediate": 48, "vocabulary": 300}
PICTURES = {"hidden": 16, "heads": 2, "patch_width": 4}
OWN: dict[str, dict[str, Any]] = {
    "gru": {"name": "gru", "hidden": 16},
    "lstm": {"name": "lstm", "hidden": 16, "layers": 2},
    "transformer": {"name": "transformer", "hidden": 16, "layers": 2},
    "words": {"name": "words", "dimensions": 8},
}
WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "say",
    "what",
    "is",
    "this",
    ",",
    "a",
    "few",
    "words",
    "it",
    "no",
    "##ise",
    "?",
    ".",
]
SIZE = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}


def text_family(text: Mapping[str, Any], fuse: str = "joined", **encoders: Mapping[str, Any]) -> FamilyConfig:
    return FamilyConfig({**encoders, "text": text}, {"name": fuse}, {"answer": {"name": "language", **LANGUAGE}})


def text_model(family: FamilyConfig, seed: int = 0) -> Model:
    return tiny_model(seed, family, CORPUS)


def said(*texts: str, name: str = "p") -> Prompt:
    """A conversation, the user first."""
    return Prompt(name, tuple(Message(("user", "assistant")[i % 2], (Text(text),)) for i, text in enumerate(texts)))


def _wordpieces(folder: Path) -> int:
    BertTokenizer(vocab={word: n for n, word in enumerate(WORDS)}).save_pretrained(folder)
    return len(WORDS)


def _bytes(folder: Path) -> int:
    words = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    RobertaTokenizer(vocab={word: n for n, word in enumerate(words)}, merges=[]).save_pretrained(folder)
    return len(words)


def bert(folder: Path) -> PreTrainedModel:
    # A checkpoint of masked words has no pooler, as RoBERTa's on the hub.
    return BertForMaskedLM(BertConfig(vocab_size=_wordpieces(folder), max_position_embeddings=40, **SIZE))


def distilbert(folder: Path) -> PreTrainedModel:
    return DistilBertModel(
        DistilBertConfig(vocab_size=_wordpieces(folder), dim=16, n_layers=2, n_heads=2, hidden_dim=24)
    )


def roberta(folder: Path) -> PreTrainedModel:
    # Positions begin behind the filler's: 64 rows are room for 62 tokens.
    config = RobertaConfig(vocab_size=_bytes(folder), max_position_embeddings=64, pad_token_id=1, **SIZE)
    return RobertaModel(config)


def clip(folder: Path) -> PreTrainedModel:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    CLIPTokenizer(vocab={word: n for n, word in enumerate(words)}, merges=[]).save_pretrained(folder)
    ends = {"bos_token_id": len(words) - 2, "eos_token_id": len(words) - 1, "pad_token_id": len(words) - 1}
    text = {**SIZE, "vocab_size": len(words), **ends}
    vision = {**SIZE, "image_size": 8, "patch_size": 4}
    return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=16))


def t5(folder: Path) -> PreTrainedModel:
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((c, -1.0) for c in "▁abcdefghijklmnopqrstuvwxyz.,?")]
    T5Tokenizer(vocab=pieces, extra_ids=0).save_pretrained(folder)
    config = T5Config(vocab_size=len(pieces), d_model=16, d_kv=8, num_layers=2, num_heads=2, d_ff=24)
    config.decoder_start_token_id = 0
    return T5Model(config)


FOLDERS: dict[str, Callable[[Path], PreTrainedModel]] = {
    "bert": bert,
    "distilbert": distilbert,
    "roberta": roberta,
    "clip": clip,
    "t5": t5,
}


def pretrained_folder(kind: str, folder: Path) -> PreTrainedModel:
    """A model of random weights, saved with its tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = FOLDERS[kind](folder).eval()
    model.save_pretrained(folder)
    return model
