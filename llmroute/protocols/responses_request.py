"""A Responses request as a chat call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import BadRequestError, UnsupportedParamsError
from ..types.request import JSON
from .responses_input import Item, chat_messages, tools_in
from .responses_tools import Toolbox, tool_params, toolbox

_SAME = (
    "parallel_tool_calls",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "temperature",
    "top_p",
    "user",
)
"""Parameters that a chat has by the same name."""
_REFUSED = {
    "background": "Answers are made while the caller waits. Leave it out, or use stream=True.",
    "conversation": "Conversations are kept by OpenAI only. Use previous_response_id.",
    "prompt": "Prompt templates are kept by OpenAI only. Use instructions and input.",
}
_NO_EFFECT = ("max_tool_calls", "stream_options")
"""Parameters that concern only tools that OpenAI runs, or the wire."""
_LOGPROBS = "message.output_text.logprobs"
_INCLUDED = (_LOGPROBS, "reasoning.encrypted_content")
_ECHOED = (
    "instructions",
    "max_output_tokens",
    "previous_response_id",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "temperature",
    "top_logprobs",
    "top_p",
    "user",
)


@dataclass(frozen=True, slots=True)
class ChatCall:
    """What to ask the chat, and what its answer needs on the way back."""

    messages: Sequence[Item]
    params: dict[str, Any]
    tools: Toolbox
    echo: dict[str, Any]
    """The fields of the answer that repeat the request."""


def chat_call(
    items: Sequence[Item], given: Mapping[str, Any], earlier: Sequence[Item] = ()
) -> ChatCall:
    """The chat call of the request with the input `items` and the parameters `given`.

    `earlier` are the items of the conversation that `previous_response_id` goes on with.

    Raises `BadRequestError` or a subclass for what a chat cannot do; what it has no use for is
    named in the answer's `dropped`.
    """
    _refuse(given)
    box = toolbox(given.get("tools") or (), tools_in([*earlier, *items]))
    messages, lost = chat_messages(items, given.get("instructions"), earlier)
    if not messages:
        raise BadRequestError("input has nothing that the model could answer.", param="input")
    params = _params(given) | tool_params(given.get("tool_choice"), box)
    if "tools" not in params:
        params.pop("parallel_tool_calls", None)
    dropped = [*box.dropped, *lost, *_without_effect(given)]
    return ChatCall(messages, params, box, _echo(given) | ({"dropped": dropped} if dropped else {}))


def _refuse(given: Mapping[str, Any]) -> None:
    for name, advice in _REFUSED.items():
        if given.get(name):
            raise UnsupportedParamsError(f"{name} cannot be used here. {advice}", param=name)
    if given.get("truncation") not in (None, "disabled"):
        raise UnsupportedParamsError(
            "truncation='auto' cannot be used here: no input is left out unseen. Shorten it before "
            "the call; trim_messages() does so with messages.",
            param="truncation",
        )


def _params(given: Mapping[str, Any]) -> dict[str, Any]:
    params = {name: given[name] for name in _SAME if given.get(name) is not None}
    if (limit := given.get("max_output_tokens")) is not None:
        params["max_completion_tokens"] = limit
    if (effort := (given.get("reasoning") or {}).get("effort")) is not None:
        params["reasoning_effort"] = effort
    text = given.get("text") or {}
    if text.get("verbosity") is not None:
        params["verbosity"] = text["verbosity"]
    if (form := _response_format(text.get("format"))) is not None:
        params["response_format"] = form
    if _LOGPROBS in (given.get("include") or ()) or given.get("top_logprobs"):
        params["logprobs"] = True
    if given.get("top_logprobs"):
        params["top_logprobs"] = given["top_logprobs"]
    return params


def _response_format(form: JSON) -> dict[str, Any] | None:
    match form:
        case None | {"type": "text"}:
            return None
        case {"type": "json_object"}:
            return {"type": "json_object"}
        case {"type": "json_schema", "name": str(), "schema": Mapping()}:
            keys = ("name", "schema", "strict", "description")
            schema = {key: form[key] for key in keys if form.get(key) is not None}
            return {"type": "json_schema", "json_schema": schema}
    raise BadRequestError(
        'text["format"] must be {"type": "text"}, {"type": "json_object"} or {"type": '
        f'"json_schema", "name": ..., "schema": {{...}}}}, not {form!r:.200}.',
        param="text",
    )


def _without_effect(given: Mapping[str, Any]) -> list[str]:
    lost = [name for name in _NO_EFFECT if given.get(name) is not None]
    return lost + [
        f"include ({what})" for what in given.get("include") or () if what not in _INCLUDED
    ]


def _echo(given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the answer that say what was asked for, OpenAI's defaults for the rest."""
    parallel, store = given.get("parallel_tool_calls"), given.get("store")
    return {
        **{name: given[name] for name in _ECHOED if given.get(name) is not None},
        "background": False,
        "metadata": dict(given.get("metadata") or {}),
        "parallel_tool_calls": True if parallel is None else parallel,
        "reasoning": {"effort": None, "summary": None, **(given.get("reasoning") or {})},
        "store": True if store is None else store,
        "text": {"format": {"type": "text"}, **(given.get("text") or {})},
        "tool_choice": given.get("tool_choice") or "auto",
        "tools": [_shown_tool(tool) for tool in given.get("tools") or ()],
        "truncation": "disabled",
    }


def _shown_tool(tool: Mapping[str, JSON]) -> dict[str, Any]:
    if tool.get("type") != "function":
        return dict(tool)
    return {"parameters": None, "strict": None, **tool}
