"""A text encoder from a Hugging Face folder: BERT (1810.04805), RoBERTa (1907.11692), CLIP's (2103.00020), T5's ...

Of a model with two towers the text's is taken, of one with encoder and decoder the encoder. The folder is read when a
model is built; what it says of the encoder's form goes into the model's own configuration, its weights into its own.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from harken.models.fusion.encoders.encoder import Encoder
from harken.models.fusion.encoders.text.writing import Fitted, TextEncoder, Writing
from harken.models.fusion.stream import Stream, lengths_or_all

OF_A_FOLDER = ("_name_or_path", "transformers_version", "architectures", "dtype", "torch_dtype")
"""What a configuration says of the files that it came with, and not of the model's form."""
UNREAD = "pooler"
"""The layer behind an encoder's states that many folders lack; it is not read here."""


@dataclass(frozen=True)
class Pretrained(Writing):
    """A transformers model.

    Attributes:
        path: its folder, with weights in safetensors and a tokenizer.
        freeze: whether its weights stay as they are.
        config: its configuration, which a new model writes here from the folder.
    """

    path: str = ""
    freeze: bool = True
    config: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.path:
            raise ValueError("text.path is missing: say the folder of a Hugging Face text encoder")

    @property
    def brings_tokenizer(self) -> bool:
        """It reads with the folder's."""
        return True

    def fitted(self, corpus: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> Fitted:
        """Configuration, tokenizer and weights from the folder; texts are no longer than the model can read.

        Raises:
            ValueError: if the folder is not there, or its files are not whole.
        """
        folder = Path(self.path)
        if not (folder / "config.json").is_file():
            raise ValueError(f"text.path: there is no {folder / 'config.json'}; give the folder of a saved model")
        try:
            config = AutoConfig.from_pretrained(folder)
            reader = AutoTokenizer.from_pretrained(folder)
            whole, told = AutoModel.from_pretrained(
                folder, config=config, dtype=torch.float32, use_safetensors=True, output_loading_info=True
            )
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            raise ValueError(f"text.path: {folder} is no whole model with a tokenizer: {error}") from error
        tower, missing = _tower(whole), _missing(whole, told["missing_keys"])
        lacking = [name for name in missing if UNREAD not in name]
        if lacking:
            raise ValueError(f"text.path: {folder} lacks {len(lacking)} weights ({lacking[0]} ...); save it again")
        weights = {name: tensor for name, tensor in tower.state_dict().items() if name not in missing}
        longest = min(self.max_tokens, reader.model_max_length, *_places(tower))
        settings = replace(self, config=_form(config.to_diff_dict(), config.model_type), max_tokens=int(longest))

        def start(encoder: Encoder) -> None:
            assert isinstance(encoder, PretrainedReader)
            encoder.model.load_state_dict(weights, strict=False)

        return Fitted(settings, reader, start)

    def build(self) -> "PretrainedReader":
        """The encoder, with random weights."""
        return PretrainedReader(self)


class PretrainedReader(TextEncoder):
    """`text_ids` (B, T), `text_lengths` (B,) -> the last hidden states (B, T, D)."""

    def __init__(self, settings: Pretrained):
        super().__init__()
        if settings.config is None:
            raise ValueError("text.config is not known before the folder was read; build the model from a recipe")
        said = {key: value for key, value in settings.config.items() if key != "model_type"}
        self.model = _tower(AutoModel.from_config(AutoConfig.for_model(settings.config["model_type"], **said)))
        self.width = int(self.model.config.hidden_size)
        self.freeze = settings.freeze
        if settings.freeze:
            self.model.requires_grad_(False)

    @property
    def words(self) -> nn.Module:
        """The model's own table."""
        return self.model.get_input_embeddings()

    def train(self, mode: bool = True) -> "PretrainedReader":
        """As in torch, but what is frozen has no dropout: its states stay the same."""
        super().train(mode)
        self.model.train(mode and not self.freeze)
        return self

    def forward(self, media: Int[Tensor, "B T"], lengths: Int[Tensor, " B"] | None = None) -> Stream:
        """States of B texts, one a token; what lies beyond a text's length is not looked at."""
        real = torch.arange(media.shape[1], device=media.device) < lengths_or_all(media, lengths)[:, None]
        states = self.model(input_ids=media, attention_mask=real.long()).last_hidden_state
        return Stream(states * real[..., None], real)


def _tower(whole: PreTrainedModel) -> PreTrainedModel:
    """The part of a model that reads text."""
    found: Any = dict(whole.named_children()).get("text_model")
    if found is None:
        found = whole.get_encoder() if whole.config.is_encoder_decoder else whole
    assert isinstance(found, PreTrainedModel)
    return found


def _missing(whole: PreTrainedModel, names: Collection[str]) -> set[str]:
    """Of the weights that a folder lacks, those of the part that reads text, by their names there."""
    where = next(name for name, module in whole.named_modules() if module is _tower(whole))
    start = f"{where}." if where else ""
    return {name.removeprefix(start) for name in names if name.startswith(start)}


def _places(tower: PreTrainedModel) -> list[int]:
    """How many tokens each of a model's tables of positions has room for."""
    found = []
    for name, module in tower.named_modules():
        if isinstance(module, nn.Embedding) and name.rpartition(".")[2].startswith(("position_embedding", "wpe")):
            # RoBERTa's positions begin behind that of the token that fills.
            found.append(module.num_embeddings - (0 if module.padding_idx is None else module.padding_idx + 1))
    said = getattr(tower.config, "max_position_embeddings", None)  # Hugging Face's object, not ours
    return [*found, said] if isinstance(said, int) and said > 0 else found


def _form(said: Mapping[str, Any], model_type: str) -> dict[str, Any]:
    """A configuration as plain data, without what it says of the folder."""
    plain: dict[str, Any] = {key: value for key, value in said.items() if key not in OF_A_FOLDER}
    for key, value in plain.items():
        if isinstance(value, PreTrainedConfig):
            plain[key] = _form(value.to_diff_dict(), value.model_type)
        elif isinstance(value, Mapping) and "model_type" in value:
            plain[key] = _form(value, value["model_type"])
    return {**plain, "model_type": model_type}
