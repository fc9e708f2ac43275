"""The component that continues texts with a GGUF model in this process."""

from typing import Any, Self

from haystack import component, default_from_dict
from haystack.dataclasses import StreamingCallbackT

from llmroute.types.text import TextCompletion

from ._llama_cpp_kwargs import generation_arguments, load_options
from ._local import LocalModel
from ._run import Call, atext, choose_callback, text
from ._serde import restore, to_dict


@component
class LlamaCppGenerator:
    """Continues a text with a GGUF model that llama.cpp runs in this process.

        from haystack_integrations.components.generators.llmroute import LlamaCppGenerator

        generator = LlamaCppGenerator("/models/llama.gguf")
        generator.run("Once upon a time", {"max_tokens": 64})["replies"][0]

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
        streaming_callback: StreamingCallbackT | None = None,
    ) -> None:
        """Prepares the component; the model is not looked at.

        :param model: The path of the model, or a name that `llamacpp/` finds.
        :param n_ctx: The context window in tokens; 0 takes the model's own.
        :param n_batch: Tokens computed in one step.
        :param model_kwargs: Options of loading the model; they win over the parameters above
            (`model_path` over `model`).
        :param generation_kwargs: Arguments of every call; those of a run win, key by key.
        :param streaming_callback: Called with every chunk; `None` asks for whole answers.
        """
        self.model_path = str(model)
        self.n_ctx = n_ctx
        self.n_batch = n_batch
        self.model_kwargs = dict(model_kwargs or {})
        self.generation_kwargs = dict(generation_kwargs or {})
        self.streaming_callback = streaming_callback
        self._path = str(self.model_kwargs.get("model_path", model))
        self._load = load_options(n_ctx, n_batch, self.model_kwargs)
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
        """The component as plain data."""
        return to_dict(
            self,
            model=self.model_path,
            n_ctx=self.n_ctx,
            n_batch=self.n_batch,
            model_kwargs=self.model_kwargs,
            generation_kwargs=self.generation_kwargs,
            streaming_callback=self.streaming_callback,
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The component that `to_dict` wrote."""
        return default_from_dict(cls, restore(data))

    @component.output_types(replies=list[str], meta=list[dict[str, Any]])
    def run(
        self,
        prompt: str,
        generation_kwargs: dict[str, Any] | None = None,
        *,
        streaming_callback: StreamingCallbackT | None = None,
    ) -> dict[str, list[str] | list[dict[str, Any]]]:
        """Continues `prompt`.

        :param prompt: The text; an empty one gets no replies.
        :param generation_kwargs: As those of the component; they win, key by key.
        :param streaming_callback: Called with every chunk, instead of the component's own.
        :returns: `replies`: the continuations. `meta`: for each of them the whole response.
        """
        callback = choose_callback(self.streaming_callback, streaming_callback, in_loop=False)
        if not prompt:
            return {"replies": [], "meta": []}
        return _result(text(self._call(prompt, callback, generation_kwargs)))

    @component.output_types(replies=list[str], meta=list[dict[str, Any]])
    async def run_async(
        self,
        prompt: str,
        generation_kwargs: dict[str, Any] | None = None,
        *,
        streaming_callback: StreamingCallbackT | None = None,
    ) -> dict[str, list[str] | list[dict[str, Any]]]:
        """The async twin of `run`; the callback may be a coroutine function."""
        callback = choose_callback(self.streaming_callback, streaming_callback, in_loop=True)
        if not prompt:
            return {"replies": [], "meta": []}
        return _result(await atext(self._call(prompt, callback, generation_kwargs)))

    def _call(
        self,
        prompt: str,
        callback: StreamingCallbackT | None,
        generation_kwargs: dict[str, Any] | None,
    ) -> Call:
        merged = {**self.generation_kwargs, **(generation_kwargs or {})}
        self._local.use()
        return Call(
            component=self,
            model=f"llamacpp/{self._path}",
            content=prompt,
            arguments={
                "model_kwargs": self._load,
                **generation_arguments(self.model_kwargs, merged, chat=False),
            },
            callback=callback,
        )


def _result(answer: TextCompletion) -> dict[str, list[str] | list[dict[str, Any]]]:
    return {
        "replies": [choice.text for choice in answer.choices],
        "meta": [answer.to_dict() for _ in answer.choices],
    }
