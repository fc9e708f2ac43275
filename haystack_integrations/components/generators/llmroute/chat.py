"""The component for every provider."""

from typing import Any, Self

from haystack import component, default_from_dict
from haystack.dataclasses import ChatMessage, StreamingCallbackT
from haystack.tools import ToolsType
from haystack.utils import Secret

from ._convert import flat_tools, to_messages, to_tools
from ._local import LocalModel
from ._run import Call, achat, chat, choose_callback
from ._serde import restore, to_dict

_LOCAL = "llamacpp/"


@component
class LLMRouteChatGenerator:
    """Chats with any model llmroute reaches: `"meta_llama/..."`, `"llamacpp/..."`, `"openai/..."`.

    Only the model string decides where a call goes; the rest of the pipeline stays as it is.

        from haystack_integrations.components.generators.llmroute import LLMRouteChatGenerator

        generator = LLMRouteChatGenerator("llamacpp//models/llama.gguf")
        generator.run("Hello")["replies"][0].text

    `generation_kwargs` are arguments of `llmroute.completion`: OpenAI's parameters, and options
    such as `extra_body`. Parameters the provider does not take are refused by name.
    """

    def __init__(
        self,
        model: str,
        *,
        api_key: Secret | None = None,
        api_base_url: str | None = None,
        model_kwargs: dict[str, Any] | None = None,
        generation_kwargs: dict[str, Any] | None = None,
        streaming_callback: StreamingCallbackT | None = None,
        tools: ToolsType | None = None,
        tools_strict: bool = False,
        timeout: float | None = None,
        max_retries: int | None = None,
    ) -> None:
        """Prepares the component; nothing is loaded, read or called.

        :param model: The model string, `provider/model`.
        :param api_key: The key; `None` takes the provider's environment variable.
        :param api_base_url: Where to call; `None` takes the provider's own URL.
        :param model_kwargs: Options of the provider, or of loading a local model (`n_ctx`, ...).
        :param generation_kwargs: Arguments of every call; those of a run win, key by key.
        :param streaming_callback: Called with every chunk; `None` asks for whole answers.
        :param tools: Tools and Toolsets the model may call.
        :param tools_strict: Whether the model must keep to the tools' schemas.
        :param timeout: Seconds for a whole call; `None` sets no such limit.
        :param max_retries: Tries after the first one; `None` means 2.
        :raises ValueError: Two tools have the same name, or a key is among `generation_kwargs`.
        """
        flat_tools(tools)
        _refuse_key(generation_kwargs)
        self.model = model
        self.api_key = api_key
        self.api_base_url = api_base_url
        self.model_kwargs = dict(model_kwargs or {})
        self.generation_kwargs = dict(generation_kwargs or {})
        self.streaming_callback = streaming_callback
        self.tools = tools
        self.tools_strict = tools_strict
        self.timeout = timeout
        self.max_retries = max_retries
        here = model.startswith(_LOCAL) and api_base_url is None
        self._local = LocalModel(model.removeprefix(_LOCAL), self.model_kwargs) if here else None

    def warm_up(self) -> None:
        """Loads a local model and waits for it; reads the key of any other.

        :raises ValueError: The key's environment variable is not set.
        """
        if self._local is not None:
            self._local.load()
        else:
            self._key()

    async def warm_up_async(self) -> None:
        """The async twin of `warm_up`."""
        if self._local is not None:
            await self._local.aload()
        else:
            self._key()

    def close(self) -> None:
        """Gives a local model's memory back, unless another component uses it."""
        if self._local is not None:
            self._local.let_go()

    async def close_async(self) -> None:
        """The async twin of `close`."""
        if self._local is not None:
            await self._local.alet_go()

    def to_dict(self) -> dict[str, Any]:
        """The component as plain data; a pydantic `response_format` becomes its JSON schema."""
        return to_dict(
            self,
            model=self.model,
            api_key=self.api_key,
            api_base_url=self.api_base_url,
            model_kwargs=self.model_kwargs,
            generation_kwargs=self.generation_kwargs,
            streaming_callback=self.streaming_callback,
            tools=self.tools,
            tools_strict=self.tools_strict,
            timeout=self.timeout,
            max_retries=self.max_retries,
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
        :param generation_kwargs: Arguments of this call; they win, key by key.
        :param tools: Tools instead of the component's own; `[]` for none.
        :param tools_strict: Instead of the component's own.
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
        _refuse_key(generation_kwargs)
        content = to_messages(messages)
        strict = self.tools_strict if tools_strict is None else tools_strict
        offered = to_tools(self.tools if tools is None else tools, strict=strict)
        arguments: dict[str, Any] = {
            "api_base": self.api_base_url,
            "model_kwargs": self.model_kwargs,
            "timeout": self.timeout,
            "max_retries": self.max_retries,
            "tools": offered or None,
            **self.generation_kwargs,
            **(generation_kwargs or {}),
        }
        if content:
            arguments["api_key"] = self._key()
            if self._local is not None:
                self._local.use()
        return Call(
            component=self,
            model=self.model,
            content=content,
            arguments=arguments,
            callback=callback,
        )

    def _key(self) -> str | None:
        return None if self.api_key is None else self.api_key.resolve_value()


def _refuse_key(generation_kwargs: dict[str, Any] | None) -> None:
    if "api_key" in (generation_kwargs or {}):
        raise ValueError(
            "A key in generation_kwargs would be written into YAML and traces; give the component "
            'api_key=Secret.from_env_var("...") instead'
        )
