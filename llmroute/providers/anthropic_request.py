"""OpenAI's chat request as the body of Anthropic's Messages API.

Written from https://platform.claude.com/docs/en/api/messages and the pages it links to
(2026-11-28). Used by every provider that speaks this protocol.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from ..errors import BadRequestError, UnsupportedOperationError
from ..registry import find_model_info
from ..types.chat_request import ChatRequest
from ..types.request import JSON
from .anthropic_answer import FORMAT, says_the_same
from .conversation import Call, Media, Part, Raw, Result, Text, Turn, conversation

DEFAULT_MAX_TOKENS = 4096
"""The API insists on a limit; this one is sent where neither the caller nor the registry knows."""

# Tokens to think with, for models that take a budget instead of an effort. LiteLLM's numbers.
_BUDGETS = {"minimal": 1024, "low": 1024, "medium": 2048, "high": 4096, "xhigh": 8192}
_EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh"}
_VERSION = re.compile(r"claude-(?:\d|[a-z]+-(\d+)(?:[-.](\d{1,2}))?(?![\d]))")
# Models that take system messages in the conversation: Opus since 4.8, and Fable.
_SYSTEM_ANYWHERE = re.compile(r"claude-(?:opus-(?:4-[89]|[5-9])|fable-)")
# How often to search for OpenAI's `search_context_size`.
_SEARCHES = {"low": 1, "medium": 5, "high": 10}
# What a tool may say beyond OpenAI's form.
_TOOL_KEYS = (
    "allowed_callers",
    "cache_control",
    "defer_loading",
    "eager_input_streaming",
    "input_examples",
)
_IMAGE_TYPES = frozenset({"image/gif", "image/jpeg", "image/png", "image/webp"})
# JSON Schema's keywords that structured outputs refuse; they become part of the description.
_NOT_ENFORCED = frozenset(
    [
        "exclusiveMaximum",
        "exclusiveMinimum",
        "maxItems",
        "maxLength",
        "maxProperties",
        "maximum",
        "minLength",
        "minProperties",
        "minimum",
        "multipleOf",
        "pattern",
        "uniqueItems",
    ]
)


def body(request: ChatRequest, model: str, params: Mapping[str, JSON]) -> dict[str, JSON]:
    """The body, without `model` and `stream`, which not every host takes there."""
    system, messages = _messages(request, model)
    answer: dict[str, JSON] = {"messages": messages}
    if system:
        answer["system"] = _system(system)
    rest = dict(params)
    _tools(rest)
    _thinking(rest, model)
    _response_format(rest)
    answer["max_tokens"] = _max_tokens(rest, request)
    if stop := rest.pop("stop", None):
        answer["stop_sequences"] = [stop] if isinstance(stop, str) else list(stop)
    _user(rest)
    if rest.get("service_tier") == "default":
        rest["service_tier"] = "standard_only"
    return {**answer, **rest}


def _messages(request: ChatRequest, model: str) -> tuple[list[Part], list[dict[str, JSON]]]:
    """The system prompt, and the conversation.

    Turns of the same side become one message, as results must follow their calls.
    """
    turns = conversation(request.messages)
    system: list[Part] = []
    messages: list[dict[str, JSON]] = []
    for position, (turn, message) in enumerate(zip(turns, request.messages, strict=True)):
        role = "user" if turn.role == "tool" else turn.role
        if role == "system" and not _stays(turns, position, messages, model):
            system += turn.parts
        elif blocks := list(_blocks(turn, message)):
            if messages and messages[-1]["role"] == role:
                messages[-1]["content"] += blocks
            else:
                messages.append({"role": role, "content": blocks})
    if not messages:
        raise BadRequestError(
            "There is no message of a user with content: Anthropic needs at least one.",
            model=request.model,
            param="messages",
        )
    if messages[-1]["role"] == "assistant":
        _strip_prefill(messages[-1]["content"])
    return system, messages


def _stays(
    turns: Sequence[Turn], position: int, before: Sequence[Mapping[str, JSON]], model: str
) -> bool:
    """Whether a system message stays where it is instead of going to the top.

    It may between a user's message and an assistant's, or at the end, if the model takes it there
    (https://platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages). What
    changes the tools (a part of a type of Anthropic's own) has no other place.
    """
    if not before or before[-1]["role"] == "assistant":
        return False
    after = next((turn.role for turn in turns[position:] if turn.role != "system"), "assistant")
    has_own_part = any(isinstance(part, Raw) for part in turns[position].parts)
    return after == "assistant" and (has_own_part or bool(_SYSTEM_ANYWHERE.search(model)))


def _strip_prefill(blocks: list[dict[str, JSON]]) -> None:
    """The API refuses an answer to continue that ends in white space."""
    if blocks[-1].get("type") == "text":
        blocks[-1] = {**blocks[-1], "text": str(blocks[-1]["text"]).rstrip()}


def _blocks(turn: Turn, message: Mapping[str, JSON]) -> Iterator[dict[str, JSON]]:
    native = turn.native or {}
    blocks = native.get("blocks")
    if native.get("format") == FORMAT and says_the_same(blocks, turn.parts):
        yield from _returned(blocks or (), turn.parts)
        return
    if turn.role == "assistant":
        # LiteLLM's name for blocks of thinking with their signatures.
        yield from message.get("thinking_blocks") or ()
    for part in turn.parts:
        yield from _block(part)


def _returned(
    blocks: Sequence[Mapping[str, JSON]], parts: Sequence[Part]
) -> Iterator[dict[str, JSON]]:
    """The blocks of an answer as they came, except empty texts, which the API gives and refuses.

    Where the caller has marked the message for the cache, its last text or call is marked.
    """
    kept = [dict(block) for block in blocks if block.get("type") != "text" or _says(block)]
    marked = [part for part in parts if isinstance(part, Text | Call) and part.cache_control]
    for block in reversed(kept if marked else ()):
        if block.get("type") in ("text", "tool_use"):
            block["cache_control"] = marked[-1].cache_control
            break
    yield from kept


def _says(text: Mapping[str, JSON]) -> bool:
    return bool(str(text.get("text") or "").strip())


def _block(part: Part) -> Iterator[dict[str, JSON]]:
    match part:
        case Text(text=text):
            if text.strip():  # the API refuses an empty text
                yield _cached({"type": "text", "text": text}, part)
        case Media():
            yield _cached(_media(part), part)
        case Call():
            call = {"type": "tool_use", "id": part.id, "name": part.name, "input": part.parsed()}
            yield _cached(call, part)
        case Result():
            yield _cached(_result(part), part)
        case Raw():
            yield dict(part.part)


def _cached(block: dict[str, JSON], part: Text | Media | Call | Result) -> dict[str, JSON]:
    return {**block, "cache_control": part.cache_control} if part.cache_control else block


def _result(part: Result) -> dict[str, JSON]:
    blocks = [block for piece in part.parts for block in _block(piece)]
    only_text = [block["text"] for block in blocks if block.keys() == {"type", "text"}]
    content: JSON = "".join(only_text) if len(only_text) == len(blocks) else blocks
    result = {"type": "tool_result", "tool_use_id": part.call_id, "content": content}
    return {**result, "is_error": True} if part.is_error else result


def _media(part: Media) -> dict[str, JSON]:
    if part.kind not in ("image", "document"):
        raise UnsupportedOperationError(f"Anthropic takes no {part.kind} in messages.")
    if part.file_id is not None:
        return {"type": part.kind, "source": {"type": "file", "file_id": part.file_id}}
    if part.url is not None:
        return {"type": part.kind, "source": {"type": "url", "url": part.url}}
    if part.kind == "image":
        return {"type": "image", "source": _inline(part, part.media_type or "image/png")}
    named = {"title": part.name} if part.name else {}
    if part.media_type == "text/plain":
        text = part.content().decode("utf-8", "replace")
        source = {"type": "text", "media_type": "text/plain", "data": text}
        return {"type": "document", "source": source, **named}
    return {"type": "document", "source": _inline(part, "application/pdf"), **named}


def _inline(part: Media, media_type: str) -> dict[str, JSON]:
    if part.kind == "image" and media_type not in _IMAGE_TYPES:
        raise BadRequestError(
            f"Anthropic takes images as {', '.join(sorted(_IMAGE_TYPES))}, not {media_type}.",
            param="messages",
        )
    return {"type": "base64", "media_type": media_type, "data": part.data}


def _system(parts: Sequence[Part]) -> JSON:
    blocks = [block for part in parts for block in _block(part)]
    plain = all(block.keys() == {"type", "text"} for block in blocks)
    if not plain:
        return blocks
    return "\n\n".join(str(block["text"]) for block in blocks)


def _tools(params: dict[str, JSON]) -> None:
    """Tools and their choice in Anthropic's form; a tool that is its own already stays."""
    tools = [_tool(tool) for tool in params.pop("tools", None) or ()]
    if (search := params.pop("web_search_options", None)) is not None:
        tools.append(_web_search(search))
    if tools:
        params["tools"] = tools
    choice = _tool_choice(params.pop("tool_choice", None))
    parallel = params.pop("parallel_tool_calls", None)
    if parallel is False and tools and choice != {"type": "none"}:
        choice = {**(choice or {"type": "auto"}), "disable_parallel_tool_use": True}
    if choice is not None:
        params["tool_choice"] = choice


def _tool(tool: Mapping[str, JSON]) -> dict[str, JSON]:
    function = tool.get("function")
    if tool.get("type") != "function" or not isinstance(function, Mapping):
        return dict(tool)
    schema = function.get("parameters") or {"type": "object", "properties": {}}
    ours = {"name": function.get("name"), "input_schema": schema}
    if function.get("description") is not None:
        ours["description"] = function["description"]
    if function.get("strict"):
        ours |= {"strict": True, "input_schema": enforceable(schema)}
    more = {**function, **tool}
    return ours | {key: more[key] for key in _TOOL_KEYS if more.get(key)}


def _web_search(options: Mapping[str, JSON]) -> dict[str, JSON]:
    tool: dict[str, JSON] = {"type": "web_search_20250305", "name": "web_search"}
    if size := options.get("search_context_size"):
        tool["max_uses"] = _SEARCHES.get(size, 5)
    location = options.get("user_location")
    if isinstance(location, Mapping):
        where = location.get("approximate")
        tool["user_location"] = {
            "type": "approximate",
            **(where if isinstance(where, Mapping) else location),
        }
    return tool


def _tool_choice(choice: JSON) -> dict[str, JSON] | None:
    match choice:
        case None:
            return None
        case "auto" | "none":
            return {"type": choice}
        case "required" | "any":
            return {"type": "any"}
        case {"type": "function", "function": {"name": name}} | {"type": "function", "name": name}:
            return {"type": "tool", "name": name}
        case Mapping():
            return dict(choice)
    raise BadRequestError(
        f"tool_choice={choice!r:.100} must be 'auto', 'none', 'required' or a function.",
        param="tool_choice",
    )


def _thinking(params: dict[str, JSON], model: str) -> None:
    """`reasoning_effort` in the form the model takes: an effort, or a budget of tokens."""
    effort = params.pop("reasoning_effort", None)
    if effort is None or "thinking" in params:
        return
    if effort == "none":
        params["thinking"] = {"type": "disabled"}
    elif is_newer(model, (4, 6)):
        params["thinking"] = {"type": "adaptive"}
        config = params.get("output_config") or {}
        params["output_config"] = {"effort": _EFFORTS.get(effort, effort), **config}
    elif effort in _BUDGETS:
        params["thinking"] = {"type": "enabled", "budget_tokens": _BUDGETS[effort]}
    else:
        raise BadRequestError(
            f"reasoning_effort={effort!r} must be one of {', '.join(_BUDGETS)} or none.",
            param="reasoning_effort",
        )


def is_newer(model: str, version: tuple[int, int]) -> bool:
    """Whether `model` is a Claude of at least `version`; a name without one counts as newer."""
    found = _VERSION.search(model)
    if found is None:
        return True
    if found[1] is None:  # claude-3-5-sonnet: the version came before the family
        return False
    return (int(found[1]), int(found[2] or 0)) >= version


def refused_values(params: Mapping[str, JSON]) -> dict[str, str]:
    """Parameters whose value the protocol has nothing for, each with the reason."""
    wanted = params.get("response_format")
    if wanted is None or _is_text(wanted) or _wanted_schema(wanted) is not None:
        return {}
    return {"response_format": "without a schema; pass a pydantic model or a json_schema"}


def _is_text(wanted: JSON) -> bool:
    return isinstance(wanted, Mapping) and wanted.get("type") == "text"


def _wanted_schema(wanted: JSON) -> Mapping[str, JSON] | None:
    if not isinstance(wanted, Mapping):
        return None
    described = wanted.get("json_schema")
    schema = described.get("schema") if isinstance(described, Mapping) else wanted.get("schema")
    return schema if isinstance(schema, Mapping) else None


def _response_format(params: dict[str, JSON]) -> None:
    wanted = params.get("response_format")
    schema = _wanted_schema(wanted)
    if schema is not None:
        config = params.get("output_config") or {}
        wish = {"type": "json_schema", "schema": enforceable(schema)}
        params["output_config"] = {**config, "format": wish}
    if schema is not None or _is_text(wanted):
        del params["response_format"]


def enforceable(schema: JSON) -> JSON:
    """A copy of `schema` with what structured outputs do not enforce moved to descriptions."""
    if isinstance(schema, list):
        return [enforceable(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    copy: dict[str, JSON] = {}
    for key, value in schema.items():
        if key in ("properties", "$defs", "definitions") and isinstance(value, Mapping):
            copy[key] = {name: enforceable(item) for name, item in value.items()}
        elif key in ("const", "default", "enum", "examples", "required"):
            copy[key] = value
        elif key == "oneOf":
            copy["anyOf"] = enforceable(value)
        elif key not in _NOT_ENFORCED:
            copy[key] = enforceable(value)
    moved = [f"{key}: {schema[key]}" for key in schema if key in _NOT_ENFORCED]
    if moved:
        description = str(schema.get("description") or "")
        copy["description"] = f"{description} ({', '.join(moved)})".strip()
    if copy.get("type") == "object" and "properties" in copy:
        copy.setdefault("additionalProperties", False)
    return copy


def _max_tokens(params: dict[str, JSON], request: ChatRequest) -> int:
    given = params.pop("max_completion_tokens", None)
    older = params.pop("max_tokens", None)
    given = older if given is None else given
    if given is not None:
        return int(given)
    limit = _registry_limit(request.model)
    thinking = params.get("thinking")
    budget = thinking.get("budget_tokens") if isinstance(thinking, Mapping) else None
    least = DEFAULT_MAX_TOKENS + (budget if isinstance(budget, int) else 0)
    return least if limit is None else limit


def _user(params: dict[str, JSON]) -> None:
    """Who asks: OpenAI's `user` or `safety_identifier` is Anthropic's `metadata.user_id`."""
    names = [params.pop(name, None) for name in ("safety_identifier", "user")]
    user = next((name for name in names if name), None)
    metadata = params.get("metadata")
    if user is not None and not isinstance(metadata, Mapping):
        params["metadata"] = {"user_id": user}


def _registry_limit(model: str) -> int | None:
    info = find_model_info(model)
    return None if info is None else info.max_output_tokens
