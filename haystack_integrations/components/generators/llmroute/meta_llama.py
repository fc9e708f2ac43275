"""The component for Meta's Llama API, or another server that speaks its protocol."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from haystack import component, default_from_dict
from haystack.dataclasses import ChatMessage, StreamingCallbackT
from haystack.tools import ToolsType
from haystack.utils import Secret

from llmroute.types.chat_request import ChatParams

from ._convert import flat_tools, to_messages, to_tools
from ._run import Call, achat, chat, choose_callback
from ._serde import restore, to_dict

# Arguments of a call that are no part of the body.
_OPTIONS = frozenset({"extra_body", "extra_headers", "timeout"})
_NAMED = frozenset(ChatParams.__annotations__) | _OPTIONS


@component
class MetaLlamaChatGenerator:
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
            `None` are not sent. `extra_body`, `extra_headers` and `timeout` are the call's.
        :param timeout: Seconds for a whole call; `None` sets no such limit.
        :param max_retries: Tries after the first one; `None` means 2.
        :param tools: Tools and Toolsets the model may call.
        :param surface: Which of the Llama API's two shapes the server speaks: OpenAI's
            (`"compat"`), at any URL, or Meta's own (`"native"`).
        :raises ValueError: Two tools have the same name.
        """
        flat_tools(tools)
        self.api_key = api_key
        self.model = model
        self.streaming_callback = streaming_callback
        self.api_base_url = api_base_url
        self.generation_kwargs = dict(generation_kwargs or {})
        self.timeout = timeout
        self.max_retries = max_retries
        self.tools = tools
        self.surface = surface

    def warm_up(self) -> None:
        """Reads the key.

        :raises ValueError: Its environment variable is not set.
        """
        self._key()

    async def warm_up_async(self) -> None:
        """The async twin of `warm_up`."""
        self.warm_up()

    def close(self) -> None:
        """Does nothing: connections are shared by all calls of the process."""

    async def close_async(self) -> None:
        """The async twin of `close`."""

    def to_dict(self) -> dict[str, Any]:
        """The component as plain data; a pydantic `response_format` becomes its JSON schema."""
        return to_dict(
            self,
            api_key=self.api_key,
            model=self.model,
            streaming_callback=self.streaming_callback,
            api_base_url=self.api_base_url,
            generation_kwargs=self.generation_kwargs,
            timeout=self.timeout,
            max_retries=self.max_retries,
            tools=self.tools,
            # Only where it is needed: what Haystack's own component does not know, it cannot load.
            **({} if self.surface == "compat" else {"surface": self.surface}),
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The component that `to_dict` wrote."""
        return default_from_dict(cls, restore(data))

    @component.output_types(replies=list[ChatMessage])
    def run(
        self,
        messages: list[ChatMessage] | str,
        streaming_callback: StreamingCallbackT | None = None,
        generation_kwargs: dict[str, Any] | None = None,
        *,
        tools: ToolsType | None = None,
        tools_strict: bool | None = None,
    ) -> dict[str, list[ChatMessage]]:
        """Answers a conversation.

        :param messages: The conversation, or a text from the user; an empty one gets no replies.
        :param streaming_callback: Called with every chunk, instead of the component's own.
        :param generation_kwargs: As those of the component; they win, key by key.
        :param tools: Tools instead of the component's own; `[]` for none.
        :param tools_strict: Whether the model must keep to the tools' schemas.
        :returns: `replies`: a message for each of the model's answers.
        """
        callback = choose_callback(self.streaming_callback, streaming_callback, in_loop=False)
        call = self._call(messages, callback, generation_kwargs, tools, tools_strict)
        return chat(call) if call.content else {"replies": []}

    @component.output_types(replies=list[ChatMessage])
    async def run_async(
        self,
        messages: list[ChatMessage] | str,
        streaming_callback: StreamingCallbackT | None = None,
        generation_kwargs: dict[str, Any] | None = None,
        *,
        tools: ToolsType | None = None,
        tools_strict: bool | None = None,
    ) -> dict[str, list[ChatMessage]]:
        """The async twin of `run`; the callback may be a coroutine function."""
        callback = choose_callback(self.streaming_callback, streaming_callback, in_loop=True)
        call = self._call(messages, callback, generation_kwargs, tools, tools_strict)
        return await achat(call) if call.content else {"replies": []}

    def _call(
        self,
        messages: list[ChatMessage] | str,
        callback: StreamingCallbackT | None,
        generation_kwargs: dict[str, Any] | None,
        tools: ToolsType | None,
        tools_strict: bool | None,
    ) -> Call:
        content = to_messages(messages)
        offered = to_tools(self.tools if tools is None else tools, strict=bool(tools_strict))
        return Call(
            component=self,
            model=f"meta_llama/{self.model}",
            content=content,
            arguments={
                "api_key": self._key() if content else None,
                "api_base": self.api_base_url,
                "model_kwargs": {"surface": self.surface},
                "timeout": self.timeout,
                "max_retries": self.max_retries,
                "tools": offered or None,
                # Whatever the caller asks for is asked of the endpoint, which may be any server.
                "unsupported": "pass",
                **_arguments(
                    {**self.generation_kwargs, **(generation_kwargs or {})},
                    callback is not None,
                ),
            },
            callback=callback,
        )

    def _key(self) -> str | None:
        return None if self.api_key is None else self.api_key.resolve_value()


def _arguments(generation_kwargs: Mapping[str, Any], stream: bool) -> dict[str, Any]:
    """The arguments of a call whose body holds `generation_kwargs`; a callback needs a stream."""
    given = {key: value for key, value in generation_kwargs.items() if value is not None}
    if stream:
        given["stream"] = True
    arguments = {key: value for key, value in given.items() if key in _NAMED}
    others = {key: value for key, value in given.items() if key not in _NAMED}
    arguments["stream"] = bool(given.get("stream"))
    arguments["extra_body"] = {**others, **arguments.get("extra_body", {})}
    return arguments
