"""One request under way: its prompt encoded, its answers sampled a token at a time, their text told as it comes."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import torch
from jinja2 import TemplateError

from harken.data.batch import collate_prompts
from harken.data.blobs import Blobs
from harken.data.media.limits import MediaError
from harken.data.processor import IntegrityError
from harken.models.generate import Decoding, Sampling
from harken.models.model import Model
from harken.serve.refusal import Refusal
from harken.serve.request import Request
from harken.serve.scribe import Scribe
from harken.types import Prompt

Finish = Literal["stop", "length"]


@dataclass(frozen=True)
class Begun:
    """The prompt is read; its ids."""

    prompt: list[int]


@dataclass(frozen=True)
class Piece:
    """More of one answer.

    Attributes:
        index: which answer.
        text: what is new of it.
        tokens: ids and log-probabilities of the tokens since the piece before.
        finish: why it ended; None while it goes on.
    """

    index: int
    text: str
    tokens: list[tuple[int, float]]
    finish: Finish | None = None


@dataclass(frozen=True)
class Failed:
    """The request could not be answered, or not to its end."""

    refusal: Refusal


Event = Begun | Piece | Failed


@dataclass(eq=False)
class Job:
    """A request that waits for its answer.

    Attributes:
        request: what is asked.
        prompt: the conversation.
        blobs: where its media lie until it has begun.
        tell: takes each event; called from the worker's thread.
        gone: set when nobody waits any longer.
        done: called when the worker is through with it, however it ended.
    """

    request: Request
    prompt: Prompt
    blobs: Blobs
    tell: Callable[[Event], None]
    done: Callable[[], None]
    gone: threading.Event = field(default_factory=threading.Event)


class Answering:
    """A job that the model works on; within `Model.in_role` and without gradients.

    Args:
        model: answers.
        job: what is asked.

    Raises:
        Refusal: if the model cannot read the prompt, or prompt and answer do not fit.
    """

    def __init__(self, model: Model, job: Job):
        self.job, self._end = job, model.processor.end_id
        request, processor = job.request, model.processor
        try:
            encoded = processor.encode(job.prompt, job.blobs)
        except (IntegrityError, MediaError) as error:
            raise Refusal(str(error), "messages", "invalid_value") from error
        except ValueError as error:
            # Such as a picture that is too long and thin for how the model cuts pictures up.
            raise Refusal(f"the model's processor does not take this: {error}", "messages", "invalid_value") from error
        except TemplateError as error:
            raise Refusal(f"the model's chat template refuses this conversation: {error}", "messages") from error
        self.decoding = _fitting(request, len(encoded.ids), _context(model))
        device = next(model.parameters()).device
        rows = torch.zeros(request.n, dtype=torch.long, device=device)
        generator = torch.Generator().manual_seed(request.seed)
        asked = collate_prompts([encoded], processor.pad_id).to(device)
        self._sampling = Sampling(model, asked, rows, self.decoding, generator)
        self._scribes = [
            Scribe(processor.tokenizer, processor.opening, request.stop, request.keep_stop) for _ in range(request.n)
        ]
        self._tokens: list[list[tuple[int, float]]] = [[] for _ in range(request.n)]
        self._steps = 0
        job.tell(Begun(encoded.ids.tolist()))

    @property
    def over(self) -> bool:
        """Whether there is nothing left to do, or nobody to do it for."""
        return self._sampling.over or self.job.gone.is_set()

    def step(self) -> None:
        """A token of each answer that goes on."""
        step = self._sampling.step()
        self._steps += 1
        stopped = []
        for row, token, logprob in zip(step.rows.tolist(), step.tokens.tolist(), step.logprobs.tolist(), strict=True):
            self._tokens[row].append((token, logprob))
            if self._write(row, token):
                stopped.append(row)
        if stopped:
            self._sampling.leave(stopped)

    def _write(self, row: int, token: int) -> bool:
        """Tell what a token adds; whether a stop text ends the answer here."""
        scribe, text = self._scribes[row], ""
        if token != self._end:
            text = scribe.add(token)
        finish: Finish | None = "stop" if scribe.stopped or token == self._end else None
        if finish is None and self._steps == self.decoding.max_tokens:
            text += scribe.end()
            # The rest may hold a stop text whose last letter was not certain before.
            finish = "stop" if scribe.stopped else "length"
        elif token == self._end:
            text += scribe.end()
        if text or finish:
            tokens, self._tokens[row] = self._tokens[row], []
            self.job.tell(Piece(row, text, tokens, finish))
        return scribe.stopped and token != self._end


def _context(model: Model) -> int | None:
    """How many tokens the model has positions for, where its configuration says."""
    found = getattr(model.trunk.config.get_text_config(decoder=True), "max_position_embeddings", None)
    return found if isinstance(found, int) else None


def _fitting(request: Request, prompt: int, context: int | None) -> Decoding:
    decoding = request.decoding
    room = decoding.max_tokens if context is None else context - prompt
    if room >= decoding.max_tokens:
        return decoding
    if room < 1 or request.asked_length or decoding.min_tokens > room:
        raise Refusal(
            f"the model reads {context} tokens at most; this prompt has {prompt}, and the answer may have "
            f"{decoding.max_tokens}. Shorten the conversation, or lower max_tokens",
            "messages" if room < 1 else "max_tokens",
            "context_length_exceeded",
        )
    return Decoding(**{**vars(decoding), "max_tokens": room})
