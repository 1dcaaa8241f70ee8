"""The family's model: encoders, one joined sequence, a decoder-only language model; a Hugging Face model."""

from typing import Any

from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoModelForMultimodalLM, PreTrainedModel
from transformers.generation import GenerationMixin
from transformers.modeling_outputs import BaseModelOutputWithPast, BaseModelOutputWithPooling, CausalLMOutputWithPast

from harken.models.fusion.config import AudioEncoderConfig, FusionConfig, ImageEncoderConfig
from harken.models.fusion.encoders.audio import AudioEncoder
from harken.models.fusion.encoders.image import ImageEncoder
from harken.models.fusion.fuse.joined import join


class FusionPreTrainedModel(PreTrainedModel):
    """What Hugging Face needs to know of the family."""

    config_class = FusionConfig
    base_model_prefix = "model"
    input_modalities = ["image", "audio", "text"]  # noqa: RUF012
    _supports_sdpa = True
    _supports_cache_class = True

    def _init_weights(self, module: nn.Module) -> None:
        """Nothing: each part starts as its own constructor leaves it; the language model brings its own start."""


class FusionModel(FusionPreTrainedModel):
    """Token ids and media -> hidden states."""

    def __init__(self, config: FusionConfig):
        super().__init__(config)
        width = config.text_config.hidden_size
        self.language_model = AutoModel.from_config(config.text_config)
        self.image_encoder = (
            ImageEncoder(ImageEncoderConfig(**config.image_encoder), width) if config.image_encoder else None
        )
        self.audio_encoder = (
            AudioEncoder(AudioEncoderConfig(**config.audio_encoder), width) if config.audio_encoder else None
        )
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """The token embeddings."""
        return self.language_model.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the token embeddings."""
        self.language_model.set_input_embeddings(value)

    def get_image_features(self, pixel_values: Tensor, **kwargs: Any) -> BaseModelOutputWithPooling:
        """Features of pictures (pictures, C, H, W), as rows of the decoder's width in `pooler_output`, (M, D)."""
        if self.image_encoder is None:
            raise ValueError("this model has no image encoder, but the prompts have pictures")
        return BaseModelOutputWithPooling(pooler_output=self.image_encoder(pixel_values).flatten(0, 1))

    def get_audio_features(
        self, input_features: Tensor, feature_lengths: Tensor, **kwargs: Any
    ) -> BaseModelOutputWithPooling:
        """Features of sounds (clips, F, frames), as rows of the decoder's width in `pooler_output`, (M, D)."""
        if self.audio_encoder is None:
            raise ValueError("this model has no audio encoder, but the prompts have sounds")
        states, real = self.audio_encoder(input_features, feature_lengths)
        return BaseModelOutputWithPooling(pooler_output=states[real])

    def _embed(
        self,
        input_ids: Tensor,
        pixel_values: Tensor | None,
        input_features: Tensor | None,
        feature_lengths: Tensor | None,
    ) -> Tensor:
        embeds = self.get_input_embeddings()(input_ids)
        none: Tensor = embeds.new_zeros(0, embeds.shape[-1])
        pictures: Any = none if pixel_values is None else self.get_image_features(pixel_values).pooler_output
        if self.image_encoder is not None and self.config.image_token_id is not None:
            embeds = join(embeds, input_ids, self.config.image_token_id, pictures, "image")
        sounds: Any = none
        if input_features is not None and feature_lengths is not None:
            sounds = self.get_audio_features(input_features, feature_lengths).pooler_output
        if self.audio_encoder is not None and self.config.audio_token_id is not None:
            embeds = join(embeds, input_ids, self.config.audio_token_id, sounds, "audio")
        return embeds

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
            use_cache: whether to return the cache.
            kwargs: handed to the language model (transformers' own flags).

        Raises:
            ValueError: if placeholders and features differ in number, or a modality has no encoder.
        """
        if inputs_embeds is None:
            if input_ids is None:
                raise ValueError("give input_ids or inputs_embeds")
            inputs_embeds = self._embed(input_ids, pixel_values, input_features, feature_lengths)
        return self.language_model(
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            use_cache=use_cache,
            **kwargs,
        )


class FusionForConditionalGeneration(FusionPreTrainedModel, GenerationMixin):
    """The family's model with a language head."""

    _tied_weights_keys = {"lm_head.weight": "model.language_model.embed_tokens.weight"}  # noqa: RUF012

    def __init__(self, config: FusionConfig):
        super().__init__(config)
        self.model = FusionModel(config)
        self.lm_head = nn.Linear(config.text_config.hidden_size, config.text_config.vocab_size, bias=False)
        self.post_init()

    def forward(  # noqa: PLR0913, PLR0917  (transformers reads the names from the signature)
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Any = None,
        pixel_values: Tensor | None = None,
        input_features: Tensor | None = None,
        feature_lengths: Tensor | None = None,
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
            for name in ("pixel_values", "input_features", "feature_lengths"):
                inputs.pop(name, None)
        return inputs


AutoConfig.register("harken_fusion", FusionConfig)
AutoModel.register(FusionConfig, FusionModel)
AutoModelForMultimodalLM.register(FusionConfig, FusionForConditionalGeneration)
