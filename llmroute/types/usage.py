"""How many tokens a call used, in OpenAI's shape."""

from __future__ import annotations

from .base import Model


class PromptTokensDetails(Model):
    """What the prompt tokens were made of."""

    audio_tokens: int | None = None
    """Tokens of audio input."""
    cached_tokens: int | None = None
    """Tokens that were read from the provider's prompt cache instead of being computed."""
    cache_write_tokens: int | None = None
    """Tokens that were written to the provider's prompt cache."""
    image_tokens: int | None = None
    """Tokens of images."""
    text_tokens: int | None = None
    """Tokens of text."""


class CompletionTokensDetails(Model):
    """What the completion tokens were made of."""

    accepted_prediction_tokens: int | None = None
    """Tokens that were predicted or drafted, and came so."""
    audio_tokens: int | None = None
    reasoning_tokens: int | None = None
    """Tokens the model spent thinking; part of `completion_tokens`, but with providers whose
    `total_tokens` counts them on top."""
    rejected_prediction_tokens: int | None = None
    """Tokens that were predicted or drafted, and did not come. A model in this process does not
    count them as `completion_tokens`; OpenAI does."""
    text_tokens: int | None = None
    """Tokens of text."""


class Usage(Model):
    """Token counts as the provider reported them. Never estimated by llmroute."""

    prompt_tokens: int
    """Tokens of the prompt."""
    completion_tokens: int
    """Tokens of the answer, over all choices."""
    total_tokens: int
    """All together, as the provider says."""
    prompt_tokens_details: PromptTokensDetails | None = None
    completion_tokens_details: CompletionTokensDetails | None = None
