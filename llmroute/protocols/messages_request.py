"""Anthropic's Messages as a chat in OpenAI's shape, for providers that do not speak the protocol.

Written from https://platform.claude.com/docs/en/api/messages (2026-11-28).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pydantic_core import to_json

from ..errors import BadRequestError
from ..types.request import JSON
from .messages_blocks import parts, system_content, thinking
from .messages_chat import CACHE_CONTROL, Chat
from .messages_state import opened

# The system block by which Claude Code tells Anthropic what to bill a call to.
_BILLING = "x-anthropic-billing-header"
_EFFORTS = {"max": "xhigh"}
"""Efforts that OpenAI calls otherwise."""
# Hints: without them the same is answered, at another price or speed.
_HINTS = frozenset({"betas", "cache_control", "context_management", "service_tier", "speed"})
_TOOL_KEYS = {"name", "input_schema", "description", "strict", "type", CACHE_CONTROL}
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


def chat(
    messages: Sequence[Mapping[str, JSON]],
    params: Mapping[str, JSON],
    *,
    keeps_marks: bool = False,
) -> Chat:
    """The chat that asks what `messages` and the protocol's `params` ask.

    `keeps_marks`: its provider takes `cache_control`.

    Raises `BadRequestError`, naming the place, for what cannot be read or asked elsewhere.
    Parameters that are unknown here stay, so that they are refused by name.
    """
    made = Chat(keeps_marks)
    rest = {name: value for name, value in params.items() if value is not None}
    _add_system(made, rest.pop("system", None))
    for position, message in enumerate(messages):
        try:
            _add_message(made, message)
        except BadRequestError as error:
            error.message = f"messages[{position}]: {error.message}"
            error.args = (error.message,)
            error.param = f"messages[{position}]"
            raise
    _add_tools(made, rest)
    _add_thinking(made, rest)
    if (limit := rest.pop("max_tokens", None)) is not None:
        made.params["max_completion_tokens"] = limit  # newer models of OpenAI take no other name
    if stops := rest.pop("stop_sequences", None):
        made.params["stop"] = list(stops)
    if user := (rest.pop("metadata", None) or {}).get("user_id"):
        made.params["user"] = user
    for name in rest:
        if name in _HINTS and not (name == CACHE_CONTROL and keeps_marks):
            made.drop(name)
        else:  # of the same name in both, or refused by name
            made.params[name] = rest[name]
    return made


def _add_system(made: Chat, system: JSON) -> None:
    if system is None:
        return
    blocks = [{"type": "text", "text": system}] if isinstance(system, str) else system
    kept = [b for b in blocks if not str(b.get("text") or "").lstrip().startswith(_BILLING)]
    if len(kept) < len(blocks):
        made.drop(_BILLING)
    if content := system_content(kept, made):
        made.messages.append({"role": "system", "content": content})


def _add_message(made: Chat, message: Mapping[str, JSON]) -> None:
    role, content = message.get("role"), message.get("content")
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if not isinstance(blocks, Sequence) or not all(isinstance(b, Mapping) for b in blocks):
        raise BadRequestError("content must be a text or a list of blocks.")
    match role:
        case "system":
            _add_system(made, blocks)
        case "user":
            made.messages += _user(blocks, made)
        case "assistant":
            if said := _assistant(blocks, made):
                made.messages.append(said)
        case _:
            raise BadRequestError(f"the role {role!r} is unknown.")


def _user(blocks: Sequence[Mapping[str, JSON]], made: Chat) -> Iterator[dict[str, JSON]]:
    """Results first, as they must follow their calls; then what they show, and the user's words.

    A chat's results are texts, so their images and documents become the user's.
    """
    shown: list[dict[str, JSON]] = []
    for block in blocks:
        if block.get("type") == "tool_result":
            yield _result(block, shown, made)
    shown += parts([b for b in blocks if b.get("type") != "tool_result"], made)
    if shown:
        is_text = len(shown) == 1 and shown[0].keys() == {"type", "text"}
        yield {"role": "user", "content": shown[0]["text"] if is_text else shown}


def _result(block: Mapping[str, JSON], shown: list[dict[str, JSON]], made: Chat) -> dict[str, JSON]:
    call_id, content = str(block.get("tool_use_id") or ""), block.get("content")
    inside = [] if isinstance(content, str) else parts(content or (), made)
    marks = [made.mark(part) for part in (*inside, block) if CACHE_CONTROL in part]
    texts = [part["text"] for part in inside if part["type"] == "text"]
    media = [part for part in inside if part["type"] != "text"]
    if media:
        shown.append({"type": "text", "text": f"From the result of the tool call {call_id}:"})
        shown += media
    text = content if isinstance(content, str) else "\n".join(texts)
    if media and not text:
        text = "The result is in the next message."
    if block.get("is_error") is True and not text.lower().startswith("error"):
        text = f"Error: {text}"
    said: dict[str, JSON] = {"role": "tool", "tool_call_id": call_id, "content": text}
    return said | marks[-1] if marks else said


def _assistant(blocks: Sequence[Mapping[str, JSON]], made: Chat) -> dict[str, JSON]:
    """An earlier answer; `{}` if it says nothing that another model can read."""
    text: list[str] = []
    calls: list[dict[str, JSON]] = []
    marks: dict[str, JSON] = {}
    for block in blocks:
        kind, mark = block.get("type"), made.mark(block)
        if kind == "text":
            text.append(str(block.get("text") or ""))
            marks |= mark
        elif kind == "tool_use":
            calls.append(_call(block) | mark)
        elif kind not in ("thinking", "redacted_thinking"):
            made.drop(str(kind))  # tools that Anthropic ran itself: their outcome is in the text
    said: dict[str, JSON] = {"role": "assistant", "content": "".join(text) or None, **marks}
    if calls:
        said["tool_calls"] = calls
    if thought := thinking(blocks):
        said["reasoning_content"] = thought
    said |= opened(blocks, said)
    says_something = said["content"] or said.keys() - {"role", "content", CACHE_CONTROL}
    return said if says_something else {}


def _call(block: Mapping[str, JSON]) -> dict[str, JSON]:
    arguments = to_json(block.get("input") or {}).decode()
    function = {"name": str(block.get("name") or ""), "arguments": arguments}
    return {"id": str(block.get("id") or ""), "type": "function", "function": function}


def _add_tools(made: Chat, rest: dict[str, JSON]) -> None:
    tools = rest.pop("tools", None) or ()
    ours = [_tool(tool, made) for tool in tools if "input_schema" in tool]
    for tool in tools:
        if "input_schema" not in tool:  # Anthropic runs it itself, or taught it to its models
            made.drop(str(tool.get("type")))
    choice = rest.pop("tool_choice", None)
    if ours:
        made.params["tools"] = ours
    if choice is None:
        return
    kind, name = choice.get("type"), choice.get("name")
    names = [tool["function"]["name"] for tool in ours]
    if (kind == "tool" and name not in names) or (kind == "any" and not ours):
        raise BadRequestError(
            f"tool_choice={dict(choice)!r} needs a tool with an input_schema; there are: "
            f"{', '.join(names) or 'none'}.",
            param="tool_choice",
        )
    if kind == "tool":
        made.params["tool_choice"] = {"type": "function", "function": {"name": name}}
    elif kind not in _CHOICES:
        raise BadRequestError(
            f"tool_choice type {kind!r} must be one of auto, any, tool, none.", param="tool_choice"
        )
    elif ours:
        made.params["tool_choice"] = _CHOICES[kind]
    if ours and choice.get("disable_parallel_tool_use") is True:
        made.params["parallel_tool_calls"] = False


def _tool(tool: Mapping[str, JSON], made: Chat) -> dict[str, JSON]:
    function = {"name": tool.get("name"), "parameters": tool["input_schema"]}
    for key in ("description", "strict"):
        if tool.get(key) is not None:
            function[key] = tool[key]
    for key in tool.keys() - _TOOL_KEYS:
        made.drop(key)
    return {"type": "function", "function": function, **made.mark(tool)}


def _add_thinking(made: Chat, rest: dict[str, JSON]) -> None:
    """An effort as it is; a budget of tokens by its size. Thinking that is off or up to the model
    asks for nothing: models that cannot think refuse every effort, `none` too."""
    config = dict(rest.pop("output_config", None) or {})
    asked = rest.pop("thinking", None) or {}
    effort = config.pop("effort", None)
    if asked.get("type") == "enabled" and effort is None:
        effort = _effort(asked.get("budget_tokens"))
    if effort is not None and asked.get("type") == "disabled":
        made.drop("output_config.effort")
    elif effort is not None:
        made.params["reasoning_effort"] = _EFFORTS.get(effort, effort)
    form = config.pop("format", None)
    if form is not None:
        described = {"name": "answer", "schema": form.get("schema"), "strict": True}
        made.params["response_format"] = {"type": "json_schema", "json_schema": described}
    for name in config:
        made.drop(f"output_config.{name}")


def _effort(budget: JSON) -> str | None:
    """The effort that a budget of tokens stands for; the same steps as the other way round."""
    if not isinstance(budget, int):
        return None
    return "low" if budget < 2048 else "medium" if budget < 4096 else "high"
