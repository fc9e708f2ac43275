"""The component for every provider."""

from collections.abc import Mapping
from typing import Any

from haystack import component
from haystack.dataclasses import ChatMessage, StreamingCallbackT
from haystack.tools import ToolsType
from haystack.utils import Secret

from ._component import ChatGenerator, Generator, Given
from ._convert import Message, to_messages, to_tools
from ._local import LocalModel
from ._options import checked_names

_LOCAL = "llamacpp/"


@component
class LLMRouteChatGenerator(ChatGenerator):
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
        :raises ValueError: Two tools have the same name, or `generation_kwargs` have a name that
            belongs elsewhere, such as a key.
        """
        Generator.__init__(self, streaming_callback, generation_kwargs, tools)
        self.model = model
        self.api_key = api_key
        self.api_base_url = api_base_url
        self.model_kwargs = checked_names("model_kwargs", model_kwargs)
        self.tools_strict = tools_strict
        self.timeout = timeout
        self.max_retries = max_retries
        if model.startswith(_LOCAL) and api_base_url is None:
            self._local = LocalModel(model.removeprefix(_LOCAL), self.model_kwargs)

    def _model(self) -> str:
        return self.model

    def _content(self, content: list[ChatMessage] | str) -> list[Message]:
        return to_messages(content)

    def _arguments(self, wanted: Mapping[str, object], given: Given) -> dict[str, object]:
        strict = self.tools_strict if given.tools_strict is None else given.tools_strict
        offered = to_tools(self.tools if given.tools is None else given.tools, strict=strict)
        return {
            "api_base": self.api_base_url,
            "model_kwargs": self.model_kwargs,
            "timeout": self.timeout,
            "max_retries": self.max_retries,
            "tools": offered or None,
            **wanted,
        }
