"""A new model of the family from a recipe's `model`, a corpus and a seed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from harken.models.fusion import parts
from harken.models.fusion.config import FusionConfig
from harken.models.fusion.encoders.audio.log_mel_cnn import LogMelCnn
from harken.models.fusion.encoders.audio.log_mel_transformer import LogMelTransformer
from harken.models.fusion.encoders.image.cnn import Cnn
from harken.models.fusion.encoders.tower import TowerEncoder
from harken.models.fusion.heads.language import Language
from harken.models.fusion.heads.match import Match
from harken.models.fusion.model import Connected, FusionForConditionalGeneration, FusionForPrediction
from harken.models.fusion.processor import FusionProcessor, feature_extractor
from harken.models.fusion.tokenizer import PLACEHOLDERS, make_tokenizer, token_id

WIDTH = 96
"""Of the shared state, where neither a language head nor `fuse.width` says it."""
Said = Mapping[str, Any]


def _encoders() -> dict[str, Said | None]:
    return {"image": {"name": "patches"}, "audio": {"name": "log_mel_transformer"}}


@dataclass(frozen=True)
class FamilyConfig:
    """A new model of harken's own family.

    Attributes:
        encoders: by modality (image, audio, numbers, text), each `{name: cnn, ...}`: a file of `fusion/encoders` and
            its settings; what is named is what there is.
        fuse: how they are joined: a file of `fusion/fuse` and its settings.
        heads: what is read off, by any names: each a file of `fusion/heads` and its settings.
    """

    encoders: Mapping[str, Said | None] = field(default_factory=_encoders)
    fuse: Said = field(default_factory=lambda: {"name": "joined"})
    heads: Mapping[str, Said] = field(default_factory=lambda: {"answer": {"name": "language"}})

    def __post_init__(self) -> None:
        self.resolve()

    def resolve(self) -> "Resolved":
        """All parts with their defaults.

        Raises:
            PartError: if a part is not there, has no such setting, or the sizes do not fit.
        """
        encoders = {m: parts.encoder(m, said) for m, said in self.encoders.items() if said is not None}
        encoders = {m: encoders[m] for m in parts.ENCODERS if m in encoders}
        heads = {name: parts.head(name, said) for name, said in self.heads.items()}
        spoken = {name: head for name, head in heads.items() if isinstance(head, Language)}
        if not heads:
            raise parts.PartError("heads is empty: say what to read off, such as {answer: {name: language}}")
        if len(spoken) > 1:
            raise parts.PartError(f"heads: {' and '.join(spoken)} are both language heads; a model has one voice")
        if not encoders and not spoken:
            raise parts.PartError("encoders is empty: without a language head there is nothing to read")
        fuse, language = parts.fuse(self.fuse), next(iter(spoken.values()), None)
        if language is not None and fuse.width not in (None, language.hidden):
            raise parts.PartError(
                f"fuse.width is {fuse.width}, but the language head's hidden is {language.hidden}: what is "
                "fused goes into its layers; leave fuse.width out, or make them equal"
            )
        for modality, encoder in encoders.items():
            if language is not None and isinstance(encoder, Cnn | LogMelCnn) and encoder.norm == "batch":
                raise parts.PartError(
                    f"encoders.{modality}.norm is batch, but the model has a language head: what it says of a medium "
                    "in training would depend on the others of the batch, and no longer be what it said when it "
                    "sampled; leave norm out"
                )
        width = language.hidden if language is not None else fuse.width or WIDTH
        others = {name: head for name, head in heads.items() if name not in spoken}
        for name, head in others.items():
            if language is not None and isinstance(head, Match):
                raise parts.PartError(
                    f"heads.{name}: match joins media again, which a model with a language head cannot; leave one out"
                )
        made = Resolved(encoders, fuse, language, others, width, next(iter(spoken), ""))
        _refuse_misfits(made)
        return made

    def plain(self) -> dict[str, Any]:
        """The same with all defaults, as plain data."""
        made = self.resolve()
        heads = {name: parts.plain(parts.head(name, said)) for name, said in self.heads.items()}
        encoders = {m: parts.plain(settings) for m, settings in made.encoders.items()}
        return {"encoders": encoders, "fuse": parts.plain(made.fuse), "heads": heads}


@dataclass(frozen=True)
class Resolved:
    """A model's parts, each the settings of its own.

    Attributes:
        encoders: by modality, in the order of building.
        fuse: how they are joined.
        language: the language head, if the model speaks.
        heads: the other heads, by name.
        width: D.
        speaker: the language head's name.
    """

    encoders: dict[str, Any]
    fuse: Any
    language: Language | None
    heads: dict[str, Any]
    width: int
    speaker: str = ""


def _refuse_misfits(made: Resolved) -> None:
    """Refuse heads and a way of joining that could not be built: without memory, they are built here."""
    taken = dir(nn.ModuleDict())
    for name in made.heads:
        if not name or "." in name or name in taken:
            raise parts.PartError(f"heads.{name}: torch has another use for this name; call the head otherwise")
    modalities, where = list(made.encoders), "fuse"
    try:
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            if modalities:
                made.fuse.build(made.width, modalities, made.language is not None)
            for name, head in made.heads.items():
                where = f"heads.{name}"
                head.build(made.width, modalities)
    except ValueError as error:
        raise parts.PartError(f"{where}: {str(error).removeprefix('heads: ')}") from error


def build(
    config: FamilyConfig, corpus: Iterable[str], seed: int
) -> tuple[FusionForConditionalGeneration | FusionForPrediction, FusionProcessor]:
    """A model with random weights and its processor; the same seed gives the same bits.

    Args:
        config: its parts.
        corpus: texts for the tokenizer's merges, and for the words of a text encoder that knows whole words.
        seed: of the weights.

    Raises:
        PartError: if the parts do not fit each other.
        ValueError: if a file or folder that an encoder is read from is not there or not whole.
    """
    made = config.resolve()
    language, corpus = made.language, list(corpus)
    tokenizer = make_tokenizer(corpus, language.vocabulary if language else Language().vocabulary, made.encoders)
    end_id, pad_id = tokenizer.eos_token_id, tokenizer.pad_token_id
    assert isinstance(end_id, int) and isinstance(pad_id, int)
    state = torch.random.get_rng_state()
    settings, text = dict(made.encoders), None
    if "text" in settings:
        text = settings["text"].fitted(corpus, tokenizer)
        settings["text"] = text.settings
    encoders = {m: parts.plain(each) for m, each in settings.items()}
    fusion = FusionConfig(
        text_config=language.build(len(tokenizer), end_id, pad_id) if language else None,
        encoders=encoders,
        fuse=parts.plain(made.fuse),
        heads={name: parts.plain(head) for name, head in made.heads.items()},
        language={"name": made.speaker, "weight": language.weight} if language else None,
        width=made.width,
        placeholders={m: token_id(tokenizer, PLACEHOLDERS[m]) for m in made.encoders},
        eos_token_id=end_id,
        pad_token_id=pad_id,
    )
    torch.manual_seed(seed)
    model = FusionForConditionalGeneration(fusion) if language else FusionForPrediction(fusion)
    for connected in model.model.encoders.values():
        assert isinstance(connected, Connected)
        if isinstance(connected.encoder, TowerEncoder):
            connected.encoder.take_weights()
    if text is not None:
        text.start(model.model.encoders["text"].encoder)
    torch.random.set_rng_state(state)
    extractor = feature_extractor(made.encoders.get("audio") or LogMelTransformer())
    reader = text.tokenizer if text is not None else None
    return model, FusionProcessor(extractor, tokenizer, encoders, parts.plain(made.fuse), reader=reader)
