"""A model that reads embeddings where it is given them: what its tables of words say is laid open to what moves it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from harken.data.batch import Batch, Outputs, Prompts
from harken.models.fusion.encoders.text.writing import TextEncoder
from harken.models.fusion.reading import added_ids
from harken.models.model import Model
from harken.models.policy import at_least_float32
from harken.models.predictor import Predictor

TEXT, TOKENS = "text_embeddings", "token_embeddings"
EMBEDDINGS = (TEXT, TOKENS)
"""Of words: a text encoder's, (n, T, D), and a language model's of the prompt's tokens, (P, T, D)."""
REAL = "_real"
"""Behind their names: which of the embeddings are words: no filling, places for media or control tokens."""


@dataclass(frozen=True)
class _Table:
    """A table of words, and what of a batch it reads.

    Attributes:
        module: ids to embeddings.
        ids: of a batch's prompts; None where they have none.
        real: which of them are words.
        rows: how many rows of them each prompt has.
    """

    module: nn.Module
    ids: Callable[[Prompts], Tensor | None]
    real: Callable[[Prompts], Bool[Tensor, "n T"]]
    rows: Callable[[Prompts], Tensor]


class ReadingEmbeddings(nn.Module):
    """A module whose batches may have embeddings of their words besides the ids (`laid_open`).

    The words then mean what the embeddings say. Gradients go to them and to the table that they are of, as if they
    were the table's own and something constant added (1605.07725, section 3).

    Args:
        module: called as `module(batch, needs)`; it never sees embeddings.
        model: that it calls.
        names: of `EMBEDDINGS`, those that are laid open.

    Raises:
        ValueError: if the model has no such table of words.
    """

    def __init__(self, module: nn.Module, model: Model | Predictor, names: frozenset[str]):
        super().__init__()
        self.module = module
        self._tables = {name: _table_of(model, name) for name in sorted(names)}

    def laid_open(self, batch: Batch) -> Batch:
        """The batch with the embeddings of its words, in single precision or better; those that it has are kept."""
        media, rows = dict(batch.prompts.media), dict(batch.prompts.media_rows)
        for name, table in self._tables.items():
            ids = table.ids(batch.prompts)
            if ids is None or name in media:
                continue
            with torch.no_grad():
                media[name] = at_least_float32(table.module(ids))
            media[name + REAL] = table.real(batch.prompts)
            rows[name] = rows[name + REAL] = table.rows(batch.prompts)
        return replace(batch, prompts=replace(batch.prompts, media=media, media_rows=rows))

    def forward(self, batch: Batch, needs: frozenset[str]) -> Outputs:
        """As the module's, of the embeddings where the batch has them.

        Raises:
            ValueError: if the model does not ask its table for its prompts' words as they are.
        """
        prompts = batch.prompts
        names = {n + end for n in EMBEDDINGS for end in ("", REAL)}
        kept = {name: tensor for name, tensor in prompts.media.items() if name not in names}
        rows = {name: counts for name, counts in prompts.media_rows.items() if name not in names}
        read = replace(batch, prompts=replace(prompts, media=kept, media_rows=rows))
        with ExitStack() as stack:
            for name, table in self._tables.items():
                if name in prompts.media:
                    of_words = (prompts.media[name], prompts.media[name + REAL])
                    stack.enter_context(_in_place(name, table, read.prompts, *of_words))
            out: Outputs = self.module(read, needs)
        return out


def _table_of(model: Model | Predictor, name: str) -> _Table:
    if name == TOKENS:
        if isinstance(model, Predictor):
            raise ValueError(
                f"attack.radius.{TOKENS}: this model has no language head, so it reads no tokens; a text encoder's "
                f"words are {TEXT}"
            )
        if has_second_table(model):
            raise ValueError(
                f"attack.radius.{TOKENS}: this model looks its tokens up in a second table in every layer, which would "
                "still say the words as they are; leave it out"
            )
        processor = model.processor
        unsaid = torch.tensor(sorted(processor.control_ids() | set(processor.placeholders.values())), dtype=torch.long)
        return _Table(
            model.trunk.get_input_embeddings(),
            lambda prompts: prompts.ids,
            lambda prompts: prompts.mask & ~torch.isin(prompts.ids, unsaid.to(prompts.ids.device)),
            lambda prompts: torch.ones(len(prompts.ids), dtype=torch.long, device=prompts.ids.device),
        )
    added = torch.tensor(sorted(added_ids(model.processor.hf.reader)), dtype=torch.long)
    return _Table(
        word_table(model),
        lambda prompts: prompts.media.get("text_ids"),
        lambda prompts: _spoken(prompts, added),
        lambda prompts: prompts.media_rows["text_ids"],
    )


def word_table(model: Model | Predictor) -> nn.Module:
    """The table of words of a model's text encoder.

    Raises:
        ValueError: if it has none.
    """
    readers = [part for part in model.trunk.modules() if isinstance(part, TextEncoder)]
    if not readers:
        raise ValueError(
            f"{TEXT}: this model has no text encoder; name one in model.encoders.text"
            + ("" if isinstance(model, Predictor) else f", or take {TOKENS}, which the language model reads")
        )
    return readers[0].words


def _spoken(prompts: Prompts, added: Int[Tensor, " S"]) -> Bool[Tensor, "n T"]:
    ids, lengths = prompts.media["text_ids"], prompts.media["text_lengths"]
    inside = torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]
    return inside & ~torch.isin(ids, added.to(ids.device))


def has_second_table(model: Model) -> bool:
    """Whether a model looks its tokens up once more in every layer (Gemma 3n's and 4's embeddings by layer)."""
    config = model.trunk.config.get_text_config(decoder=True)
    return bool(getattr(config, "hidden_size_per_layer_input", 0))  # Hugging Face's: few families have it


@contextmanager
def _in_place(
    name: str, table: _Table, prompts: Prompts, said: Float[Tensor, "n T D"], real: Bool[Tensor, "n T"]
) -> Iterator[None]:
    """Within, where a table is asked for the prompts' words it answers with the embeddings."""
    ids, found = table.ids(prompts), False
    assert ids is not None, "embeddings are of ids"

    def instead(_: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> Tensor:
        nonlocal found
        asked, length = args[0], ids.shape[1]
        if asked.dim() != 2 or len(asked) != len(ids) or asked.shape[1] < length:
            return out
        if bool(((asked[:, :length] != ids) & real).any()):
            return out
        found = True
        moved = (said - at_least_float32(out[:, :length].detach())) * real[..., None]
        return torch.cat([out[:, :length] + moved.to(out.dtype), out[:, length:]], 1)

    hook = table.module.register_forward_hook(instead)
    try:
        yield
    finally:
        hook.remove()
    if not found:
        raise ValueError(
            f"attack.radius.{name}: this model does not ask its table for the words of its prompts as they are, so "
            "that they cannot be moved; leave it out"
        )
