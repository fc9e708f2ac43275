"""The component for chats with a GGUF model in this process."""

from typing import Any, Self

from haystack import component, default_from_dict
from haystack.dataclasses import ChatMessage, StreamingCallbackT
from haystack.tools import ToolsType

from llmroute.engine.options.vision_formats import handler_names

from ._convert import flat_tools, to_messages, to_tools
from ._llama_cpp_kwargs import generation_arguments, load_options
from ._local import LocalModel
from ._run import Call, achat, chat, choose_callback
from ._serde import restore, to_dict

_IMAGE_TYPES = frozenset({"image/jpeg", "image/jpg", "image/png", "image/gif", "image/webp"})


@component
class LlamaCppChatGenerator:
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
        """Prepares the component; the model is not looked at.

        :param model: The path of the model, or a name that `llamacpp/` finds.
        :param n_ctx: The context window in tokens; 0 takes the model's own.
        :param n_batch: Tokens computed in one step.
        :param model_kwargs: Options of loading the model; they win over the parameters above
            (`model_path` over `model`).
        :param generation_kwargs: Arguments of every call; those of a run win, key by key.
        :param tools: Tools and Toolsets the model may call.
        :param streaming_callback: Called with every chunk; `None` asks for whole answers.
        :param chat_handler_name: llama-cpp-python's handler for images, such as
            `"Qwen25VLChatHandler"`.
        :param model_clip_path: The path of the CLIP model (mmproj) that goes with it.
        :raises ValueError: Two tools have the same name, or the handler or its CLIP model is
            missing or unknown.
        """
        flat_tools(tools)
        _check_handler(chat_handler_name, model_clip_path)
        self.model_path = str(model)
        self.n_ctx = n_ctx
        self.n_batch = n_batch
        self.model_kwargs = dict(model_kwargs or {})
        self.generation_kwargs = dict(generation_kwargs or {})
        self.tools = tools
        self.streaming_callback = streaming_callback
        self.chat_handler_name = chat_handler_name
        self.model_clip_path = None if model_clip_path is None else str(model_clip_path)
        self._path = str(self.model_kwargs.get("model_path", model))
        self._load = load_options(n_ctx, n_batch, self.model_kwargs)
        if self.model_clip_path is not None:
            self._load.setdefault("mmproj", self.model_clip_path)
            self._load.setdefault("chat_handler_name", chat_handler_name)
        self._local = LocalModel(self._path, self._load)

    def warm_up(self) -> None:
        """Loads the model and waits for it. A run loads it, too, if need be."""
        self._local.load()

    async def warm_up_async(self) -> None:
        """The async twin of `warm_up`."""
        await self._local.aload()

    def close(self) -> None:
        """Gives the model's memory back, unless another component uses it."""
        self._local.let_go()

    async def close_async(self) -> None:
        """The async twin of `close`."""
        await self._local.alet_go()

    def to_dict(self) -> dict[str, Any]:
        """The component as plain data; a pydantic `response_format` becomes its JSON schema."""
        return to_dict(
            self,
            model=self.model_path,
            n_ctx=self.n_ctx,
            n_batch=self.n_batch,
            model_kwargs=self.model_kwargs,
            generation_kwargs=self.generation_kwargs,
            tools=self.tools,
            streaming_callback=self.streaming_callback,
            chat_handler_name=self.chat_handler_name,
            model_clip_path=self.model_clip_path,
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The component that `to_dict` wrote."""
        return default_from_dict(cls, restore(data))

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
        callback = choose_callback(self.streaming_callback, streaming_callback, in_loop=False)
        call = self._call(messages, callback, generation_kwargs, tools)
        return chat(call) if call.content else {"replies": []}

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
        callback = choose_callback(self.streaming_callback, streaming_callback, in_loop=True)
        call = self._call(messages, callback, generation_kwargs, tools)
        return await achat(call) if call.content else {"replies": []}

    def _call(
        self,
        messages: list[ChatMessage] | str,
        callback: StreamingCallbackT | None,
        generation_kwargs: dict[str, Any] | None,
        tools: ToolsType | None,
    ) -> Call:
        content = to_messages(messages, image_types=_IMAGE_TYPES)
        offered = to_tools(self.tools if tools is None else tools)
        merged = {**self.generation_kwargs, **(generation_kwargs or {})}
        if content:
            self._local.use()
        return Call(
            component=self,
            model=f"llamacpp/{self._path}",
            content=content,
            arguments={
                "model_kwargs": self._load,
                "tools": offered or None,
                **generation_arguments(self.model_kwargs, merged, chat=True),
            },
            callback=callback,
        )


def _check_handler(name: str | None, clip_path: str | None) -> None:
    if name is not None and name not in handler_names():
        raise ValueError(f"Unknown chat handler {name!r}; known are: {', '.join(handler_names())}")
    if (name is None) != (clip_path is None):
        missing, given = "model_clip_path", "chat_handler_name"
        if name is None:
            missing, given = given, missing
        raise ValueError(f"{missing} must be provided when {given} is specified: images need both")
