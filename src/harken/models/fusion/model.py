"""The family's models: encoders, a way of joining them, heads, a decoder-only language model; Hugging Face models."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoModelForMultimodalLM, PreTrainedModel
from transformers.generation import GenerationMixin
from transformers.modeling_outputs import BaseModelOutputWithPast, BaseModelOutputWithPooling, CausalLMOutputWithPast

from harken.models.fusion import parts
from harken.models.fusion.config import FusionConfig
from harken.models.fusion.encoders.encoder import Encoder
from harken.models.fusion.fuse.fuse import Fuse, Fused, ReadBeside, Streams
from harken.models.fusion.heads.head import LEARNT, Head, View
from harken.models.fusion.stream import Stream, from_rows

MEDIA = {
    "image": ("pixel_values",),
    "audio": ("input_features", "feature_lengths"),
    "numbers": ("series", "series_lengths"),
    "text": ("text_ids", "text_lengths"),
}
"""The tensors of each modality: the media, and how much of each is real."""
OF_ENCODERS = ("model.encoders.", "model.fuse.compressors.")
"""What the names of weights begin with that a medium's features come from."""


class FusionPreTrainedModel(PreTrainedModel):
    """What Hugging Face needs to know of the family."""

    config_class = FusionConfig
    base_model_prefix = "model"
    input_modalities = ["image", "audio", "text"]  # noqa: RUF012
    _supports_sdpa = True
    _supports_cache_class = True

    @classmethod
    def from_pretrained(cls, *args: Any, **kwargs: Any) -> Any:
        """As transformers does; but what a part leaves untrained stays so, where transformers trains all it loads."""
        found = super().from_pretrained(*args, **kwargs)
        model = found[0] if isinstance(found, tuple) else found
        with torch.device("meta"):
            trained = {name: p.requires_grad for name, p in cls(model.config).named_parameters()}
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(trained[name])
        return found

    def _init_weights(self, module: nn.Module) -> None:
        """Nothing: each part starts as its own constructor leaves it; the language model brings its own start."""


class Connected(nn.Module):
    """An encoder, and a map from its width to the model's."""

    def __init__(self, encoder: Encoder, width: int):
        super().__init__()
        self.encoder = encoder
        self.project = nn.Linear(encoder.width, width)

    def forward(self, media: Tensor, lengths: Tensor | None) -> Stream:
        """States (n, M, D) of n media."""
        stream: Stream = self.encoder(media, lengths)
        return Stream(self.project(stream.states), stream.real)


class FusionModel(FusionPreTrainedModel):
    """Token ids and media -> what is shared and, with a language model, hidden states."""

    def __init__(self, config: FusionConfig):
        super().__init__(config)
        speaks = config.text_config is not None
        self.language_model = AutoModel.from_config(config.text_config) if speaks else None
        self.encoders = nn.ModuleDict(
            {m: Connected(settings.build(), config.width) for m, settings in config.encoder_parts().items()}
        )
        settings = config.fuse_part()
        self.drop = settings.drop
        self.fuse: Fuse = settings.build(config.width, list(self.encoders), speaks)
        if self.language_model is not None and isinstance(self.fuse, ReadBeside):
            self.fuse.enter(self.language_model)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """The token embeddings."""
        return self._speaking().get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the token embeddings."""
        self._speaking().set_input_embeddings(value)

    def _speaking(self) -> Any:
        if self.language_model is None:
            raise ValueError(
                "this model has no language head, so it reads and writes no tokens; predict with its heads"
            )
        return self.language_model

    def _features(self, modality: str, media: Tensor, lengths: Tensor | None = None) -> BaseModelOutputWithPooling:
        if modality not in self.encoders:
            raise ValueError(
                f"this model has no {modality} encoder, but the prompts have {modality}: leave them out, or name one "
                f"in model.encoders.{modality}"
            )
        media_stream = self.fuse.compress(modality, self.encoders[modality](media, lengths))
        return BaseModelOutputWithPooling(pooler_output=media_stream.rows())

    def get_image_features(self, pixel_values: Tensor, **kwargs: Any) -> BaseModelOutputWithPooling:
        """Features of pictures (pictures, C, H, W), as rows of the model's width in `pooler_output`, (R, D)."""
        return self._features("image", pixel_values)

    def get_audio_features(
        self, input_features: Tensor, feature_lengths: Tensor, **kwargs: Any
    ) -> BaseModelOutputWithPooling:
        """Features of sounds (clips, F, frames), as rows of the model's width in `pooler_output`, (R, D)."""
        return self._features("audio", input_features, feature_lengths)

    def get_numbers_features(self, series: Tensor, series_lengths: Tensor, **kwargs: Any) -> BaseModelOutputWithPooling:
        """Features of vectors and time series (n, T, C), as rows of the model's width in `pooler_output`, (R, D)."""
        return self._features("numbers", series, series_lengths)

    def get_text_features(self, text_ids: Tensor, text_lengths: Tensor, **kwargs: Any) -> BaseModelOutputWithPooling:
        """Features of texts (n, T), as rows of the model's width in `pooler_output`, (R, D)."""
        return self._features("text", text_ids, text_lengths)

    def streams(self, input_ids: Tensor, media: Mapping[str, Tensor | None]) -> dict[str, Stream]:
        """What each modality says in B rows, before it is joined.

        Args:
            input_ids: (B, T); its placeholders say which row each feature belongs to.
            media: tensors by name.

        Raises:
            ValueError: if placeholders and features differ in number, or a modality has no encoder.
        """
        for modality, names in MEDIA.items():
            if modality not in self.encoders and media.get(names[0]) is not None:
                self._features(modality, input_ids)
        get: dict[str, Any] = {
            "image": self.get_image_features,
            "audio": self.get_audio_features,
            "numbers": self.get_numbers_features,
            "text": self.get_text_features,
        }
        found: dict[str, Stream] = {}
        for modality in self.encoders:
            given = [media.get(name) for name in MEDIA[modality]]
            rows = torch.zeros(0, self.config.width, dtype=self.dtype, device=input_ids.device)
            if given[0] is not None:
                rows = get[modality](*given).pooler_output
            counts = (input_ids == self.config.placeholders[modality]).sum(1)
            if int(counts.sum()) != len(rows):
                raise ValueError(
                    f"{modality}: {int(counts.sum())} placeholder tokens in the batch, but {len(rows)} features from "
                    "its media; each medium must stand in the prompt exactly once (was a placeholder cut off, or a "
                    "medium dropped?)"
                )
            found[modality] = from_rows(rows, counts)
        return found

    def join(self, streams: Streams) -> Fused:
        """Streams, joined; in training modalities are left out at random, if the settings say so and nobody speaks.

        What a policy says must not depend on lots: its demonstrations lack media in their place.
        """
        drops = self.training and self.drop and self.language_model is None
        fused: Fused = self.fuse(_without_some(streams, self.drop) if drops else streams)
        return fused

    def _embed(self, input_ids: Tensor, media: Mapping[str, Tensor | None]) -> dict[str, Any]:
        """What the language model is called with: embeddings of the tokens, and of media in or beside their places."""
        embeds: Tensor = self.get_input_embeddings()(input_ids)
        streams = self.streams(input_ids, media)
        if not any(stream.states.shape[1] for stream in streams.values()):
            return {"inputs_embeds": embeds}
        beside = isinstance(self.fuse, ReadBeside)
        states, real = torch.zeros_like(embeds) if beside else embeds, torch.zeros_like(input_ids, dtype=torch.bool)
        for modality, stream in self.join(streams).streams.items():
            where, there = input_ids == self.config.placeholders[modality], streams[modality].real
            states = states.masked_scatter(where[..., None], stream.states[there].to(embeds.dtype))
            real = real.masked_scatter(where, stream.real[there])
        return {"inputs_embeds": embeds, "memory": (states, real)} if beside else {"inputs_embeds": states}

    def forward(  # noqa: PLR0913, PLR0917  (transformers reads the names from the signature)
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Any = None,
        inputs_embeds: Tensor | None = None,
        pixel_values: Tensor | None = None,
        input_features: Tensor | None = None,
        feature_lengths: Tensor | None = None,
        series: Tensor | None = None,
        series_lengths: Tensor | None = None,
        text_ids: Tensor | None = None,
        text_lengths: Tensor | None = None,
        use_cache: bool | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPast:
        """Hidden states of `input_ids` (B, T), the media put where their placeholders are.

        Args:
            input_ids: (B, T).
            attention_mask: (B, T) or (B, past + T).
            position_ids: (B, T).
            past_key_values: a transformers cache.
            inputs_embeds: (B, T, D) instead of `input_ids`; then no media are read.
            pixel_values: (pictures, C, H, W) in 0..1.
            input_features: log-mel frames, (clips, F, frames).
            feature_lengths: frames of each clip, (clips,).
            series: numbers, (n, T, C).
            series_lengths: steps of each, (n,).
            text_ids: what a text encoder reads, (n, T).
            text_lengths: tokens of each, (n,).
            use_cache: whether to return the cache.
            kwargs: handed to the language model (transformers' own flags).

        Raises:
            ValueError: if placeholders and features differ in number, or a modality has no encoder.
        """
        inputs: dict[str, Any] = {"inputs_embeds": inputs_embeds}
        if inputs_embeds is None:
            if input_ids is None:
                raise ValueError("give input_ids or inputs_embeds")
            media = {
                "pixel_values": pixel_values,
                "input_features": input_features,
                "feature_lengths": feature_lengths,
                "series": series,
                "series_lengths": series_lengths,
                "text_ids": text_ids,
                "text_lengths": text_lengths,
            }
            inputs = self._embed(input_ids, media)
        out: BaseModelOutputWithPast = self._speaking()(
            **inputs,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            use_cache=use_cache,
            **kwargs,
        )
        return out


def _without_some(streams: Streams, share: float) -> dict[str, Stream]:
    """Streams of which each row keeps each modality with a chance of 1 - `share`, and at least one that it has."""
    names = list(streams)
    present = torch.stack([streams[name].present for name in names], 1)
    drawn = torch.rand(present.shape, device=present.device)
    kept = present & (drawn >= share)
    last = torch.where(present, drawn, -1.0).argmax(1, keepdim=True)
    kept = kept | torch.zeros_like(kept).scatter(1, last, ~kept.any(1, keepdim=True))
    return {name: streams[name].only(kept[:, i]) for i, name in enumerate(names)}


def build_heads(config: FusionConfig) -> nn.ModuleDict:
    """The heads that a configuration names, with random weights."""
    modalities = [m for m in parts.ENCODERS if m in config.encoders]
    made = nn.ModuleDict()
    for name, said in config.heads.items():
        settings = parts.head(name, said)
        head: Head = settings.build(config.width, modalities)
        if settings.weight == LEARNT:
            head.log_variance = nn.Parameter(torch.zeros(()))
        made[name] = head
    return made


def read_heads(heads: nn.ModuleDict, view: View) -> dict[str, Tensor]:
    """What all heads say of a view, as `head.output`."""
    out: dict[str, Tensor] = {}
    for name, head in heads.items():
        assert isinstance(head, Head)
        out |= {f"{name}.{key}": value for key, value in head(view).items()}
        if head.log_variance is not None:
            out[f"{name}.log_variance"] = head.log_variance
    return out


class FusionForPrediction(FusionPreTrainedModel):
    """The family's model without a language head: media to what its heads say."""

    def __init__(self, config: FusionConfig):
        super().__init__(config)
        self.model = FusionModel(config)
        self.heads = build_heads(config)
        self.post_init()

    def forward(self, input_ids: Tensor, **media: Tensor | None) -> dict[str, Tensor]:
        """What all heads say of B prompts, as `head.output`.

        Args:
            input_ids: (B, T); placeholders of the media.
            media: as in `FusionModel.forward`.
        """
        streams = self.model.streams(input_ids, media)
        fused = self.model.join(streams)
        return read_heads(self.heads, View(fused.shared, streams, lambda other: self.model.fuse(other).shared))


class FusionForConditionalGeneration(FusionPreTrainedModel, GenerationMixin):
    """The family's model with a language head, and others beside it."""

    _tied_weights_keys = {"lm_head.weight": "model.language_model.embed_tokens.weight"}  # noqa: RUF012

    def __init__(self, config: FusionConfig):
        super().__init__(config)
        self.model = FusionModel(config)
        text = config.get_text_config()
        self.lm_head = nn.Linear(text.hidden_size, text.vocab_size, bias=False)
        self.heads = build_heads(config)
        learnt = config.language["weight"] == LEARNT
        self.log_variance = nn.Parameter(torch.zeros(())) if learnt else None
        self.post_init()

    def language_variance(self) -> dict[str, Tensor]:
        """The log sigma^2 of the language loss, where its weight is learnt; named as other heads' are."""
        return {} if self.log_variance is None else {f"{self.config.language['name']}.log_variance": self.log_variance}

    def forward(  # noqa: PLR0913, PLR0917  (transformers reads the names from the signature)
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Any = None,
        pixel_values: Tensor | None = None,
        input_features: Tensor | None = None,
        feature_lengths: Tensor | None = None,
        series: Tensor | None = None,
        series_lengths: Tensor | None = None,
        text_ids: Tensor | None = None,
        text_lengths: Tensor | None = None,
        labels: Tensor | None = None,
        logits_to_keep: int | Tensor = 0,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Logits (B, T, V); with `labels` (B, T) also the mean loss. Media as in `FusionModel.forward`."""
        out = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            pixel_values=pixel_values,
            input_features=input_features,
            feature_lengths=feature_lengths,
            series=series,
            series_lengths=series_lengths,
            text_ids=text_ids,
            text_lengths=text_lengths,
            **kwargs,
        )
        keep = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self.lm_head(out.last_hidden_state[:, keep])
        loss = None
        if labels is not None:
            loss = self.loss_function(logits=logits, labels=labels, vocab_size=logits.shape[-1])
        return CausalLMOutputWithPast(
            loss=loss,
            logits=logits,
            past_key_values=out.past_key_values,
            hidden_states=out.hidden_states,
            attentions=out.attentions,
        )

    def prepare_inputs_for_generation(self, *args: Any, past_key_values: Any = None, **kwargs: Any) -> dict[str, Any]:
        """Media go in once, with the prompt; later steps continue from the cache."""
        inputs = super().prepare_inputs_for_generation(*args, past_key_values=past_key_values, **kwargs)  # type: ignore[misc]
        if past_key_values is not None and past_key_values.get_seq_length() > 0:
            for name in (name for names in MEDIA.values() for name in names):
                inputs.pop(name, None)
        return inputs


AutoConfig.register("harken_fusion", FusionConfig)
AutoModel.register(FusionConfig, FusionModel)
AutoModelForMultimodalLM.register(FusionConfig, FusionForConditionalGeneration)
