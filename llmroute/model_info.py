"""What can be known about a model. `None` is always "not known", never "none"."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import ClassVar, Literal, TypeAlias

Mode: TypeAlias = Literal["chat", "text", "embedding"]
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
class Prices:
    """US dollars per million tokens; `None` is unknown. Zero means that nobody charges."""

    __pydantic_config__: ClassVar = _STRICT

    input: float | None = None
    """Prompt tokens."""
    cached_input: float | None = None
    """Prompt tokens read from the provider's cache."""
    cache_write: float | None = None
    """Prompt tokens written to the provider's cache, where that is charged apart."""
    output: float | None = None
    """Completion tokens, thinking included."""
    tiers: tuple[PriceTier, ...] = ()
    """Other prices for long prompts, shortest first."""
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
            output=tier.output,
        )


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
    status: Literal["active", "preview", "retired"] | None = None
    """`retired`: calls fail. `preview`: the provider may change it without notice."""
    released: date | None = None
    retires: date | None = None
    """The announced or past last day."""
    replaced_by: str | None = None
    """The provider's suggestion for a retired model, as a model string."""
    aliases: tuple[str, ...] = ()
    """Other model strings for exactly this model, such as dated snapshots."""
    sources: tuple[Source, ...] = ()
