"""The component for Meta's Llama API, or another server that speaks its protocol."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from haystack import component
from haystack.dataclasses import ChatMessage, StreamingCallbackT
from haystack.tools import ToolsType
from haystack.utils import Secret

from llmroute.types.chat_request import ChatParams

from ._component import ChatGenerator, Generator, Given
from ._convert import Message, to_messages, to_tools

# Arguments of a call that are no part of the body.
_OPTIONS = frozenset({"extra_body", "extra_headers", "max_retries", "timeout"})
_NAMED = frozenset(ChatParams.__annotations__) | _OPTIONS


@component
class MetaLlamaChatGenerator(ChatGenerator):
    """Chats with Llama models through the Llama API's protocol.

    Meta ended its own service on 2026-07-06: calls to the default `api_base_url` raise
    `ProviderRetiredError`. Give the URL of another server that speaks the protocol, or move to
    `LLMRouteChatGenerator`.

        from haystack_integrations.components.generators.llmroute import MetaLlamaChatGenerator

        generator = MetaLlamaChatGenerator(api_base_url="https://llama.example/compat/v1/")
        generator.run("Hello")["replies"][0].text
    """

    SUPPORTED_MODELS: ClassVar[list[str]] = [
        "Llama-4-Maverick-17B-128E-Instruct-FP8",
        "Llama-4-Scout-17B-16E-Instruct-FP8",
        "Llama-3.3-70B-Instruct",
        "Llama-3.3-8B-Instruct",
    ]
    """The chat models the Llama API had."""

    def __init__(
        self,
        *,
        api_key: Secret | None = Secret.from_env_var("LLAMA_API_KEY"),  # noqa: B008  (a constant)
        model: str = "Llama-4-Scout-17B-16E-Instruct-FP8",
        streaming_callback: StreamingCallbackT | None = None,
        api_base_url: str | None = "https://api.llama.com/compat/v1/",
        generation_kwargs: dict[str, Any] | None = None,
        timeout: float | None = None,
        max_retries: int | None = None,
        tools: ToolsType | None = None,
        surface: Literal["compat", "native"] = "compat",
    ) -> None:
        """Prepares the component; no key is read and nothing is called.

        :param api_key: The key; `None` for a server that asks for none.
        :param model: The model's name.
        :param streaming_callback: Called with every chunk; `None` asks for whole answers.
        :param api_base_url: Where to call; `None` takes `LLAMA_API_BASE`, else Meta's own URL.
        :param generation_kwargs: What the request's body holds beside the conversation, with any
            key: `max_tokens`, `temperature`, `top_p`, `stream`, `safe_prompt`, `random_seed`, `n`,
            `response_format` (a `json_schema` dict or a pydantic model), .... Keys whose value is
            `None` are not sent. `extra_body`, `extra_headers`, `max_retries` and `timeout` are the
            call's.
        :param timeout: Seconds for a whole call; `None` sets no such limit.
        :param max_retries: Tries after the first one; `None` means 2.
        :param tools: Tools and Toolsets the model may call.
        :param surface: Which of the Llama API's two shapes the server speaks: OpenAI's
            (`"compat"`), at any URL, or Meta's own (`"native"`).
        :raises ValueError: Two tools have the same name, or `generation_kwargs` have a name that
            belongs elsewhere, such as a key.
        """
        Generator.__init__(self, streaming_callback, generation_kwargs, tools)
        self.api_key = api_key
        self.model = model
        self.api_base_url = api_base_url
        self.timeout = timeout
        self.max_retries = max_retries
        self.surface = surface

    def _init_parameters(self) -> dict[str, object]:
        written = ChatGenerator._init_parameters(self)
        if self.surface == "compat":
            # Haystack's own component doesn't know it, and cannot load what it doesn't know.
            del written["surface"]
        return written

    def _model(self) -> str:
        return f"meta_llama/{self.model}"

    def _content(self, content: list[ChatMessage] | str) -> list[Message]:
        return to_messages(content)

    def _arguments(self, wanted: Mapping[str, object], given: Given) -> dict[str, object]:
        tools = self.tools if given.tools is None else given.tools
        return {
            "api_base": self.api_base_url,
            "model_kwargs": {"surface": self.surface},
            "timeout": self.timeout,
            "max_retries": self.max_retries,
            "tools": to_tools(tools, strict=bool(given.tools_strict)) or None,
            # Whatever the caller asks for is asked of the endpoint, which may be any server.
            "unsupported": "pass",
            **_body(wanted),
        }


def _body(wanted: Mapping[str, object]) -> dict[str, object]:
    """The arguments of a call whose body holds all that is wanted, under whatever name."""
    given = {name: value for name, value in wanted.items() if value is not None}
    named = {name: value for name, value in given.items() if name in _NAMED}
    others = {name: value for name, value in given.items() if name not in _NAMED}
    further = named.get("extra_body", {})
    if not isinstance(further, Mapping):
        raise TypeError(f"extra_body in generation_kwargs must be a dict, not {further!r:.100}")
    return {**named, "extra_body": {**others, **further}}
