"""llama-cpp-python's names for options, as `llamacpp/` knows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# https://llama-cpp-python.readthedocs.io/en/latest/api-reference/ (2026-11-22)
CHAT_FORMATS = {
    "chatml": "chatml",
    "gemma": "gemma",
    "llama-2": "llama2",
    "llama-3": "llama3",
    "mistral-instruct": "mistral",
    "zephyr": "zephyr",
}
"""`chat_format` to the name of the built-in template that writes the same."""

_OF_A_CALL = frozenset({"model_path", "chat_format", "seed"})
"""What llama-cpp-python takes when it loads a model, and `llamacpp/` with each call."""


def load_options(
    n_ctx: int | None, n_batch: int | None, model_kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """The options to load a model with; `model_kwargs` win."""
    options = {"n_ctx": n_ctx, "n_batch": n_batch, **model_kwargs}
    return {
        name: value
        for name, value in options.items()
        if name not in _OF_A_CALL and value is not None
    }


def generation_arguments(
    model_kwargs: Mapping[str, Any], generation_kwargs: Mapping[str, Any], *, chat: bool
) -> dict[str, Any]:
    """Arguments of a call, with those that llama-cpp-python takes when it loads a model.

    Raises `ValueError` for a `chat_format` that has no template here.
    """
    arguments = dict(generation_kwargs)
    if model_kwargs.get("seed") is not None:
        arguments.setdefault("seed", model_kwargs["seed"])
    if chat and model_kwargs.get("chat_format") is not None:
        arguments.setdefault("chat_template", _chat_template(model_kwargs["chat_format"]))
    if "mirostat_mode" in arguments:
        arguments["mirostat"] = arguments.pop("mirostat_mode")
    wanted = arguments.get("response_format")
    if isinstance(wanted, Mapping) and wanted.get("type") == "json_object" and wanted.get("schema"):
        named = {"name": "response", "schema": wanted["schema"]}
        arguments["response_format"] = {"type": "json_schema", "json_schema": named}
    return arguments


def _chat_template(chat_format: str) -> str:
    if chat_format not in CHAT_FORMATS:
        raise ValueError(
            f"There is no template for chat_format={chat_format!r}; there is one for: "
            f"{', '.join(CHAT_FORMATS)}. Leave it out to use the model's own, or pass a Jinja "
            "template as generation_kwargs={'chat_template': ...}"
        )
    return CHAT_FORMATS[chat_format]
