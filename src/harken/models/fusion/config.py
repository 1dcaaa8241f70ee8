"""The configuration of a model of the family: a Hugging Face config whose parts are plain dictionaries."""

from collections.abc import Mapping
from typing import Any

from transformers import CONFIG_MAPPING, PreTrainedConfig

from harken.models.fusion import parts


class FusionConfig(PreTrainedConfig):
    """Encoders, a way of joining them, heads, and a decoder-only language model from transformers, if one speaks.

    Attributes:
        text_config: the language model; None for a model that does not speak.
        encoders: each modality's encoder, `{name: patches, ...}`.
        fuse: how they are joined.
        heads: what is read off besides language, by the names of the heads.
        language: the language head's `name` and the `weight` of its loss beside the others'.
        width: of the streams, D.
        placeholders: the id of each modality's placeholder token.
    """

    model_type = "harken_fusion"

    def __init__(
        self,
        text_config: Mapping[str, Any] | PreTrainedConfig | None = None,
        encoders: Mapping[str, Mapping[str, Any]] | None = None,
        fuse: Mapping[str, Any] | None = None,
        heads: Mapping[str, Mapping[str, Any]] | None = None,
        language: Mapping[str, Any] | None = None,
        width: int = 96,
        placeholders: Mapping[str, int] | None = None,
        **kwargs: Any,
    ):
        if isinstance(text_config, PreTrainedConfig):
            text_config = text_config.to_dict()
        text = dict(text_config) if text_config is not None else None
        self.text_config = CONFIG_MAPPING[text.pop("model_type", "qwen3")](**text) if text is not None else None
        self.encoders = {modality: dict(said) for modality, said in (encoders or {}).items()}
        self.fuse = dict(fuse or {"name": "joined"})
        self.heads = {name: dict(said) for name, said in (heads or {}).items()}
        self.language = dict(language or {"name": "answer", "weight": 1.0})
        self.width = width
        self.placeholders = dict(placeholders or {})
        kwargs.setdefault("tie_word_embeddings", self.text_config is not None and self.text_config.tie_word_embeddings)
        super().__init__(**kwargs)

    def get_text_config(self, decoder: bool | None = None, encoder: bool | None = None) -> PreTrainedConfig:
        """The language model's part (what caches and generation read); the whole where there is none."""
        return self.text_config if self.text_config is not None else self

    def encoder_parts(self) -> dict[str, Any]:
        """The encoders' settings by modality, in the order of building."""
        return {m: parts.encoder(m, self.encoders[m]) for m in parts.ENCODERS if m in self.encoders}

    def head_parts(self) -> dict[str, Any]:
        """The settings of the heads besides language, by name."""
        return {name: parts.head(name, said) for name, said in self.heads.items()}

    def fuse_part(self) -> Any:
        """The settings of how modalities are joined."""
        return parts.fuse(self.fuse)
