"""Why an answer: Shapley values of its prompt's modalities, heat on pictures, sounds and words, attention beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from harken.data.blobs import Blobs
from harken.data.media import image, numbers
from harken.evaluate.explain.integrated_gradients import GAP, Integral, media_heat, word_heat
from harken.evaluate.explain.paint import as_picture, overlay
from harken.evaluate.explain.places import Places, locate, token_of
from harken.evaluate.explain.reading import TEXT_IDS, WORDS, Reading, bytes_of, parts_of, read
from harken.evaluate.explain.rollout import prompt_attention
from harken.evaluate.explain.shapley import Coalition, coalitions, shapley
from harken.evaluate.explain.shown import LEAST, MINUS, Explained, Map, Share, View, Word, signed
from harken.evaluate.explain.sounds import fewer, pieces, shared_out
from harken.evaluate.explain.target import Budget, Target, values_of
from harken.models.embeddings import has_second_table
from harken.models.model import Model
from harken.types import Completion, Image, Numbers, Part, Prompt, Text

NAMES = {"image": "picture", "audio": "sound", "numbers": "numbers", WORDS: "words"}
"""What people call the modalities."""
ROUGH = 5 * GAP
"""A gap that a reader is told of."""


@dataclass(frozen=True)
class Found:
    """All that was found of one number of one answer.

    Attributes:
        reading: the prompt, and what its blanks are.
        ids: of the answer.
        values: of every coalition of modalities.
        shapley: of each modality.
        heat: by modality.
        attention: how much of each token of the prompt arrives in the answer, (T,); None where it is not told.
    """

    reading: Reading
    ids: Int[Tensor, " C"]
    values: dict[Coalition, float]
    shapley: dict[str, float]
    heat: dict[str, Integral]
    attention: Float[Tensor, " T"] | None

    @property
    def value(self) -> float:
        """With all of the prompt."""
        return self.values[frozenset(self.reading.modalities)]

    @property
    def blank(self) -> float:
        """With all of it blanked."""
        return self.values[frozenset()]


def analyse(
    target: Target, prompt: Prompt, completion: Completion, blobs: Blobs, budget: Budget | None = None
) -> Found:
    """Take the number of an answer apart.

    Args:
        target: what is explained.
        prompt: what was asked.
        completion: the answer.
        blobs: the prompt's media.
        budget: how finely; by the model's size if not said.

    Raises:
        ValueError: if the model cannot read the prompt, or the prompt has nothing to blank.
    """
    model, budget = target.model, budget or Budget.of(target.model)
    model.eval()
    reading = read(model, prompt, blobs)
    players = reading.modalities
    if not players:
        raise ValueError(f"prompt {prompt.id!r} has neither words nor media of which one could ask what they did")
    ids = torch.tensor([model.processor.end_id])
    if target.kind != "head":
        ids = model.processor.encode_completion(completion)
    some = coalitions(players)
    numbers = values_of(target, [reading.without(set(players) - one) for one in some], ids, budget.batch)
    values = dict(zip(some, numbers, strict=True))
    heat = {m: media_heat(target, reading, ids, m, budget) for m in reading.media}
    if WORDS in players:
        heat[WORDS] = word_heat(target, reading, ids, budget)
    return Found(reading, ids, values, shapley(values, players), heat, prompt_attention(target, reading, ids))


def explain(
    targets: Sequence[Target], prompt: Prompt, completion: Completion, blobs: Blobs, budget: Budget | None = None
) -> Explained:
    """An answer, explained for a page; arguments as in `analyse`, for each of some targets."""
    views = []
    for target in targets:
        found = analyse(target, prompt, completion, blobs, budget)
        views.append(_Painter(target, prompt, blobs, found).view())
    parts = [_shown(part, data) for part, data in zip(parts_of(prompt), bytes_of(prompt, blobs), strict=True)]
    shown = tuple(part for part in parts if part is not None)
    return Explained(
        shown, completion.text, completion.policy, prompt.id, tuple(views), str(prompt.facts.get("task", ""))
    )


def _shown(part: Part, data: bytes | None) -> str | bytes | None:
    match part:
        case Text(text):
            return text
        case Numbers() if data is not None:
            return numbers.excerpt(data)
    return data


@dataclass
class _Painter:
    """Makes the view of what was found."""

    target: Target
    prompt: Prompt
    blobs: Blobs
    found: Found
    notes: list[str] = field(default_factory=list)

    def view(self) -> View:
        found, target = self.found, self.target
        shares = [Share(NAMES.get(m, m), v) for m, v in found.shapley.items()]
        maps: list[Map] = []
        for modality in found.reading.media:
            maps += self.pictures() if modality == "image" else self.sounds(modality)
        if isinstance(target.model, Model) and WORDS in found.heat and has_second_table(target.model):
            self.notes.append(
                "This model looks words up in a second table in every layer; the heat on words is of the first alone."
            )
        if found.attention is None and isinstance(target.model, Model):
            self.notes.append("This model does not give its attention, so there is no attention rollout.")
        words, note = (self.words(), self.told(WORDS)) if WORDS in found.heat else ((), "")
        return View(
            target.title,
            target.scale,
            target.unit,
            found.value,
            found.blank,
            target.extra(found.value, len(found.ids)),
            tuple(shares),
            tuple(
                (_listed(one, found.reading), f"{value:.3f}".replace("-", MINUS)) for one, value in found.values.items()
            ),
            tuple(maps),
            words,
            note,
            tuple(self.notes),
        )

    def told(self, modality: str) -> str:
        """The sum of a modality's heat beside what it must be; a large gap is noted."""
        heat = self.found.heat[modality]
        if heat.gap > max(ROUGH * abs(heat.change), 0.01):
            self.notes.append(
                f"The heat of the {NAMES.get(modality, modality)} misses {signed(heat.change - heat.total)} of what it "
                f"should add up to after {heat.points} points: read it as a sketch."
            )
        return f"Heat adds up to {signed(heat.total)}; set against a blank, the value changes by {signed(heat.change)}."

    def strength(self, modality: str) -> float:
        """How strongly a modality's heat is painted: what is next to nothing must not look like much."""
        return min(1.0, sum(float(heat.abs().sum()) for heat in self.found.heat[modality].heat.values()) / LEAST)

    def pictures(self) -> list[Map]:
        """Each picture with its heat, and with the attention to it."""
        data = bytes_of(self.prompt, self.blobs)
        shown = [d for part, d in zip(parts_of(self.prompt), data, strict=True) if isinstance(part, Image) and d]
        located = locate(self.target.model.processor, self.prompt, self.blobs)
        heat = self.found.heat["image"]
        named = [name for name in heat.heat if name in located]
        if heat.heat and not named:
            self.notes.append(
                "The numbers that this model's processor makes of a picture cannot be laid over the picture again, so "
                "its heat is not shown."
            )
        note, strength, out = self.told("image"), self.strength("image"), []
        for number, one in enumerate(shown):
            pixels = image.decode(one)
            size, which = (pixels.shape[0], pixels.shape[1]), f" {number + 1}" if len(shown) > 1 else ""
            if named:
                cells = located[named[0]].cells(number, size)
                laid = sum(located[name].sums(heat.heat[name].cpu().numpy(), number, cells) for name in named)
                grid = np.asarray(laid)
                alt = f"Heat on picture{which}: {_where(grid)}"
                out.append(Map(f"Heat on the picture{which}", overlay(pixels, grid, strength=strength), alt, note))
            looked = self.looked_at(located, number, size)
            if looked is not None:
                grid, share = looked
                alt = f"Attention to picture{which}: {_where(grid)}"
                told = f"{100 * share:.0f} % of all attention to the prompt."
                out.append(Map(f"Attention to the picture{which}", overlay(pixels, grid, attention=True), alt, told))
        return out

    def looked_at(
        self, located: Mapping[str, Places], number: int, size: tuple[int, int]
    ) -> tuple[Float[np.ndarray, "R C"], float] | None:
        """The rollout on one picture, and the share of all that falls on it."""
        attention, encoded = self.found.attention, self.found.reading.encoded
        if attention is None:
            return None
        mine = attention[encoded.ids == self.target.model.processor.placeholders["image"]].numpy()
        for name, places in located.items():
            tokens = token_of(tuple(encoded.media[name].shape), len(mine))
            if tokens is not None:
                ours = np.unique(tokens[places.picture == number])
                grid = places.means(mine[tokens], number, places.cells(number, size))
                return grid, float(mine[ours].sum() / attention.sum())
        if number == 0:
            self.notes.append(
                f"{100 * float(mine.sum() / attention.sum()):.0f} % of the attention falls on pictures; which token is "
                "which part of one cannot be told for this model."
            )
        return None

    def sounds(self, modality: str) -> list[Map]:
        """Each sound (or series of numbers) with its heat, and with the attention to it."""
        encoded, heat, name = self.found.reading.encoded, self.found.heat[modality], NAMES.get(modality, modality)
        note, out = self.told(modality), []
        for tensor_name, tensor in heat.heat.items():
            real = pieces(encoded.media[tensor_name], encoded.media, modality == "numbers")
            warm = pieces(tensor, encoded.media, modality == "numbers")
            if real is None or warm is None:
                self.notes.append(f"The {name}'s tensor {tensor_name} has no form that can be drawn: no heat is shown.")
                continue
            looked = self.heard(modality, [one.shape[1] for one in real])
            for number, (frames, one) in enumerate(zip(real, warm, strict=True)):
                which = f" {number + 1}" if len(real) > 1 else ""
                picture = as_picture(fewer(frames, add=False))
                title = f"Heat on the {name}{which}"
                painted = overlay(picture, fewer(one, add=True)[::-1], strength=self.strength(modality))
                out.append(Map(title, painted, f"{title}: {_when(one)}", note))
                if looked is not None:
                    strip, share = looked[number]
                    title = f"Attention to the {name}{which}"
                    told = f"{100 * share:.0f} % of all attention to the prompt."
                    shade = overlay(picture, strip[None], attention=True)
                    out.append(Map(title, shade, f"{title}: {_when(strip[None])}", told))
        return out

    def heard(self, modality: str, lengths: Sequence[int]) -> list[tuple[np.ndarray, float]] | None:
        """For each sound the rollout along it, and the share of all that falls on it."""
        attention, ids = self.found.attention, self.found.reading.encoded.ids
        if attention is None:
            return None
        tokens = (ids == self.target.model.processor.placeholders[modality]).nonzero()[:, 0].tolist()
        each = shared_out(tokens, len(lengths), len(set(lengths)) == 1)
        if each is None:
            return None
        whole = float(attention.sum())
        return [(attention[places].numpy(), float(attention[places].sum()) / whole) for places in each]

    def words(self) -> tuple[Word, ...]:
        """The prompt's words, a token each, or several where a letter is cut in two."""
        reading, decode = self.found.reading, self.target.model.processor.tokenizer.decode
        heat = self.found.heat[WORDS].heat[WORDS].double().tolist()
        largest = max((abs(value) for value in heat), default=0.0) or 1.0
        if not bool(reading.words.any()):
            return self.read_words(heat, largest)
        places, strength = reading.words.nonzero()[:, 0].tolist(), self.strength(WORDS)
        attention = self.found.attention
        out: list[Word] = []
        kept: list[int] = []
        for n, place in enumerate(places):
            kept.append(n)
            text = decode([int(reading.encoded.ids[places[i]]) for i in kept])
            ends = n + 1 == len(places) or places[n + 1] != place + 1
            if "\ufffd" in text and not ends:
                continue
            warm = sum(heat[i] for i in kept)
            looked = None if attention is None else float(sum(attention[places[i]] for i in kept) / attention.sum())
            out.append(Word(text + (" " if ends else ""), warm, max(-1.0, min(1.0, warm / largest * strength)), looked))
            kept = []
        return tuple(out)

    def read_words(self, heat: Sequence[float], largest: float) -> tuple[Word, ...]:
        """The words as a text encoder reads them, of a model that reads them nowhere else."""
        reading, strength, rest = self.found.reading, self.strength(WORDS), iter(heat)
        out = []
        for ids, text in reading.spoken:
            warm = sum(next(rest) for _ in ids)
            out.append(Word(text, warm, max(-1.0, min(1.0, warm / largest * strength))))
        read, unknown = reading.encoded.media[TEXT_IDS][0], self.target.model.processor.hf.reader.unk_token_id
        strange = [text.strip() for ids, text in reading.spoken if any(int(read[n]) == unknown for n in ids)]
        if strange:
            shown = ", ".join(strange[:5]) + (" ..." if len(strange) > 5 else "")
            same = ", and so is a blank" if unknown == reading.unread else ""
            self.notes.append(
                f"The text encoder does not know {len(strange)} of these words ({shown}): to it they are all one{same}."
            )
        return tuple(out)


def _listed(some: Coalition, reading: Reading) -> str:
    """A coalition in words."""
    names = [NAMES.get(m, m) for m in reading.modalities if m in some]
    return " + ".join(names) if names else "nothing"


def _where(grid: Float[np.ndarray, "R C"]) -> str:
    """Where the strongest of a map lies, in words."""
    if not np.abs(grid).any():
        return "none"
    row, column = np.unravel_index(np.abs(grid).argmax(), grid.shape)
    upright = ("top", "middle", "bottom")[min(2, int(3 * (row + 0.5) / grid.shape[0]))]
    level = ("left", "centre", "right")[min(2, int(3 * (column + 0.5) / grid.shape[1]))]
    thirds = np.array_split(np.abs(grid).sum(0), 3) if grid.shape[1] >= 3 else []
    whole = float(np.abs(grid).sum())
    parts = "; left, centre and right third: " + ", ".join(f"{100 * t.sum() / whole:.0f} %" for t in thirds)
    return f"strongest at the {upright} {level}" + (parts if thirds else "")


def _when(frames: Float[np.ndarray, "F T"]) -> str:
    """When the strongest of a map lies, in words."""
    along = np.abs(frames).sum(0)
    if not along.any():
        return "none"
    return f"strongest at {100 * (int(along.argmax()) + 0.5) / len(along):.0f} % of its length"
