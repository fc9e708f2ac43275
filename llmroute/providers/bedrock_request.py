"""OpenAI's chat request as the body of Bedrock's Converse API.

Written from https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
(2026-11-28).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from pydantic_core import to_json

from ..errors import BadRequestError
from ..types.chat_request import ChatRequest
from ..types.request import JSON
from . import bedrock_models as models
from .anthropic_request import enforceable
from .bedrock_blocks import ANSWER_TOOL, asks_for_schema
from .bedrock_content import cache_point, converse_messages

PARAMS = frozenset(
    [
        "max_completion_tokens",
        "max_tokens",
        "metadata",
        "parallel_tool_calls",
        "reasoning_effort",
        "response_format",
        "service_tier",
        "stop",
        "stream_options",
        "temperature",
        "tool_choice",
        "tools",
        "top_k",
        "top_p",
    ]
)
"""OpenAI's parameters that the protocol has something for."""
OWN_FIELDS = frozenset(
    [
        "additionalModelRequestFields",
        "additionalModelResponseFieldPaths",
        "guardrailConfig",
        "outputConfig",
        "performanceConfig",
        "promptVariables",
        "requestMetadata",
    ]
)
"""Fields of the body that a caller may give by their own names."""
MODEL_FIELDS = frozenset(["anthropic_beta", "output_config", "thinking"])
"""Fields of Claude models, which go into `additionalModelRequestFields`."""
ACCEPTED = PARAMS | OWN_FIELDS | MODEL_FIELDS

_INFERENCE = {
    "max_tokens": "maxTokens",
    "max_completion_tokens": "maxTokens",
    "temperature": "temperature",
    "top_p": "topP",
    "stop": "stopSequences",
}
_TOOL_KINDS = ("toolSpec", "systemTool", "cachePoint")


def refused_values(request: ChatRequest) -> dict[str, str]:
    """Parameters whose value Bedrock has nothing for, each with the reason."""
    params, reasons = request.params, {}
    if params.get("tool_choice") == "none" and any(map(_is_about_calls, request.messages)):
        reasons["tool_choice"] = '"none" after calls of tools, whose tools must be named'
    if params.get("parallel_tool_calls") is False:
        reasons["parallel_tool_calls"] = "False; models may always make several calls"
    wanted = params.get("response_format")
    if isinstance(wanted, Mapping) and wanted.get("type") == "json_object":
        reasons["response_format"] = '"json_object"; it gives JSON by a schema'
    return reasons


def with_others(params: Mapping[str, JSON], reasons: Collection[str]) -> dict[str, JSON]:
    """`params` with those that Bedrock has nothing for where it hands fields on to the model.

    `reasons` names those of which it does not take the value.
    """
    others = {name: v for name, v in params.items() if name not in ACCEPTED or name in reasons}
    known = {name: value for name, value in params.items() if name not in others}
    if others:
        fields = params.get("additionalModelRequestFields") or {}
        known["additionalModelRequestFields"] = {**others, **fields}
    return known


def body(request: ChatRequest, model: str, params: Mapping[str, JSON]) -> dict[str, JSON]:
    """The body of a call of `converse` or `converse-stream`."""
    messages, system = converse_messages(request.messages)
    answer: dict[str, JSON] = {"messages": messages}
    if system:
        answer["system"] = system
    if settings := _inference(params):
        answer["inferenceConfig"] = settings
    fields = _model_fields(params, model)
    if fields:
        answer["additionalModelRequestFields"] = fields
    answer |= {name: params[name] for name in OWN_FIELDS - answer.keys() if name in params}
    if "metadata" in params:
        answer["requestMetadata"] = params["metadata"]
    if params.get("service_tier", "auto") != "auto":
        answer["serviceTier"] = {"type": params["service_tier"]}
    tools = _tool_config(params)
    if asks_for_schema(params):
        if models.enforces_schemas(model):
            answer["outputConfig"] = {**answer.get("outputConfig", {}), **_text_format(params)}
        else:
            tools = _with_answer_tool(tools, params, _is_free(model, fields))
    if tools:
        answer["toolConfig"] = tools
    return answer


def _is_about_calls(message: Mapping[str, JSON]) -> bool:
    return bool(message.get("tool_calls")) or message.get("role") in ("tool", "function")


def _inference(params: Mapping[str, JSON]) -> dict[str, JSON]:
    given = {theirs: params[ours] for ours, theirs in _INFERENCE.items() if ours in params}
    if isinstance(given.get("stopSequences"), str):
        given["stopSequences"] = [given["stopSequences"]]
    return given


def _model_fields(params: Mapping[str, JSON], model: str) -> dict[str, JSON]:
    """What the model takes beyond the protocol; the caller's own words go first."""
    fields: dict[str, JSON] = {}
    if "top_k" in params:
        fields |= models.top_k(params["top_k"], model)
    if "reasoning_effort" in params and "thinking" not in params:
        fields |= models.reasoning(params["reasoning_effort"], model)
    fields |= {name: params[name] for name in MODEL_FIELDS if name in params}
    if tools := [dict(tool) for tool in params.get("tools") or () if _is_model_tool(tool)]:
        fields["tools"] = tools
    return fields | dict(params.get("additionalModelRequestFields") or {})


def _is_model_tool(tool: Mapping[str, JSON]) -> bool:
    """Whether a tool is in the form of the model's maker, such as Anthropic's `computer_...`."""
    return "function" not in tool and not any(kind in tool for kind in _TOOL_KINDS)


def _tool_config(params: Mapping[str, JSON]) -> dict[str, JSON]:
    given = params.get("tools") or ()
    tools = [block for tool in given if not _is_model_tool(tool) for block in _tool(tool)]
    if not tools or params.get("tool_choice") == "none":
        return {}
    choice = _tool_choice(params.get("tool_choice"))
    return {"tools": tools, **({"toolChoice": choice} if choice is not None else {})}


def _tool(tool: Mapping[str, JSON]) -> Iterator[dict[str, JSON]]:
    function = tool.get("function")
    if not isinstance(function, Mapping):
        yield dict(tool)
        return
    schema = function.get("parameters") or {"type": "object", "properties": {}}
    spec = {"name": function.get("name"), "inputSchema": {"json": schema}}
    spec |= {key: function[key] for key in ("description", "strict") if function.get(key)}
    if function.get("strict"):
        spec["inputSchema"] = {"json": enforceable(schema)}
    yield {"toolSpec": spec}
    if marker := tool.get("cache_control") or function.get("cache_control"):
        yield cache_point(marker)


def _tool_choice(choice: JSON) -> dict[str, JSON] | None:
    match choice:
        case None:
            return None
        case "auto":
            return {"auto": {}}
        case "required" | "any":
            return {"any": {}}
        case {"function": {"name": name}} | {"type": "function" | "tool", "name": name}:
            return {"tool": {"name": name}}
        case Mapping():
            return dict(choice)
    raise BadRequestError(
        f"tool_choice={choice!r:.100} must be 'auto', 'none', 'required' or a function.",
        param="tool_choice",
    )


def _schema(params: Mapping[str, JSON]) -> Mapping[str, JSON]:
    wanted = params["response_format"]
    described = wanted.get("json_schema")
    described = described if isinstance(described, Mapping) else wanted
    if not isinstance(described.get("schema"), Mapping):
        raise BadRequestError(
            "response_format has no schema: pass a pydantic model, or "
            '{"type": "json_schema", "json_schema": {"name": ..., "schema": ...}}.',
            param="response_format",
        )
    return described


def _text_format(params: Mapping[str, JSON]) -> dict[str, JSON]:
    described = _schema(params)
    schema = {"schema": to_json(enforceable(described["schema"])).decode()}
    schema |= {key: described[key] for key in ("name", "description") if described.get(key)}
    return {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": schema}}}


def _is_free(model: str, fields: Mapping[str, JSON]) -> bool:
    """Whether no tool may be forced: Claude refuses that while it thinks."""
    thinking = fields.get("thinking")
    thinks = isinstance(thinking, Mapping) and thinking.get("type") != "disabled"
    return thinks and not models.forces_tools_while_thinking(model)


def _with_answer_tool(
    config: Mapping[str, JSON], params: Mapping[str, JSON], is_free: bool
) -> dict[str, JSON]:
    """`config` with a tool whose input is the answer, for models that enforce no schema.

    It is forced, unless there are other tools or the model `is_free`.
    """
    described = _schema(params)
    others = config.get("tools") or []
    spec = {
        "name": ANSWER_TOOL,
        "description": described.get("description") or "Gives the answer to the user.",
        "inputSchema": {"json": described["schema"]},
    }
    choice: dict[str, JSON] = {"any": {}} if others else {"tool": {"name": ANSWER_TOOL}}
    choice = {"auto": {}} if is_free else choice
    return {"tools": [*others, {"toolSpec": spec}], "toolChoice": choice}
