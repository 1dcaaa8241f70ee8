"""A request for an answer: OpenAI's fields, vLLM's besides, and a word about each that would be read wrongly."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harken.data.processor import Processor
from harken.models.generate import Decoding
from harken.serve.refusal import Refusal
from harken.serve.settings import ServeConfig

HARMLESS = frozenset(
    {"user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"}
    | {"parallel_tool_calls"}
)
"""What changes no answer is read over."""
NEUTRAL: dict[str, tuple[Any, ...]] = {
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "repetition_penalty": (1,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "stop_token_ids": ([],),
    "tools": ([],),
    "functions": ([],),
    "tool_choice": ("none", "auto"),
    "function_call": ("none", "auto"),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "ignore_eos": (False,),
    "skip_special_tokens": (True,),
    "best_of": (1,),
}
"""What is not offered is taken where it asks for nothing."""
OTHERS = ("audio", "prediction", "reasoning_effort", "verbosity", "web_search_options", "chat_template_kwargs")
"""Not offered in any form; named so that the refusal does not call them unknown."""
COLDEST = 0.001
MOST_STOPS, LONGEST_STOP = 16, 500

Count = Annotated[int, Field(ge=1)]


class StreamOptions(BaseModel):
    """What a stream tells besides."""

    model_config = ConfigDict(extra="forbid", strict=True)

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class Asked(BaseModel):
    """The fields that are read; `read_request` gives the others their word."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)

    model: str
    messages: list[Any]
    temperature: Annotated[float, Field(ge=0, le=100)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=-1)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    min_tokens: Annotated[int, Field(ge=0)] | None = None
    n: Count | None = None
    stop: str | list[str] | None = None
    include_stop_str_in_output: bool | None = None
    seed: Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)] | None = None
    logprobs: bool | None = None
    return_token_ids: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None


@dataclass(frozen=True)
class Request:
    """What is asked, checked.

    Attributes:
        messages: as they came; `data.openai.read_messages` reads them.
        decoding: how answers are sampled; stop texts are not among it, since they are looked for in the text.
        asked_length: whether the request itself says how long an answer may be.
        n: answers.
        seed: of all draws.
        stop: texts that end an answer.
        keep_stop: whether they stay at its end.
        logprobs: whether each token's log-probability is told.
        token_ids: whether the ids of prompt and answers are told.
        stream: whether the answer is sent as it is written.
        usage: whether a stream ends with the counts of tokens.
    """

    messages: list[Any]
    decoding: Decoding
    asked_length: bool
    n: int
    seed: int
    stop: tuple[str, ...]
    keep_stop: bool
    logprobs: bool
    token_ids: bool
    stream: bool
    usage: bool


def read_request(body: bytes, name: str, config: ServeConfig, processor: Processor) -> Request:
    """A request's body, checked; its messages are read later.

    Args:
        body: JSON.
        name: of the model that is served.
        config: what may be asked for.
        processor: knows which tokens end an answer and which are never written.

    Raises:
        Refusal: if a field is wrong, not offered or unknown, or the model is another.
    """
    asked = _checked(_parsed(body))
    _others(asked.model_extra or {}, processor)
    if asked.model != name:
        raise Refusal(f"there is no model {asked.model[:200]!r}; here is {name!r}", "model", "model_not_found", 404)
    stop = (asked.stop,) if isinstance(asked.stop, str) else tuple(asked.stop or ())
    if len(stop) > MOST_STOPS or not all(0 < len(text) <= LONGEST_STOP for text in stop):
        raise Refusal(f"stop holds at most {MOST_STOPS} texts, each of 1 to {LONGEST_STOP} letters", "stop")
    if (asked.n or 1) > config.most:
        raise Refusal(f"n is at most {config.most} here (most=... when serving), not {asked.n}", "n")
    if asked.stream_options is not None and not asked.stream:
        raise Refusal("stream_options is for streams; set stream to true, or leave it out", "stream_options")
    return Request(
        messages=asked.messages,
        decoding=_decoding(asked, config),
        asked_length=(asked.max_tokens or asked.max_completion_tokens) is not None,
        n=asked.n or 1,
        seed=secrets.randbits(63) if asked.seed is None else asked.seed % (1 << 63),
        stop=stop,
        keep_stop=bool(asked.include_stop_str_in_output),
        logprobs=bool(asked.logprobs),
        token_ids=bool(asked.return_token_ids),
        stream=bool(asked.stream),
        usage=bool(asked.stream_options and asked.stream_options.include_usage),
    )


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body, parse_constant=_no_number)
    # Deeper than Python's stack is no conversation either.
    except (ValueError, RecursionError) as error:
        raise Refusal(f"the body is not JSON ({error}); send one object", code="invalid_json") from error
    if not isinstance(said, dict):
        raise Refusal("the body is not an object; send {'model': ..., 'messages': [...]}", code="invalid_json")
    return said


def _checked(said: dict[str, Any]) -> Asked:
    try:
        return Asked.model_validate(said)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        # For a field of several types pydantic appends the type: `stop.str`.
        field = ".".join(str(place) for place in first["loc"] if place not in ("str", "list[str]"))
        raise Refusal(f"{field}: {first['msg']}", field, "invalid_value") from error


def _others(extra: Mapping[str, Any], processor: Processor) -> None:
    """Every further field changes no answer, or is refused by its name."""
    known = [*Asked.model_fields, *NEUTRAL, *OTHERS, *HARMLESS]
    for field, value in extra.items():
        if field in HARMLESS or (value is None and field in known):
            continue
        if field in NEUTRAL and (value in NEUTRAL[field] or _is_so_anyway(field, value, processor)):
            continue
        if field in NEUTRAL or field in OTHERS:
            raise Refusal(
                f"{field} would change the answer and is not offered here; leave it out", field, "unsupported_parameter"
            )
        near = get_close_matches(field[:80], known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "leave it out"
        raise Refusal(f"there is no field {field[:80]!r}; {hint}", field[:80], "unknown_parameter")


def _is_so_anyway(field: str, value: Any, processor: Processor) -> bool:
    """What harken's own sampler says so that no server's defaults change its answers (`train/vllm.py`)."""
    if field == "stop_token_ids":
        return bool(value == [processor.end_id])
    if field == "logit_bias" and isinstance(value, dict):
        never = {str(token) for token in processor.placeholders.values()}
        return set(value) <= never and all(bias == -100 for bias in value.values())
    return False


def _decoding(asked: Asked, config: ServeConfig) -> Decoding:
    if asked.max_tokens and asked.max_completion_tokens and asked.max_tokens != asked.max_completion_tokens:
        raise Refusal("max_tokens and max_completion_tokens are the same and differ; leave one out", "max_tokens")
    longest = asked.max_completion_tokens or asked.max_tokens or config.max_tokens
    if longest > config.longest:
        raise Refusal(
            f"max_tokens is at most {config.longest} here (longest=... when serving), not {longest}", "max_tokens"
        )
    temperature = 1.0 if asked.temperature is None else float(asked.temperature)
    if 0 < temperature < COLDEST:
        raise Refusal(f"a temperature is 0 (the likeliest token) or at least {COLDEST}", "temperature")
    if (asked.min_tokens or 0) > longest:
        raise Refusal(f"min_tokens is above max_tokens, {longest}", "min_tokens")
    return Decoding(
        max_tokens=longest,
        temperature=temperature,
        top_k=max(asked.top_k or 0, 0),
        top_p=1.0 if asked.top_p is None else float(asked.top_p),
        min_p=float(asked.min_p or 0.0),
        min_tokens=asked.min_tokens or 0,
    )
