"""Haystack's messages and tools in OpenAI's shape, and completions back as Haystack's messages."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

from haystack import logging
from haystack.dataclasses import (
    ChatMessage,
    ImageContent,
    ReasoningContent,
    TextContent,
    ToolCall,
    ToolCallResult,
)
from haystack.dataclasses.streaming_chunk import FinishReason
from haystack.tools import ToolsType, flatten_tools_or_toolsets
from haystack.tools.tool import Tool

from llmroute.schemas import strict as strict_schema
from llmroute.types.chat import ChatCompletion, Choice, ToolCall as CanonicalToolCall
from llmroute.types.text import TextCompletion
from llmroute.types.usage import Usage

logger = logging.getLogger(__name__)

Message: TypeAlias = dict[str, object]
"""A message in OpenAI's shape."""
Part: TypeAlias = dict[str, object]
"""A part of a message's content in OpenAI's shape."""

FINISH_REASONS: dict[str | None, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


_CUT = {
    "length": "max_tokens or the context window was reached; raise max_tokens for a longer one",
    "content_filter": "a content filter ended it",
}
"""Why an answer was cut, by its finish reason."""


def to_messages(
    messages: list[ChatMessage] | str, *, image_types: Collection[str] | None = None
) -> list[Message]:
    """`messages` in OpenAI's shape; a string is one message of the user, `""` is none.

    `image_types` are the MIME types of images that may be sent; `None` leaves it to the provider.
    Raises `TypeError` for anything but messages, `ValueError` for a message that OpenAI's shape
    cannot carry.
    """
    if isinstance(messages, str):
        return [{"role": "user", "content": messages}] if messages else []
    if not isinstance(messages, list) or not all(isinstance(m, ChatMessage) for m in messages):
        raise TypeError(f"messages must be a str or a list of ChatMessage, not {messages!r:.100}")
    return [item for message in messages for item in _canonical(message, image_types)]


def to_tools(tools: ToolsType | None, *, strict: bool = False) -> list[dict[str, object]]:
    """`tools` in OpenAI's shape; empty if there are none. The tools stay as they are.

    `strict` asks the model to keep to the parameters' schema, which then takes no further
    properties and requires all it has. Raises `ValueError` for two tools of one name.
    """
    return [{"type": "function", "function": _function(tool, strict)} for tool in flat_tools(tools)]


def flat_tools(tools: ToolsType | None) -> list[Tool]:
    """The tools in `tools`. Raises `ValueError` for two of one name."""
    flat = flatten_tools_or_toolsets(tools)
    names = Counter(tool.name for tool in flat)
    if twice := sorted(name for name, count in names.items() if count > 1):
        raise ValueError(f"Tools must have different names; more than once: {', '.join(twice)}")
    return flat


def to_replies(
    answer: ChatCompletion, *, further_meta: Mapping[str, object] | None = None
) -> list[ChatMessage]:
    """The message of every choice, with the facts about the answer in `meta`."""
    warn_of_cut_answers(answer)
    return [_reply(answer, choice, further_meta or {}) for choice in answer.choices]


def warn_of_cut_answers(answer: ChatCompletion | TextCompletion) -> None:
    """Logs a warning for every choice that does not end where the model would have ended it."""
    for choice in answer.choices:
        if choice.finish_reason in _CUT:
            logger.warning(
                "The answer with index {_index} was cut: {_reason} (finish_reason: {_finish})",
                _index=choice.index,
                _reason=_CUT[choice.finish_reason],
                _finish=choice.finish_reason,
            )


def usage_dict(usage: Usage | None) -> dict[str, object]:
    """`usage` as plain data without what is unknown; empty if the provider reported none."""
    return {} if usage is None else _without_none(usage.to_dict())


def _without_none(data: Mapping[str, object]) -> dict[str, object]:
    # An Agent sums usage key by key, and nothing can be added to None.
    return {
        key: _without_none(value) if isinstance(value, Mapping) else value
        for key, value in data.items()
        if value is not None
    }


def _canonical(message: ChatMessage, image_types: Collection[str] | None) -> Iterator[Message]:
    if message.tool_call_results:
        yield from (_tool_result(result) for result in message.tool_call_results)
        return
    parts = message._content
    texts_and_images = [part for part in parts if not isinstance(part, ToolCall | ReasoningContent)]
    if not parts and message.role.value != "assistant":
        raise ValueError(f"A message of role {message.role.value} has no content")
    result: Message = {
        "role": message.role.value,
        "content": _content(texts_and_images, image_types),
    }
    if message.name is not None:
        result["name"] = message.name
    if message.reasonings:
        result["reasoning_content"] = "\n".join(part.reasoning_text for part in message.reasonings)
    if isinstance(refusal := message.meta.get("refusal"), str):
        result["refusal"] = refusal
    if message.tool_calls:
        result["tool_calls"] = [_tool_call(call) for call in message.tool_calls]
    yield result


@runtime_checkable
class _File(Protocol):
    """Haystack's `FileContent`, which its older versions don't have."""

    base64_data: str
    mime_type: str | None
    filename: str | None


def _content(parts: Sequence[object], image_types: Collection[str] | None) -> str | list[Part]:
    if not parts:
        return ""  # what templates and endpoints take, unlike a null, beside tool calls
    if len(parts) == 1 and isinstance(parts[0], TextContent):
        return parts[0].text
    return [_part(part, image_types) for part in parts]


def _part(part: object, image_types: Collection[str] | None) -> Part:
    if isinstance(part, TextContent):
        return {"type": "text", "text": part.text}
    if isinstance(part, ImageContent):
        return _image(part, image_types)
    if isinstance(part, _File):
        if part.mime_type is None:
            raise ValueError("A FileContent needs its mime_type, such as 'application/pdf'")
        url = f"data:{part.mime_type};base64,{part.base64_data}"
        named = {"filename": part.filename} if part.filename else {}
        return {"type": "file", "file": {"file_data": url, **named}}
    raise ValueError(f"{type(part).__name__} cannot be sent to a model")


def _image(image: ImageContent, image_types: Collection[str] | None) -> Part:
    if image.mime_type is None:
        raise ValueError("An ImageContent needs its mime_type, such as 'image/png'")
    if image_types is not None and image.mime_type not in image_types:
        raise ValueError(
            f"Unsupported image format {image.mime_type}; the model takes: "
            f"{', '.join(sorted(image_types))}"
        )
    url = {"url": f"data:{image.mime_type};base64,{image.base64_image}"}
    if image.detail:
        url["detail"] = image.detail
    return {"type": "image_url", "image_url": url}


def _tool_call(call: ToolCall) -> dict[str, object]:
    arguments = json.dumps(call.arguments, ensure_ascii=False)
    return {
        "id": _id(call),
        "type": "function",
        "function": {"name": call.tool_name, "arguments": arguments},
    }


def _tool_result(result: ToolCallResult) -> Message:
    parts = result.result
    if isinstance(parts, str):
        content: str | list[Part] = parts
    else:
        if not all(isinstance(part, TextContent) for part in parts):
            raise ValueError(
                f"The result of the tool {result.origin.tool_name} must be text to be sent to the "
                "model, not images or files"
            )
        content = _content(parts, None)
    return {"role": "tool", "tool_call_id": _id(result.origin), "content": content}


def _id(call: ToolCall) -> str:
    if call.id is None:
        raise ValueError(
            f"The call of the tool {call.tool_name} has no id, which ties a result to its call"
        )
    return call.id


def _function(tool: Tool, strict: bool) -> dict[str, object]:
    spec: dict[str, object] = dict(tool.tool_spec)
    if strict:
        spec["strict"] = True
        spec["parameters"] = strict_schema(tool.parameters)
    return spec


def _reply(
    answer: ChatCompletion, choice: Choice, further_meta: Mapping[str, object]
) -> ChatMessage:
    said = choice.message
    calls = list(_haystack_calls(said.tool_calls or ()))
    meta = {
        "model": answer.model,
        "index": choice.index,
        "finish_reason": FINISH_REASONS.get(choice.finish_reason),
        "usage": usage_dict(answer.usage),
        "response_id": answer.id,
        "created": answer.created,
        **further_meta,
    }
    if choice.logprobs is not None:
        meta["logprobs"] = choice.logprobs.to_dict()
    if said.refusal:
        meta["refusal"] = said.refusal
    return ChatMessage.from_assistant(
        text=said.content or (None if calls or said.reasoning_content else said.content),
        tool_calls=calls,
        reasoning=said.reasoning_content or None,
        meta=meta,
    )


def _haystack_calls(calls: Iterable[CanonicalToolCall]) -> Iterator[ToolCall]:
    for call in calls:
        if call.function is None:
            continue  # a custom tool, which Haystack has none of and so never offers
        name, text = call.function.name, call.function.arguments
        try:
            arguments = json.loads(text or "{}")
        except ValueError:
            arguments = None
        if isinstance(arguments, dict):
            yield ToolCall(id=call.id, tool_name=name, arguments=arguments)
        else:
            logger.warning(
                "Left out a tool call whose arguments are no JSON object (ask for valid ones with "
                "tools_strict=True). ID: {_id}, tool: {_name}, arguments: {_arguments}",
                _id=call.id,
                _name=name,
                _arguments=text,
            )
