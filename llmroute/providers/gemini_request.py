"""OpenAI's chat request as the body of Gemini's generateContent.

The API is described at https://ai.google.dev/api/generate-content#GenerationConfig; its fields are
those of Google's SDK, google-genai 3.6.1 (2026-11-28).
"""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import BadRequestError
from ..types.chat_request import ChatRequest
from ..types.request import JSON
from .gemini_contents import contents, is_newer

_RENAMED = {
    "frequency_penalty": "frequencyPenalty",
    "image_config": "imageConfig",
    "logprobs": "responseLogprobs",
    "max_completion_tokens": "maxOutputTokens",
    "media_resolution": "mediaResolution",
    "n": "candidateCount",
    "presence_penalty": "presencePenalty",
    "seed": "seed",
    "speech_config": "speechConfig",
    "temperature": "temperature",
    "thinking_config": "thinkingConfig",
    "top_k": "topK",
    "top_logprobs": "logprobs",
    "top_p": "topP",
}
_BESIDE = {
    "cached_content": "cachedContent",
    "labels": "labels",
    "safety_settings": "safetySettings",
    "tool_config": "toolConfig",
}
PARAMS = frozenset(
    [
        *_RENAMED,
        *_BESIDE,
        "audio",
        "max_tokens",
        "modalities",
        "parallel_tool_calls",
        "reasoning_effort",
        "response_format",
        "service_tier",
        "stop",
        "stream_options",
        "thinking",
        "tool_choice",
        "tools",
        "web_search_options",
    ]
)
"""The parameters that the protocol has something for, OpenAI's and its own."""
EXTRA_PARAMS = frozenset(
    [
        "cached_content",
        "image_config",
        "labels",
        "media_resolution",
        "safety_settings",
        "speech_config",
        "thinking",
        "thinking_config",
        "tool_config",
    ]
)
"""Those that are not OpenAI's."""

# Both as Google's own OpenAI-compatible endpoint has them
# (https://ai.google.dev/gemini-api/docs/openai#thinking); above "high" there is none.
_BUDGETS = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}
_LEVELS = {"minimal": "minimal", "low": "low", "medium": "medium", "high": "high"}
_HIGHER = {"xhigh": "high", "max": "high"}
_OWN_TOOLS = {
    "code_execution": "codeExecution",
    "computer_use": "computerUse",
    "enterprise_web_search": "enterpriseWebSearch",
    "exa_ai_search": "exaAiSearch",
    "file_search": "fileSearch",
    "function_declarations": "functionDeclarations",
    "google_maps": "googleMaps",
    "google_search": "googleSearch",
    "google_search_retrieval": "googleSearchRetrieval",
    "mcp_servers": "mcpServers",
    "parallel_ai_search": "parallelAiSearch",
    "retrieval": "retrieval",
    "url_context": "urlContext",
}


def body(request: ChatRequest, model: str, params: Mapping[str, JSON]) -> dict[str, JSON]:
    """The body. Raises `BadRequestError` for values that Gemini has nothing for."""
    rest = dict(params)
    answer = contents(request.messages, model)
    answer.update({theirs: rest.pop(ours) for ours, theirs in _BESIDE.items() if ours in rest})
    _tools(rest, answer, model)
    _service_tier(rest, answer)
    config = _config(rest, model)
    if config:
        answer["generationConfig"] = config
    return answer


def refused_values(params: Mapping[str, JSON], model: str) -> dict[str, str]:
    """Parameters with a value that Gemini cannot do, each with the reason."""
    reasons = {}
    if params.get("parallel_tool_calls") is False:
        reasons["parallel_tool_calls"] = "False: Gemini makes as many calls at once as it likes"
    if params.get("reasoning_effort") == "none" and is_newer(model, (3, 0)):
        reasons["reasoning_effort"] = '"none": Gemini 3 always thinks, at least "minimal"'
    return reasons


def with_extra(body: Mapping[str, JSON], extra: Mapping[str, JSON]) -> dict[str, JSON]:
    """`body` with the caller's `extra_body`, whose settings join those of ours."""
    merged = {**body, **extra}
    for name in ("generationConfig", "toolConfig"):
        ours, theirs = body.get(name), extra.get(name)
        if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
            merged[name] = {**ours, **theirs}
    return merged


def _config(rest: dict[str, JSON], model: str) -> dict[str, JSON]:
    """The `generationConfig`; a parameter that is not known goes in as it is."""
    rest.pop("stream_options", None)  # the usage always comes
    rest.pop("parallel_tool_calls", None)
    config: dict[str, JSON] = {}
    older = rest.pop("max_tokens", None)
    if older is not None:
        rest.setdefault("max_completion_tokens", older)
    if (stop := rest.pop("stop", None)) is not None:
        config["stopSequences"] = [stop] if isinstance(stop, str) else list(stop)
    if (modalities := rest.pop("modalities", None)) is not None:
        config["responseModalities"] = [str(word).upper() for word in modalities]
    if (audio := rest.pop("audio", None)) is not None:
        voice = {"prebuiltVoiceConfig": {"voiceName": audio.get("voice")}}
        config["speechConfig"] = {"voiceConfig": voice}
    _thinking(rest, config, model)
    _response_format(rest, config)
    return {**config, **{_RENAMED.get(name, name): value for name, value in rest.items()}}


def _thinking(rest: dict[str, JSON], config: dict[str, JSON], model: str) -> None:
    """How much to think: OpenAI's `reasoning_effort`, or Anthropic's `thinking` as LiteLLM has
    it."""
    effort, thinking = rest.pop("reasoning_effort", None), rest.pop("thinking", None)
    if thinking is not None:
        config["thinkingConfig"] = _asked_thinking(thinking)
    elif effort is not None:
        config["thinkingConfig"] = _effort(str(_HIGHER.get(effort, effort)), model)


def _asked_thinking(thinking: Mapping[str, JSON]) -> dict[str, JSON]:
    match thinking:
        case {"type": "disabled"}:
            return {"thinkingBudget": 0}
        case {"type": "enabled", "budget_tokens": int(budget)}:
            return {"thinkingBudget": budget, "includeThoughts": budget != 0}
        case {"type": "enabled" | "adaptive"}:
            return {"includeThoughts": True}
        case {"type": kind}:
            raise BadRequestError(
                f'thinking has the type {kind!r}; it must be "enabled", "adaptive" or "disabled".',
                param="thinking",
            )
    return dict(thinking)


def _effort(effort: str, model: str) -> dict[str, JSON]:
    known = _LEVELS if is_newer(model, (3, 0)) else _BUDGETS
    if effort not in known:
        words = ", ".join(known)
        raise BadRequestError(
            f"reasoning_effort={effort!r} must be one of {words}.", param="reasoning_effort"
        )
    if known is _BUDGETS:
        budget = _BUDGETS[effort]
        return {"thinkingBudget": budget, **({"includeThoughts": True} if budget else {})}
    return {"thinkingLevel": _LEVELS[effort], "includeThoughts": True}


def _response_format(rest: dict[str, JSON], config: dict[str, JSON]) -> None:
    match rest.pop("response_format", None):
        case None | {"type": "text"}:
            return
        case {"type": "json_schema", "json_schema": {"schema": schema}}:
            config["responseJsonSchema"] = schema
        case {"type": "json_object", "response_schema": schema}:  # LiteLLM's form for Gemini
            config["responseJsonSchema"] = schema
        case {"type": "json_object"}:
            pass
        case other:
            raise BadRequestError(
                f"response_format={other!r:.100} is unknown: pass a pydantic model or "
                '{"type": "json_schema", ...}.',
                param="response_format",
            )
    config["responseMimeType"] = "application/json"


def _service_tier(rest: dict[str, JSON], answer: dict[str, JSON]) -> None:
    tier = rest.pop("service_tier", None)
    if tier is not None and tier != "auto":
        answer["serviceTier"] = "standard" if tier == "default" else tier


def _tools(rest: dict[str, JSON], answer: dict[str, JSON], model: str) -> None:
    """Tools and which of them to call."""
    functions, own = [], []
    for tool in rest.pop("tools", None) or ():
        function = tool.get("function")
        if tool.get("type") == "function" and isinstance(function, Mapping):
            functions.append(_declaration(function))
        else:
            own.append(_own_tool(tool))
    if rest.pop("web_search_options", None) is not None and not any(
        "googleSearch" in t for t in own
    ):
        own.append({"googleSearch": {}})
    tools = ([{"functionDeclarations": functions}] if functions else []) + own
    if tools:
        answer["tools"] = tools
    config: dict[str, JSON] = {}
    if (choice := _tool_choice(rest.pop("tool_choice", None))) is not None:
        config["functionCallingConfig"] = choice
    if functions and own and is_newer(model, (3, 0)):
        # Without it, Gemini 3 refuses functions beside tools of its own
        # (https://ai.google.dev/gemini-api/docs/tools, 2026-11-28).
        config["includeServerSideToolInvocations"] = True
    if config:
        answer["toolConfig"] = {**config, **(answer.get("toolConfig") or {})}


def _declaration(function: Mapping[str, JSON]) -> dict[str, JSON]:
    said: dict[str, JSON] = {"name": function.get("name")}
    if description := function.get("description"):
        said["description"] = description
    schema = function.get("parameters")
    if isinstance(schema, Mapping) and schema:
        # A schema in Google's own dialect has its types in capitals.
        is_googles = str(schema.get("type")).isupper()
        said["parameters" if is_googles else "parametersJsonSchema"] = schema
    return said


def _own_tool(tool: Mapping[str, JSON]) -> dict[str, JSON]:
    """A tool of Google's own, written as in its documentation or its SDK."""
    if "type" in tool:
        raise BadRequestError(
            f"Gemini has no tool of type {tool['type']!r}. Its own are written as in Google's "
            'documentation, such as {"googleSearch": {}}.',
            param="tools",
        )
    return {_OWN_TOOLS.get(name, name): value for name, value in tool.items()}


def _tool_choice(choice: JSON) -> dict[str, JSON] | None:
    match choice:
        case None:
            return None
        case "auto" | "none":
            return {"mode": choice.upper()}
        case "required" | "any":
            return {"mode": "ANY"}
        case {"type": "function", "function": {"name": name}} | {"type": "function", "name": name}:
            return {"mode": "ANY", "allowedFunctionNames": [name]}
        case {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}:
            names = [tool["function"]["name"] for tool in tools if "function" in tool]
            word = "ANY" if mode == "required" else "VALIDATED"
            return {"mode": word, "allowedFunctionNames": names}
        case Mapping() if "mode" in choice:
            return dict(choice)
    raise BadRequestError(
        f"tool_choice={choice!r:.100} must be 'auto', 'none', 'required' or a function.",
        param="tool_choice",
    )
