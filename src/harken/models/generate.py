"""Sampling: each prompt is computed once where the model allows it, and finished rows leave."""

from collections.abc import Collection
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from harken.data.batch import Prompts, select_prompts
from harken.models.choice import choose, min_p, top_k, top_p
from harken.models.decoder import Decoder, PlainDecoder, SharedDecoder
from harken.models.model import Model
from harken.models.policy import language_head


@dataclass(frozen=True)
class Decoding:
    """How completions are sampled.

    Attributes:
        max_tokens: the longest completion, its end-of-turn token included.
        temperature: 1 samples from the policy as it is; 0 takes the likeliest token each time.
        top_k: only the so many likeliest tokens; 0 for all.
        top_p: only the likeliest tokens that together have this probability (1904.09751); 1 for all.
        min_p: only tokens at least so likely, relative to the likeliest one (2407.01082); 0 for all.
        min_tokens: the end-of-turn token is not taken before so many tokens.
        stop: a completion also ends where one of these texts appears; it stays in the completion.
    """

    max_tokens: int = 32
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    min_tokens: int = 0
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.max_tokens < 1 or self.temperature < 0:
            raise ValueError(f"decoding needs max_tokens >= 1 and temperature >= 0, not {self}")
        if self.top_k < 0 or not 0 < self.top_p <= 1 or not 0 <= self.min_p <= 1:
            raise ValueError(f"decoding needs top_k >= 0, top_p in (0, 1] and min_p in [0, 1], not {self}")
        if not 0 <= self.min_tokens <= self.max_tokens or not all(self.stop):
            raise ValueError(f"decoding needs 0 <= min_tokens <= max_tokens and no empty stop text, not {self}")

    def shape(self, logp: Float[Tensor, "N V"]) -> Float[Tensor, "N V"]:
        """Log-probabilities with -inf where a token may not be taken."""
        if self.top_k:
            logp = top_k(logp, self.top_k)
        if self.top_p < 1:
            logp = top_p(logp, self.top_p)
        return min_p(logp, self.min_p) if self.min_p else logp


@dataclass(frozen=True)
class Sampled:
    """N completions.

    Attributes:
        ids: of each completion, (T_n,), with the end-of-turn token where it finished.
        finished: whether it ended by itself (end-of-turn token or stop text), (N,).
        logprobs: of each completion's tokens, (T_n,), under the policy at its temperature, before top-k and its like.
    """

    ids: list[Int[Tensor, " _"]]
    finished: Bool[Tensor, " N"]
    logprobs: list[Float[Tensor, " _"]]


class _Writing:
    """The tokens of N completions as they are written, and which of them still go on."""

    def __init__(self, model: Model, n: int, decoding: Decoding, device: torch.device):
        self.processor, self.decoding = model.processor, decoding
        self.alive = torch.arange(n, device=device)
        self.tokens = torch.full((n, decoding.max_tokens), self.processor.pad_id, dtype=torch.long, device=device)
        self.logprobs = torch.zeros(n, decoding.max_tokens, device=device)
        self.counts = torch.full((n,), decoding.max_tokens, device=device)
        self.finished = torch.zeros(n, dtype=torch.bool, device=device)

    def write(self, step: int, chosen: Tensor, logprobs: Tensor) -> Tensor | None:
        """Put a token behind each row that is alive.

        Returns:
            which of the alive rows go on; None for all of them.
        """
        alive = self.alive
        self.tokens[alive, step], self.logprobs[alive, step] = chosen, logprobs.to(self.logprobs.dtype)
        ended = chosen == self.processor.end_id
        if self.decoding.stop:
            ended = ended | self._stopped(step)
        if not bool(ended.any()):
            return None
        self.finished[alive[ended]] = True
        self.counts[alive[ended]] = step + 1
        going = (~ended).nonzero()[:, 0]
        self.alive = alive[going]
        return going

    def _stopped(self, step: int) -> Tensor:
        """Which rows now hold a stop text. A token has at least one byte, so so many tokens back are enough."""
        reach = max(len(text.encode()) for text in self.decoding.stop)
        tails = self.tokens[self.alive, max(0, step - reach) : step + 1]
        texts = [self.processor.decode(tail) for tail in tails.cpu()]
        return torch.tensor([any(s in text for s in self.decoding.stop) for text in texts], device=self.tokens.device)

    def sampled(self) -> Sampled:
        """What was written."""
        counts = self.counts.tolist()
        tokens, logprobs = self.tokens.cpu(), self.logprobs.cpu()
        rows = range(len(counts))
        return Sampled(
            [tokens[n, : counts[n]] for n in rows], self.finished.cpu(), [logprobs[n, : counts[n]] for n in rows]
        )


@dataclass(frozen=True)
class Step:
    """One more token of each of the A completions that went on.

    Attributes:
        rows: which completions, (A,).
        tokens: (A,).
        logprobs: of the tokens, as in `Sampled`, (A,).
    """

    rows: Int[Tensor, " A"]
    tokens: Int[Tensor, " A"]
    logprobs: Float[Tensor, " A"]


class Sampling:
    """N completions that are being sampled, a token a step; within `Model.in_role` and without gradients.

    Several may be under way on one model, a step of one and a step of another: each has a cache of its own, so what it
    writes does not depend on the others, nor on the order of steps.

    Args:
        model: the policy.
        prompts: P prompts.
        rows: for each completion the row of its prompt, (N,).
        decoding: length and temperature, and what else shapes the choice.
        generator: draws all noise in advance, so that a row's completion does not depend on when others finish.
        keep_prefix: as in `generate`.
    """

    def __init__(
        self,
        model: Model,
        prompts: Prompts,
        rows: Int[Tensor, " N"],
        decoding: Decoding,
        generator: torch.Generator,
        *,
        keep_prefix: bool = False,
    ):
        device = prompts.ids.device
        self.decoding, self._end = decoding, torch.tensor([model.processor.end_id], device=device)
        self._noise = torch.rand(len(rows), decoding.max_tokens, generator=generator).to(device)
        self._head = language_head(model.trunk, model.suppressed, decoding.temperature)
        self._writing = _Writing(model, len(rows), decoding, device)
        self._decoder: Decoder
        asked = prompts if model.layout == "shared" else select_prompts(prompts, rows)
        with model.reading(asked):
            if model.layout == "shared":
                prefix = model.prefix_of(asked, keep_prefix)
                self._decoder = SharedDecoder(model.trunk, asked, prefix, rows, decoding.max_tokens)
            else:
                self._decoder = PlainDecoder(model.trunk, asked)
        self._done = 0
        self._chosen = rows  # of no meaning before the first step
        self._going: Tensor | None = None

    @property
    def over(self) -> bool:
        """Whether all completions ended, or there is no more room."""
        return self._done == self.decoding.max_tokens or not len(self._writing.alive)

    def step(self) -> Step:
        """Sample a token of each completion that goes on; only while it is not `over`."""
        if self._done:
            going = self._going
            self._decoder.step(self._chosen if going is None else self._chosen[going], going)
        decoding, rows = self.decoding, self._writing.alive
        logp = self._head(self._decoder.states).log_softmax(-1)
        shaped = logp
        if self._done < decoding.min_tokens:
            shaped = logp.index_fill(-1, self._end, -torch.inf)
        if decoding.temperature == 0:
            self._chosen = shaped.argmax(-1)
        else:
            self._chosen = choose(decoding.shape(shaped), self._noise[rows, self._done])
        logprobs = logp.gather(-1, self._chosen[:, None])[:, 0]
        self._going = self._writing.write(self._done, self._chosen, logprobs)
        self._done += 1
        return Step(rows, self._chosen, logprobs)

    def leave(self, rows: Collection[int]) -> None:
        """End completions here, between two steps: nobody waits for them any longer. They count as unfinished."""
        alive = self._writing.alive
        stay = ~torch.isin(alive, torch.tensor(sorted(rows), dtype=torch.long, device=alive.device))
        self._writing.counts[alive[~stay]] = self._done
        self._writing.alive = alive[stay]
        places = torch.arange(len(self._chosen), device=alive.device) if self._going is None else self._going
        self._going = places[stay]

    def sampled(self) -> Sampled:
        """What was written, once it is `over`."""
        return self._writing.sampled()


@torch.no_grad()
def generate(
    model: Model,
    prompts: Prompts,
    rows: Int[Tensor, " N"],
    decoding: Decoding,
    generator: torch.Generator,
    *,
    keep_prefix: bool = False,
) -> Sampled:
    """Sample N completions.

    Args:
        model: the policy.
        prompts: P prompts.
        rows: for each completion the row of its prompt, (N,).
        decoding: length and temperature, and what else shapes the choice.
        generator: draws all noise in advance, so that a row's completion does not depend on when others finish.
        keep_prefix: whether the model is going to learn from these completions with the weights that it has now; the
            prompts are then not computed a second time.
    """
    with model.in_role():
        sampling = Sampling(model, prompts, rows, decoding, generator, keep_prefix=keep_prefix)
        while not sampling.over:
            sampling.step()
    return sampling.sampled()
