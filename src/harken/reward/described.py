"""A reward without a language model: lines on what can be measured of media and texts. Fits a laptop and a second."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from safetensors.torch import save_file
from torch import Tensor

from harken.data.blobs import Blobs
from harken.data.bounds import at_least
from harken.data.descriptors.picture import describe_picture
from harken.data.descriptors.speech import RATE, describe_speech
from harken.data.descriptors.words import describe_words
from harken.data.media import audio, image
from harken.data.tensors import read_tensors
from harken.reward.combining import Combining, Summary
from harken.reward.lift import Lift
from harken.reward.linear import LinearConfig, LinePrior, Lines, fit_lines
from harken.reward.scale import scale_of
from harken.reward.statements import labels_of, on_criterion, scales_of, statements_of
from harken.reward.wording import Wording
from harken.types import Answer, Completion, Image, Medium, Numbers, Prompt, Text

LINES, CONFIG = "lines.safetensors", "described.json"


@dataclass
class Describer:
    """Prompts with their completions to rows of numbers; each medium is measured once.

    Attributes:
        blobs: where media lie.
        chosen: completions that are chosen among (the classes of a picture): each gets coefficients of its own for
            what is measured of the media. Empty where completions are texts of all kinds.
        words: whether completions' texts are read by themselves. Where media are judged and texts only say what is in
            them, they had better not be: how a transcript is written may tell who made it.
    """

    blobs: Blobs
    chosen: tuple[str, ...] = ()
    words: bool = True
    _measured: dict[tuple[str, str], Float[np.ndarray, " D"]] = field(default_factory=dict, repr=False)

    def __call__(self, prompts: Sequence[Prompt], completions: Sequence[Completion]) -> Float[Tensor, "N D"]:
        """Rows of N completions and their prompts.

        Raises:
            ValueError: if prompts differ in their numbers of pictures and sounds, or a completion is not one of those
                that are chosen among.
        """
        shapes = {tuple(type(part).__name__ for part in _media(prompt)) for prompt in prompts}
        if len(shapes) > 1:
            raise ValueError(
                f"a described reward reads prompts with the same media in the same order; these have {sorted(shapes)}: "
                "train one for each, or use a model's trunk"
            )
        return torch.from_numpy(np.stack([self._row(p, c) for p, c in zip(prompts, completions, strict=True)]))

    def _row(self, prompt: Prompt, completion: Completion) -> Float[np.ndarray, " D"]:
        words = " ".join(part.text for m in prompt.messages for part in m.parts if isinstance(part, Text))
        media = [self._measure(part, f"{words} {completion.text}".strip()) for part in _media(prompt)]
        seen = np.concatenate(media) if media else np.zeros(0)
        if not self.chosen and not self.words:
            return seen
        if not self.chosen:
            said = describe_words(completion.text)
            return np.concatenate([seen, np.array(list(said.values()))])
        if completion.text not in self.chosen:
            raise ValueError(
                f"{completion.text!r} is none of the {len(self.chosen)} completions that were chosen among"
            )
        out = np.zeros((len(self.chosen), len(seen) + 1))
        out[self.chosen.index(completion.text)] = np.append(seen, 1.0)
        return out.reshape(-1)

    def _measure(self, part: Medium, text: str) -> Float[np.ndarray, " D"]:
        if isinstance(part, Numbers):
            raise ValueError(
                "a described reward measures pictures, sounds and words, and these prompts have numbers; train the "
                "reward on a model's trunk, or leave these prompts out"
            )
        # A picture looks the same whatever is said of it; how fast somebody speaks depends on the words.
        key = (part.sha256, "" if isinstance(part, Image) or self.chosen else text)
        if key not in self._measured:
            data = self.blobs.read(part.sha256)
            if isinstance(part, Image):
                found = describe_picture(image.decode(data))
            else:
                found = describe_speech(audio.decode(data, RATE), key[1])
            self._measured[key] = np.array(list(found.values()))
        return self._measured[key]


def _media(prompt: Prompt) -> list[Medium]:
    return [part for message in prompt.messages for part in message.parts if not isinstance(part, Text)]


@dataclass(frozen=True)
class DescribedConfig:
    """What a described reward is.

    Attributes:
        heads: members K of the ensemble, each on its own bootstrap.
        prior: scale of each member's fixed random line or curve (`reward.linear.LinePrior`); 0 for none.
        combining: how their scores become one reward.
        criterion: which answers count, where people judged several.
        weights: how much each kind of feedback counts.
        linear: how the lines are fitted.
        group_by: the fact of prompts by which rows are left out together where the penalty is chosen (such as
            `speaker`); by prompt where none is named.
    """

    heads: int = 8
    prior: float = 0.0
    combining: Combining = field(default_factory=Combining)
    criterion: str = "overall"
    weights: Mapping[str, float] = field(default_factory=dict)
    linear: LinearConfig = field(default_factory=lambda: LinearConfig(landmarks=1000))
    group_by: str = ""

    def __post_init__(self) -> None:
        at_least(self, "described", heads=1, prior=0)


@dataclass(frozen=True)
class DescribedReward:
    """Lines on descriptors, the wording that was learnt with them, and the scale that was fixed after.

    Attributes:
        lines: K of them.
        wording: thresholds and annotators.
        combining: how members' scores become one reward.
        chosen: see `Describer`.
        words: see `Describer`.
        centre: mean score of each member over what was learnt from, (K,).
        spread: standard deviation of the members' mean over it.
    """

    lines: Lines
    wording: Wording
    combining: Combining
    chosen: tuple[str, ...]
    words: bool
    centre: Float[Tensor, " K"]
    spread: float

    def scores(
        self, completions: Sequence[Completion], prompts: Mapping[str, Prompt], describer: Describer
    ) -> Float[Tensor, "N K"]:
        """Centred and scaled scores of N completions.

        Args:
            completions: what to score.
            prompts: by id.
            describer: with the same `chosen`.

        Raises:
            ValueError: if the describer is another one.
        """
        if (describer.chosen, describer.words) != (self.chosen, self.words):
            raise ValueError(
                f"this reward was learnt with chosen={self.chosen} and words={self.words}, not {describer}"
            )
        rows = describer([prompts[c.prompt_id] for c in completions], completions)
        return (self.lines(rows) - self.centre) / self.spread

    def summary(
        self, completions: Sequence[Completion], prompts: Mapping[str, Prompt], describer: Describer
    ) -> Summary:
        """Mean, spread and worst of the members' scores of N completions; arguments as in `scores`."""
        return Summary.of(self.scores(completions, prompts, describer))

    def combine(self, scores: Float[Tensor, "N K"]) -> Float[Tensor, " N"]:
        """One reward a completion, by `combining`."""
        return self.combining(scores)

    def expected_grade(
        self, completions: Sequence[Completion], prompts: Mapping[str, Prompt], describer: Describer, levels: int
    ) -> Float[Tensor, " N"]:
        """What all annotators together would say of N completions on a scale, on average: from 1 to `levels`."""
        raw = self.scores(completions, prompts, describer) * self.spread + self.centre
        return self.wording.expected_grade(raw, levels)

    def save(self, folder: Path) -> None:
        """Write it as safetensors and JSON."""
        folder.mkdir(parents=True, exist_ok=True)
        own = {f"wording.{k}": v.contiguous() for k, v in self.wording.state_dict().items()}
        lines = {"mean": self.lines.mean, "scale": self.lines.scale, "weight": self.lines.weight}
        lift = {} if self.lines.lift is None else {f"lift.{k}": v for k, v in vars(self.lines.lift).items()}
        kept = {**own, **lines, **lift, "centre": self.centre}
        save_file({name: tensor.contiguous() for name, tensor in kept.items()}, folder / LINES)
        made = {
            "annotators": list(self.wording.annotators),
            "scales": list(self.wording.scales),
            "chosen": list(self.chosen),
            "words": self.words,
            "spread": self.spread,
            "penalty": self.lines.penalty,
            **asdict(self.combining),
        }
        (folder / CONFIG).write_text(json.dumps(made, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def load_described_reward(folder: Path) -> DescribedReward:
    """Read what `DescribedReward.save` wrote.

    Raises:
        FileNotFoundError: if the folder holds none.
    """
    if not (folder / CONFIG).exists():
        raise FileNotFoundError(f"{folder} holds no described reward ({CONFIG} is missing)")
    made = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    tensors = read_tensors(folder / LINES)
    wording = Wording(made["annotators"], made["scales"])
    lifted = {k.removeprefix("lift."): tensors.pop(k) for k in sorted(tensors) if k.startswith("lift.")}
    kept = {name: tensors.pop(name) for name in ("mean", "scale", "weight")}
    lines = Lines(**kept, penalty=made["penalty"], lift=Lift(**lifted) if lifted else None)
    centre = tensors.pop("centre")
    wording.load_state_dict({k.removeprefix("wording."): v for k, v in tensors.items()})
    combining = Combining(made["combine"], made["uncertainty"])
    return DescribedReward(lines, wording, combining, tuple(made["chosen"]), made["words"], centre, made["spread"])


def train_described_reward(
    prompts: Mapping[str, Prompt],
    completions: Mapping[str, Completion],
    answers: Sequence[Answer],
    describer: Describer,
    config: DescribedConfig | None = None,
    seed: int = 0,
) -> DescribedReward:
    """Lines on what can be measured, from everything that was said.

    Args:
        prompts: by id.
        completions: by id.
        answers: what was said of them.
        describer: measures.
        config: how.
        seed: of the bootstrap.

    Raises:
        ValueError: if nothing was said on the criterion, or the prompts cannot be described alike.
    """
    config = config or DescribedConfig()
    answers = on_criterion(answers, config.criterion)
    statements, every = statements_of(answers, completions, config.heads, seed)
    names = sorted({name for s in statements for name in s.completions}, key=lambda n: (every[n].prompt_id, n))
    wording = Wording(sorted({a.annotator for a in answers}), scales_of(answers))
    said = labels_of(statements, {name: n for n, name in enumerate(names)}, wording, every)
    asked = [prompts[every[name].prompt_id] for name in names]
    groups = [str(p.facts[config.group_by]) if config.group_by else p.id for p in asked]
    place = {group: n for n, group in enumerate(sorted(set(groups)))}
    features = describer(asked, [every[name] for name in names])
    prior = LinePrior(config.prior, seed=seed)
    numbers = [place[group] for group in groups]
    lines = fit_lines(features, said, wording, config.linear, numbers, config.weights, prior)
    centre, spread = scale_of(lines(features))
    return DescribedReward(lines, wording, config.combining, describer.chosen, describer.words, centre, spread)
