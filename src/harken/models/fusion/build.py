"""A new model of the family from settings, a corpus and a seed."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen3Config

from harken.data.bounds import at_least
from harken.models.fusion.config import AudioEncoderConfig, FusionConfig, ImageEncoderConfig
from harken.models.fusion.model import FusionForConditionalGeneration
from harken.models.fusion.processor import (
    ASSISTANT,
    AUDIO,
    CHAT_TEMPLATE,
    END,
    IMAGE,
    SYSTEM,
    USER,
    FusionProcessor,
    feature_extractor,
)


@dataclass(frozen=True)
class TextConfig:
    """The decoder-only language model (transformers' Qwen3 of this size).

    Attributes:
        hidden: width.
        layers: transformer layers.
        heads: attention heads.
        intermediate: width of the feed-forward part.
        vocabulary: at most so many tokens.
        max_tokens: longest sequence.
    """

    hidden: int = 96
    layers: int = 3
    heads: int = 4
    intermediate: int = 256
    vocabulary: int = 600
    max_tokens: int = 1024

    def __post_init__(self) -> None:
        at_least(self, "text", hidden=1, layers=1, heads=1, intermediate=1, vocabulary=1, max_tokens=1)
        if self.hidden % self.heads or self.hidden // self.heads % 2:
            raise ValueError(f"text.hidden must be an even multiple of text.heads, not {self.hidden} and {self.heads}")


@dataclass(frozen=True)
class FamilyConfig:
    """A new model of harken's own family.

    Attributes:
        text: the language model.
        image: the image encoder, or None for a model that does not see.
        audio: the audio encoder, or None for a model that does not hear.
    """

    text: TextConfig = field(default_factory=TextConfig)
    image: ImageEncoderConfig | None = field(default_factory=ImageEncoderConfig)
    audio: AudioEncoderConfig | None = field(default_factory=AudioEncoderConfig)


def make_tokenizer(corpus: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer that spells numbers digit by digit (so that it never refuses a text)."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\s?\d"), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|pad|>", END, USER, ASSISTANT, SYSTEM, IMAGE, AUDIO]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|pad|>",
        eos_token=END,
        padding_side="left",
        additional_special_tokens=[USER, ASSISTANT, SYSTEM, IMAGE, AUDIO],
        chat_template=CHAT_TEMPLATE,
    )


def _id(tokenizer: PreTrainedTokenizerFast, token: str) -> int:
    found = tokenizer.convert_tokens_to_ids(token)
    assert isinstance(found, int)
    return found


def build(
    config: FamilyConfig, corpus: Iterable[str], seed: int
) -> tuple[FusionForConditionalGeneration, FusionProcessor]:
    """A model with random weights and its processor; the same seed gives the same bits.

    Args:
        config: sizes.
        corpus: texts for the tokenizer's merges.
        seed: of the weights.

    Raises:
        ValueError: if patches do not divide the image canvas.
    """
    tokenizer = make_tokenizer(corpus, config.text.vocabulary)
    text = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=config.text.hidden,
        intermediate_size=config.text.intermediate,
        num_hidden_layers=config.text.layers,
        num_attention_heads=config.text.heads,
        num_key_value_heads=config.text.heads,
        head_dim=config.text.hidden // config.text.heads,
        max_position_embeddings=config.text.max_tokens,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    if config.image is not None:
        config.image.check()
    image = asdict(config.image) if config.image else None
    fusion = FusionConfig(
        text_config=text,
        image_encoder=image,
        audio_encoder=asdict(config.audio) if config.audio else None,
        image_token_id=_id(tokenizer, IMAGE),
        audio_token_id=_id(tokenizer, AUDIO),
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    state = torch.random.get_rng_state()
    torch.manual_seed(seed)
    model = FusionForConditionalGeneration(fusion)
    torch.random.set_rng_state(state)
    extractor = feature_extractor(config.audio or AudioEncoderConfig())
    return model, FusionProcessor(extractor, tokenizer, image_encoder=image, hears=config.audio is not None)
