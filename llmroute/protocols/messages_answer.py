"""A chat's answer as Anthropic's Message."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic_core import from_json

from ..types.chat import ChatCompletion, Choice, Message, ToolCall
from ..types.messages import MessagesResponse
from ..types.request import JSON
from ..types.usage import Usage
from .messages_state import closed

STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
"""OpenAI's finish reasons to the protocol's."""
# Where servers say which sequence stopped them: Anthropic's own name, vLLM, SGLang, llama.cpp.
_STOPPED_BY = ("stop_sequence", "stop_reason", "matched_stop", "stopping_word")


def response(answer: ChatCompletion, stops: Sequence[str] = ()) -> MessagesResponse:
    """The message that `answer` says. `stops` are the stop sequences that were asked for."""
    choice = answer.choices[0] if answer.choices else None
    return MessagesResponse.model_validate(
        {
            **head(answer.id, answer.model),
            "content": list(_blocks(choice.message, answer.id)) if choice is not None else [],
            **ending(choice, stops),
            "usage": usage(answer.usage),
        }
    )


def head(id: str, model: str) -> dict[str, JSON]:
    """The fields that a message begins with."""
    return {"id": id, "type": "message", "role": "assistant", "model": model}


def ending(choice: Choice | None, stops: Sequence[str] = ()) -> dict[str, JSON]:
    """Why an answer ended: `stop_reason` and `stop_sequence`, both `None` where nobody says.

    A provider's word that is not mapped is kept as `native_finish_reason`.
    """
    if choice is None:
        return {"stop_reason": None, "stop_sequence": None}
    native = choice.get("native_finish_reason")
    reason = STOP_REASONS.get(choice.finish_reason or "")
    sequence = next((choice.get(k) for k in _STOPPED_BY if choice.get(k) in stops), None)
    if choice.message.refusal:
        reason = "refusal"
    elif choice.finish_reason == "stop" and choice.message.tool_calls:
        reason = "tool_use"  # a client that is to run tools looks at nothing else
    elif choice.finish_reason == "stop" and (sequence or native == "stop_sequence"):
        reason = "stop_sequence"
    said: dict[str, JSON] = {"stop_reason": reason, "stop_sequence": sequence}
    return {**said, "native_finish_reason": native} if native else said


def usage(counts: Usage | None) -> dict[str, JSON]:
    """Token counts as Anthropic has them: each token of the prompt is in one of three counts."""
    if counts is None:
        return {"input_tokens": 0, "output_tokens": 0, "reported": False}
    prompt, written = counts.prompt_tokens_details, counts.completion_tokens_details
    read = prompt.cached_tokens if prompt is not None else None
    stored = prompt.cache_write_tokens if prompt is not None else None
    made: dict[str, JSON] = {
        "input_tokens": max(counts.prompt_tokens - (read or 0) - (stored or 0), 0),
        "cache_creation_input_tokens": stored,
        "cache_read_input_tokens": read,
        "output_tokens": counts.completion_tokens,
    }
    if written is not None and written.reasoning_tokens is not None:
        made["output_tokens_details"] = {"thinking_tokens": written.reasoning_tokens}
    return made


def _blocks(message: Message, id: str) -> Iterator[dict[str, JSON]]:
    if message.reasoning_content:
        yield {"type": "thinking", "thinking": message.reasoning_content, "signature": ""}
    for text in (message.content, message.refusal):
        if text:
            yield {"type": "text", "text": text}
    for number, call in enumerate(message.tool_calls or ()):
        yield _tool_use(call, call.id or f"{id}-{number}")
    if (state := closed(message)) is not None:
        yield state


def _tool_use(call: ToolCall, id: str) -> dict[str, JSON]:
    """A call as a block. What its input is not an object for stands in `native_input`, as text."""
    name, text = "", ""
    if call.function is not None:
        name, text = call.function.name, call.function.arguments
    elif call.custom is not None:
        name, text = call.custom.name, call.custom.input
    block = {"type": "tool_use", "id": id, "name": name}
    try:
        input = from_json(text) if text.strip() else {}
    except ValueError:
        input = None
    if isinstance(input, dict):
        return {**block, "input": input}
    return {**block, "input": {}, "native_input": text}
