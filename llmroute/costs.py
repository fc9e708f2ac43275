"""What a call cost, in US dollars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

from .errors import BadRequestError
from .model_info import Prices
from .registry import find_model_info
from .tokens.counter import Messages, token_counter
from .types.base import Model
from .types.chat import ChatCompletion, Message
from .types.embedding import EmbeddingResponse, EmbeddingUsage
from .types.text import TextCompletion
from .types.usage import Usage

_MILLION = 1_000_000

# Where providers put tokens that they read from their cache: OpenAI; Moonshot; OpenAI's Responses;
# DeepSeek; gateways to Anthropic.
_CACHED = (
    "prompt_tokens_details.cached_tokens",
    "cached_tokens",
    "input_tokens_details.cached_tokens",
    "prompt_cache_hit_tokens",
    "cache_read_input_tokens",
)
_CACHE_WRITES = ("prompt_tokens_details.cache_write_tokens", "cache_creation_input_tokens")
# Those among them that stay for an hour: Anthropic.
_CACHE_WRITES_1H = ("cache_creation.ephemeral_1h_input_tokens",)
_PROMPT_AUDIO = ("prompt_tokens_details.audio_tokens",)
_COMPLETION_AUDIO = ("completion_tokens_details.audio_tokens",)
_REASONING = (
    "completion_tokens_details.reasoning_tokens",
    "output_tokens_details.reasoning_tokens",
    "reasoning_tokens",
)


class Cost(float):
    """US dollars. A float, which also knows its parts and how far it can be trusted."""

    prompt: float
    """The prompt's part."""
    completion: float
    """The answer's part."""
    estimated: bool
    """Whether something is missing from it: tokens were counted here because the provider reported
    none, or the provider charges for more than it reports (`prices.other_fees`, `cache_write`)."""

    def __new__(cls, prompt: float, completion: float, estimated: bool = False) -> Self:
        self = super().__new__(cls, prompt + completion)
        self.prompt = prompt
        self.completion = completion
        self.estimated = estimated
        return self

    # Not float's own: pickle and copy ask for what our __new__ takes.
    def __getnewargs__(self) -> tuple[float, float, bool]:  # type: ignore[override]
        return self.prompt, self.completion, self.estimated


class TokenCosts(NamedTuple):
    """What tokens cost, in US dollars; `None` when a price is not known."""

    prompt: float | None
    completion: float | None


def cost_per_token(
    model: str,
    prompt_tokens: int = 0,
    completion_tokens: int = 0,
    cached_tokens: int = 0,
    *,
    cache_write_tokens: int = 0,
    service_tier: str | None = None,
) -> TokenCosts:
    """What that many tokens of `model` cost: `(prompt, completion)` in US dollars.

    `cached_tokens` is how many of the prompt tokens came from the provider's cache, and
    `cache_write_tokens` how many were put there at a price of their own. `service_tier` is the tier
    they were answered in (`"flex"`, `"priority"`, `"batch"`, ...); one without prices of its own
    costs what is normal. A part whose price is not known is `None`, never zero: so is the whole
    prompt when tokens were cached and the cache's price is not known. No tokens cost nothing at any
    price.
    """
    info = find_model_info(model)
    if info is None:
        return TokenCosts(None, None)
    billed = _Billed(prompt_tokens, completion_tokens, cached_tokens, cache_write_tokens)
    return _costs(info.prices.for_service_tier(service_tier), billed)


def completion_cost(
    completion: ChatCompletion | TextCompletion | EmbeddingResponse,
    *,
    model: str | None = None,
    messages: Messages | None = None,
) -> Cost | None:
    """What an answer cost in US dollars, or `None` when a price is not known.

    `None` is never a free answer: that one costs 0.0. The result is a float with parts, see
    `Cost`. `model` is the model string to charge for, by default the one of the call. The service
    tier that the answer names counts, and audio tokens where they have a price of their own. A chat
    completion without usage is counted here if `messages` says what was asked; its cost is then
    `estimated`.
    Raises `BadRequestError` for an answer that no call produced when `model` isn't given.
    """
    model = model or (completion.call_info.model if completion.call_info else None)
    if not model:
        raise BadRequestError("No call is known that produced this answer; pass model=.")
    info = find_model_info(model)
    usage = completion.usage or _estimated_usage(completion, model, messages)
    if info is None or usage is None:
        return None
    billed = _billed(usage)
    tier = completion.service_tier if isinstance(completion, ChatCompletion) else None
    costs = _costs(info.prices.for_service_tier(tier), billed)
    if costs.prompt is None or costs.completion is None:
        return None
    charges_writes = info.prices.cache_write is not None and billed.cache_write is None
    unseen = charges_writes or info.prices.other_fees is not None
    return Cost(costs.prompt, costs.completion, estimated=unseen or completion.usage is None)


class _Billed(NamedTuple):
    prompt: int
    completion: int
    cached: int = 0
    cache_write: int | None = None
    """`None` when the provider does not say."""
    prompt_audio: int = 0
    completion_audio: int = 0
    cache_write_1h: int = 0
    """How many of `cache_write` are to stay for an hour."""


def _costs(prices: Prices, billed: _Billed) -> TokenCosts:
    prices = prices.for_prompt(billed.prompt)
    # A provider that charges nothing apart for writing charges the normal price.
    written = (billed.cache_write or 0) if prices.cache_write is not None else 0
    for_an_hour = min(billed.cache_write_1h, written)
    fresh = max(0, billed.prompt - billed.cached - written)
    return TokenCosts(
        _total(
            _with_audio(fresh, billed.prompt_audio, prices.input, prices.input_audio),
            _times(prices.cached_input, billed.cached),
            _times(prices.cache_write, written - for_an_hour),
            _times(prices.cache_write_1h, for_an_hour),
        ),
        _with_audio(billed.completion, billed.completion_audio, prices.output, prices.output_audio),
    )


def _with_audio(
    tokens: int, audio: int, price: float | None, audio_price: float | None
) -> float | None:
    """What tokens cost of which some are audio; audio without a price of its own is like text."""
    if audio_price is None:
        return _times(price, tokens)
    audio = min(audio, tokens)
    return _total(_times(price, tokens - audio), _times(audio_price, audio))


def _total(*parts: float | None) -> float | None:
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


def _times(price: float | None, tokens: int) -> float | None:
    if not tokens:
        return 0.0
    return price * tokens / _MILLION if price is not None else None


def _billed(usage: Usage | EmbeddingUsage) -> _Billed:
    """What is charged for, from wherever providers put it."""
    cached = _count_in(usage, _CACHED)
    if isinstance(usage, EmbeddingUsage):
        return _Billed(usage.prompt_tokens, 0, min(cached or 0, usage.prompt_tokens))
    return _Billed(
        usage.prompt_tokens,
        usage.completion_tokens + _reasoning_on_top(usage),
        min(cached or 0, usage.prompt_tokens),
        _count_in(usage, _CACHE_WRITES),
        _count_in(usage, _PROMPT_AUDIO) or 0,
        _count_in(usage, _COMPLETION_AUDIO) or 0,
        _count_in(usage, _CACHE_WRITES_1H) or 0,
    )


def _reasoning_on_top(usage: Usage) -> int:
    """The tokens of thinking that are not part of `completion_tokens`, as xAI counts them: the
    total tells."""
    reasoning = _count_in(usage, _REASONING) or 0
    apart = usage.prompt_tokens + usage.completion_tokens + reasoning == usage.total_tokens
    return reasoning if apart else 0


def _count_in(usage: Usage | EmbeddingUsage, places: Sequence[str]) -> int | None:
    """The largest of a number that providers put in different places; `None`: it is in none."""
    counts = [
        value
        for place in places
        if isinstance(value := _find(usage, place), int) and not isinstance(value, bool)
        if value >= 0
    ]
    return max(counts, default=None)


def _find(usage: Usage | EmbeddingUsage, place: str) -> object:
    value: object = usage
    for name in place.split("."):
        value = value.get(name) if isinstance(value, Model | dict) else None
    return value


def _text(message: Message) -> str:
    functions = [call.function for call in message.tool_calls or () if call.function]
    calls = [f"{function.name} {function.arguments}" for function in functions]
    return "\n".join([message.reasoning_content or "", message.content or "", *calls]).strip()


def _estimated_usage(
    completion: ChatCompletion | TextCompletion | EmbeddingResponse,
    model: str,
    messages: Messages | None,
) -> Usage | None:
    if messages is None or not isinstance(completion, ChatCompletion):
        return None
    prompt = token_counter(model, messages=messages).tokens
    # Each choice ends with one token that is not part of its text.
    answers = [_text(choice.message) for choice in completion.choices]
    answer = sum(token_counter(model, text=text).tokens + 1 for text in answers)
    return Usage(prompt_tokens=prompt, completion_tokens=answer, total_tokens=prompt + answer)
