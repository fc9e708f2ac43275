"""The component for chats with a GGUF model in this process."""

from collections.abc import Mapping
from typing import Any

from haystack import component
from haystack.dataclasses import ChatMessage, StreamingCallbackT
from haystack.tools import ToolsType

from llmroute.engine.options.vision_formats import handler_names

from ._component import Given
from ._convert import Message, to_messages, to_tools
from ._llama_cpp import LlamaCppBase, find_chat_format
from ._run import achat, chat

_IMAGE_TYPES = frozenset({"image/bmp", "image/gif", "image/jpeg", "image/jpg", "image/png"})
"""What llama.cpp reads."""


@component
class LlamaCppChatGenerator(LlamaCppBase):
    """Chats with a GGUF model that llama.cpp runs in this process, for many callers at once.

        from haystack_integrations.components.generators.llmroute import LlamaCppChatGenerator

        generator = LlamaCppChatGenerator("/models/llama.gguf", n_ctx=8192)
        generator.run("Hello", generation_kwargs={"max_tokens": 64})["replies"][0].text

    Components with the same model and the same load options share one loaded model.
    """

    def __init__(
        self,
        model: str,
        n_ctx: int | None = 0,
        n_batch: int | None = 512,
        model_kwargs: dict[str, Any] | None = None,
        generation_kwargs: dict[str, Any] | None = None,
        *,
        tools: ToolsType | None = None,
        streaming_callback: StreamingCallbackT | None = None,
        chat_handler_name: str | None = None,
        model_clip_path: str | None = None,
    ) -> None:
        """Prepares the component; the model's file is not read.

        :param model: The path of the model, or a name that `llamacpp/` finds.
        :param n_ctx: The context window in tokens; 0 takes the model's own.
        :param n_batch: Tokens computed in one step.
        :param model_kwargs: Options of loading the model; they win over the parameters above
            (`model_path` over `model`). The attribute of this name is a copy that has those, too.
            `chat_format` and `seed` are taken as llama-cpp-python takes them.
        :param generation_kwargs: Arguments of every call; those of a run win, key by key.
        :param tools: Tools and Toolsets the model may call.
        :param streaming_callback: Called with every chunk; `None` asks for whole answers.
        :param chat_handler_name: llama-cpp-python's handler for images, such as
            `"Qwen25VLChatHandler"`.
        :param model_clip_path: The path of the CLIP model (mmproj) that goes with it.
        :raises UnsupportedParamsError: `model_kwargs` have a name that is no load option.
        :raises ValueError: Two tools have the same name, the handler, its CLIP model or the
            `chat_format` is missing or unknown, or `generation_kwargs` have a name that belongs
            elsewhere.
        """
        LlamaCppBase.__init__(
            self,
            model,
            n_ctx,
            n_batch,
            model_kwargs,
            generation_kwargs,
            streaming_callback,
            tools,
            _vision_options(chat_handler_name, model_clip_path),
        )
        self.chat_handler_name = chat_handler_name
        self.model_clip_path = None if model_clip_path is None else str(model_clip_path)
        name = self.model_kwargs.get("chat_format")
        self._chat_format = None if name is None else find_chat_format(name)

    @component.output_types(replies=list[ChatMessage])
    def run(
        self,
        messages: list[ChatMessage] | str,
        generation_kwargs: dict[str, Any] | None = None,
        *,
        tools: ToolsType | None = None,
        streaming_callback: StreamingCallbackT | None = None,
    ) -> dict[str, list[ChatMessage]]:
        """Answers a conversation.

        :param messages: The conversation, or a text from the user; an empty one gets no replies.
        :param generation_kwargs: As those of the component; they win, key by key.
        :param tools: Tools instead of the component's own; `[]` for none.
        :param streaming_callback: Called with every chunk, instead of the component's own.
        :returns: `replies`: a message for each of the model's answers.
        """
        given = Given(
            streaming_callback=streaming_callback, generation_kwargs=generation_kwargs, tools=tools
        )
        return chat(self._call(messages, given))

    @component.output_types(replies=list[ChatMessage])
    async def run_async(
        self,
        messages: list[ChatMessage] | str,
        generation_kwargs: dict[str, Any] | None = None,
        *,
        tools: ToolsType | None = None,
        streaming_callback: StreamingCallbackT | None = None,
    ) -> dict[str, list[ChatMessage]]:
        """The async twin of `run`; the callback may be a coroutine function."""
        given = Given(
            streaming_callback=streaming_callback,
            generation_kwargs=generation_kwargs,
            tools=tools,
            in_loop=True,
        )
        return await achat(self._call(messages, given))

    def _content(self, content: list[ChatMessage] | str) -> list[Message]:
        return to_messages(content, image_types=_IMAGE_TYPES)

    def _arguments(self, wanted: Mapping[str, object], given: Given) -> dict[str, object]:
        offered = to_tools(self.tools if given.tools is None else given.tools)
        arguments = {"tools": offered or None, **LlamaCppBase._arguments(self, wanted, given)}
        if self._chat_format is not None and arguments.get("chat_template") is None:
            arguments["chat_template"] = self._chat_format.template
            arguments["stop"] = _with_stop(arguments.get("stop"), self._chat_format.stop)
        return arguments


def _with_stop(stop: object, of_format: tuple[str, ...]) -> object:
    """The caller's stop texts and those of the format. What is no text is the call's to refuse."""
    texts = [] if stop is None else [stop] if isinstance(stop, str) else stop
    return [*texts, *of_format] if isinstance(texts, list | tuple) else stop


def _vision_options(name: str | None, clip_path: str | None) -> dict[str, str] | None:
    """The load options for images. Raises `ValueError` for an unknown handler, or half of them."""
    if name is not None and name not in handler_names():
        raise ValueError(f"Unknown chat handler {name!r}; known are: {', '.join(handler_names())}")
    if name is not None and clip_path is not None:
        return {"mmproj": str(clip_path), "chat_handler_name": name}
    if name is None and clip_path is None:
        return None
    missing, given = "model_clip_path", "chat_handler_name"
    if name is None:
        missing, given = given, missing
    raise ValueError(f"{missing} must be provided when {given} is specified: images need both")
