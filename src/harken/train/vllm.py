"""Rollouts by a vLLM server: an OpenAI-compatible API over HTTP, pictures and sounds included.

The server renders and tokenizes the conversation by itself. What it read comes back as ids and is compared with what
the policy in training reads, so that a different chat template or picture size is an error and not a worse policy.
"""

import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from harken.data.encoded import EncodedPrompts
from harken.data.openai import Server, ServerError, check_address, part_of_message
from harken.data.seeds import derive
from harken.models.generate import Decoding, Sampled
from harken.models.model import Model
from harken.types import JSON, Part, Prompt

WRITTEN = ".written-by-harken"
"""Names a folder of weights as one that may be replaced."""


@dataclass(frozen=True)
class VLLMConfig:
    """A vLLM server that samples for the policy.

    Attributes:
        url: its address, such as `http://127.0.0.1:8000`.
        weights: a folder that both this process and the server can reach under this name; each rollout's weights are
            written there and the server is told to read them.
        model: the name that the server knows the model by; the first that it lists if none is given.
        api_key: name of the environment variable that holds its key; empty for a server without one.
        concurrency: requests at a time.
        timeout: seconds that one request may take.
        retries: how often a request is made again after the server was busy or away.
    """

    url: str
    weights: str
    model: str = ""
    api_key: str = ""
    concurrency: int = 32
    timeout: float = 600.0
    retries: int = 5

    def __post_init__(self) -> None:
        check_address(self.url)
        if min(self.concurrency, self.timeout) <= 0 or self.retries < 0:
            raise ValueError(f"concurrency and timeout are above 0, retries from 0 up: {self}")


class VLLMSampler:
    """A `Sampler` whose work a vLLM server does.

    Args:
        config: where it is.
        encoded: prompts as the policy reads them.
        suppressed: ids that a completion must not hold.

    Raises:
        ValueError: if the environment variable of the key is not set, or the folder for the weights holds other things.
    """

    def __init__(self, config: VLLMConfig, encoded: EncodedPrompts, suppressed: Sequence[int] = ()):
        self._server = Server(config.url, config.api_key, config.timeout, config.retries)
        _refuse_others(Path(config.weights))
        self.config, self.encoded, self.suppressed = config, encoded, tuple(suppressed)
        self._name = config.model

    def sample(self, prompts: Sequence[Prompt], rows: Int[Tensor, " N"], decoding: Decoding, seed: int) -> Sampled:
        """N completions of P prompts; one request a prompt.

        Raises:
            ServerError: if the server refuses, or reads a prompt in another way than the policy does.
            ValueError: if its log-probabilities could not be those of the policy with this decoding.
        """
        check_decoding(decoding)
        asked = rows.unique().tolist()
        counts = {row: int((rows == row).sum()) for row in asked}

        def request(row: int) -> list[tuple[Tensor, bool, Tensor]]:
            told = self._request(prompts[row], counts[row], decoding, derive(seed, "prompt", row))
            return self._read(prompts[row], counts[row], self._server.post("/v1/chat/completions", told))

        with ThreadPoolExecutor(self.config.concurrency) as pool:
            answered = dict(zip(asked, pool.map(request, asked), strict=True))
        made = [answered[row].pop(0) for row in rows.tolist()]
        finished = torch.tensor([done for _, done, _ in made])
        return Sampled([ids for ids, _, _ in made], finished, [logprobs for _, _, logprobs in made])

    def refresh(self, policy: Model) -> None:
        """Write the policy's weights where the server reads them, and have it read them.

        Raises:
            ServerError: if it refuses (it offers this in its development mode alone).
            ValueError: if the folder holds what harken did not write.
        """
        folder = Path(self.config.weights)
        _refuse_others(folder)
        fresh = folder.with_name(f".{folder.name}.writing")
        shutil.rmtree(fresh, ignore_errors=True)
        policy.save(fresh)
        (fresh / WRITTEN).touch()
        shutil.rmtree(folder, ignore_errors=True)
        fresh.rename(folder)
        told: dict[str, JSON] = {"method": "reload_weights", "kwargs": {"weights_path": str(folder)}}
        try:
            self._server.post("/collective_rpc", told)
        except ServerError as error:
            hint = "; start the server with VLLM_SERVER_DEV_MODE=1, on a network that you trust"
            raise ServerError(f"{error}{hint}") from error
        # What it remembers of prompts was computed with the weights of before.
        self._server.post("/reset_prefix_cache", None)

    def _request(self, prompt: Prompt, count: int, decoding: Decoding, seed: int) -> dict[str, JSON]:
        """One prompt's request. All that a server's own defaults could change is said."""
        processor = self.encoded.processor

        def part(one: Part) -> dict[str, JSON]:
            return part_of_message(one, self.encoded.blobs, processor.rate)

        return {
            "model": self._model(),
            "messages": [{"role": m.role, "content": [part(one) for one in m.parts]} for m in prompt.messages],
            "n": count,
            "seed": seed % (1 << 31),
            "max_tokens": decoding.max_tokens,
            "min_tokens": decoding.min_tokens,
            "temperature": decoding.temperature,
            "top_k": decoding.top_k or -1,
            "top_p": decoding.top_p,
            "min_p": decoding.min_p,
            "repetition_penalty": 1.0,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "stop": list(decoding.stop),
            "include_stop_str_in_output": True,
            "stop_token_ids": [processor.end_id],
            "logit_bias": {str(token): -100.0 for token in self.suppressed},
            "logprobs": True,
            "top_logprobs": 0,
            "return_token_ids": True,
        }

    def _read(self, prompt: Prompt, count: int, said: Mapping[str, Any]) -> list[tuple[Tensor, bool, Tensor]]:
        """A response as ids, whether each completion ended by itself, and log-probabilities."""
        theirs, mine = said.get("prompt_token_ids"), self.encoded([prompt])[0].ids.tolist()
        choices = sorted(said.get("choices", ()), key=lambda choice: choice["index"])
        if theirs is None or len(choices) != count or any(choice.get("token_ids") is None for choice in choices):
            raise ServerError(
                f"{self.config.url} gave {len(choices)} of {count} completions of prompt {prompt.id!r}, or no token "
                "ids; harken needs a vLLM that knows `return_token_ids` (0.10.2 or newer)"
            )
        if theirs != mine:
            apart = (n for n, (a, b) in enumerate(zip(theirs, mine, strict=False)) if a != b)
            at = next(apart, min(len(theirs), len(mine)))
            raise ServerError(
                f"{self.config.url} reads prompt {prompt.id!r} as {len(theirs)} tokens and the policy as {len(mine)}; "
                f"the first that differs is number {at}. Serve the same model with the same chat template and "
                "processor, and no limit on pictures' sizes of its own"
            )
        out = []
        for choice in choices:
            logprobs = [token["logprob"] for token in choice["logprobs"]["content"]]
            if len(logprobs) != len(choice["token_ids"]) or not logprobs:
                raise ServerError(
                    f"{self.config.url} gave {len(choice['token_ids'])} tokens and {len(logprobs)} log-probabilities "
                    f"for prompt {prompt.id!r}"
                )
            finished = choice["finish_reason"] == "stop"
            out.append((torch.tensor(choice["token_ids"]), finished, torch.tensor(logprobs, dtype=torch.float32)))
        return out

    def _model(self) -> str:
        if not self._name:
            listed = self._server.get("/v1/models")["data"]
            if not listed:
                raise ServerError(f"{self.config.url} serves no model")
            self._name = listed[0]["id"]
        return self._name


def check_decoding(decoding: Decoding) -> None:
    """Refuse a decoding for which no setting of the server gives the policy's log-probabilities.

    The server says log-probabilities either before temperature and top-k and its like, or after both; harken's are
    after the temperature and before the others.

    Raises:
        ValueError: if the temperature is not 1 and the choice is narrowed besides, or the temperature is 0.
    """
    if decoding.temperature == 0:
        raise ValueError("a policy that learns by sampling has a temperature above 0")
    narrowed = decoding.top_k or decoding.top_p < 1 or decoding.min_p
    if decoding.temperature != 1 and narrowed:
        raise ValueError(
            "with a vLLM server use temperature 1 (served with its default --logprobs-mode raw_logprobs), or no top_k, "
            "top_p and min_p (served with --logprobs-mode processed_logprobs)"
        )


def _refuse_others(folder: Path) -> None:
    """Weights replace a folder: it must be new, empty or of an earlier rollout."""
    if folder.is_dir() and any(folder.iterdir()) and not (folder / WRITTEN).exists():
        raise ValueError(
            f"align.rollout.vllm.weights: {folder} holds files that harken did not write, and each rollout replaces "
            "the folder; name a new one"
        )
