"""What can be known about a model. `None` is always "not known", never "none"."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import ClassVar, Literal, TypeAlias

Mode: TypeAlias = Literal[
    "chat",
    "text",
    "embedding",
    "rerank",
    "image",
    "video",
    "speech",
    "transcription",
    "moderation",
    "ocr",
]
"""What a model is for. `image`, `video` and `speech` make these, `transcription` writes speech down
and `ocr` reads documents; llmroute itself calls the first four modes."""
Modality: TypeAlias = Literal["text", "image", "audio", "video", "file"]


# What pydantic asks a dataclass for: a mistyped key is an error, not a fact that gets lost.
_STRICT = {"extra": "forbid"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceTier:
    """Prices that replace the normal ones for a whole request once its prompt is long enough."""

    __pydantic_config__: ClassVar = _STRICT

    min_prompt_tokens: int
    """The tier holds for prompts of at least this many tokens."""
    input: float | None = None
    cached_input: float | None = None
    cache_write: float | None = None
    output: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceTierPrices:
    """Prices that replace the normal ones for requests of another service tier."""

    __pydantic_config__: ClassVar = _STRICT

    service_tier: str
    """The tier's name: `"batch"`, `"flex"`, `"priority"`, ..."""
    input: float | None = None
    cached_input: float | None = None
    cache_write: float | None = None
    output: float | None = None
    tiers: tuple[PriceTier, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitPrice:
    """The price of something that is not a token, such as a page or a second of audio."""

    __pydantic_config__: ClassVar = _STRICT

    unit: str
    """What is counted: `"web_searches"`, `"audio_seconds"`, `"input_document_pages"`, ..."""
    price: float
    """US dollars for `per` of them."""
    per: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """US dollars per million tokens; `None` is unknown. Zero means that nobody charges."""

    __pydantic_config__: ClassVar = _STRICT

    input: float | None = None
    """Prompt tokens."""
    cached_input: float | None = None
    """Prompt tokens read from the provider's cache."""
    cache_write: float | None = None
    """Prompt tokens written to the provider's cache, where that is charged apart."""
    cache_write_1h: float | None = None
    """Prompt tokens written to the cache to stay there for an hour."""
    output: float | None = None
    """Completion tokens, thinking included."""
    reasoning: float | None = None
    """Tokens of thinking, where they have a price of their own."""
    input_audio: float | None = None
    """Audio tokens of the prompt; likewise the next ones. `None` where they have no price apart."""
    cached_input_audio: float | None = None
    output_audio: float | None = None
    input_image: float | None = None
    cached_input_image: float | None = None
    output_image: float | None = None
    input_video: float | None = None
    output_video: float | None = None
    tiers: tuple[PriceTier, ...] = ()
    """Other prices for long prompts, shortest first."""
    service_tiers: tuple[ServiceTierPrices, ...] = ()
    """Other prices for batches and for other service tiers."""
    units: tuple[UnitPrice, ...] = ()
    """What is charged for by another unit than tokens, such as a web search the model makes."""
    other_fees: str | None = None
    """What is charged beside tokens, in words; token prices are then not the whole cost."""

    def for_prompt(self, prompt_tokens: int) -> Prices:
        """The prices that hold for a prompt of that many tokens."""
        reached = [tier for tier in self.tiers if prompt_tokens >= tier.min_prompt_tokens]
        if not reached:
            return self
        tier = reached[-1]
        return replace(
            self,
            input=tier.input,
            cached_input=tier.cached_input,
            cache_write=tier.cache_write,
            cache_write_1h=None,  # not known for it
            output=tier.output,
        )

    def for_service_tier(self, service_tier: str | None) -> Prices:
        """The prices of a service tier; the normal ones where no other are known for it."""
        for prices in self.service_tiers:
            if prices.service_tier == service_tier:
                return replace(
                    self,
                    input=prices.input,
                    cached_input=prices.cached_input,
                    cache_write=prices.cache_write,
                    cache_write_1h=None,  # not known for it
                    output=prices.output,
                    tiers=prices.tiers,
                )
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a model can do: `True`, `False`, or `None` when it is not known."""

    __pydantic_config__: ClassVar = _STRICT

    json_object: bool | None = None
    """`response_format={"type": "json_object"}`."""
    json_schema: bool | None = None
    """`response_format={"type": "json_schema", ...}`."""
    parallel_tools: bool | None = None
    """Several tool calls in one answer."""
    prompt_caching: bool | None = None
    reasoning: bool | None = None
    """Thinks before it answers."""
    streaming: bool | None = None
    tools: bool | None = None
    vision: bool | None = None
    """Takes images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Modalities:
    """What goes in and what comes out; `None` when not known."""

    __pydantic_config__: ClassVar = _STRICT

    input: tuple[Modality, ...] | None = None
    output: tuple[Modality, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where facts of an entry were found."""

    __pydantic_config__: ClassVar = _STRICT

    url: str
    checked: date
    """The day someone read the page."""
    note: str | None = None
    """Which facts it gave, or why a better source was not had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """What is known about one model. Change a copy of it with `dataclasses.replace()`."""

    __pydantic_config__: ClassVar = _STRICT

    name: str
    """The model string, `provider/model`."""
    provider: str
    mode: Mode
    """The operation it is for."""
    max_input_tokens: int | None = None
    """The longest prompt: the context window, unless the provider sets a smaller limit."""
    max_output_tokens: int | None = None
    """The longest answer."""
    embedding_dimensions: int | None = None
    """Length of the vectors, for `mode="embedding"`."""
    prices: Prices = Prices()
    free: bool = False
    """Nobody charges for it; only then may a price be zero."""
    capabilities: Capabilities = Capabilities()
    modalities: Modalities = Modalities()
    tokenizer: str | None = None
    """Its vocabulary, by a name `token_counter` knows (`"llama4"`, `"o200k_base"`, ...)."""
    status: Literal["active", "preview", "deprecated", "retired"] | None = None
    """`retired`: calls fail. `deprecated`: they work, but the provider has announced the end.
    `preview`: the provider may change it without notice."""
    released: date | None = None
    retires: date | None = None
    """The announced or past last day."""
    replaced_by: str | None = None
    """The provider's suggestion for a retired model, as a model string."""
    aliases: tuple[str, ...] = ()
    """Other model strings for exactly this model, such as dated snapshots."""
    sources: tuple[Source, ...] = ()
