"""The component that continues texts with a GGUF model in this process."""

from typing import Any

from haystack import component
from haystack.dataclasses import ChatMessage, StreamingCallbackT

from llmroute.types.text import TextCompletion

from ._component import Given
from ._convert import warn_of_cut_answers
from ._llama_cpp import LlamaCppBase
from ._run import atext, text


@component
class LlamaCppGenerator(LlamaCppBase):
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
        """Prepares the component; the model's file is not read.

        :param model: The path of the model, or a name that `llamacpp/` finds.
        :param n_ctx: The context window in tokens; 0 takes the model's own.
        :param n_batch: Tokens computed in one step.
        :param model_kwargs: Options of loading the model; they win over the parameters above
            (`model_path` over `model`). The attribute of this name is a copy that has those, too.
        :param generation_kwargs: Arguments of every call; those of a run win, key by key.
        :param streaming_callback: Called with every chunk; `None` asks for whole answers.
        :raises UnsupportedParamsError: `model_kwargs` have a name that is no load option.
        :raises ValueError: `generation_kwargs` have a name that belongs elsewhere.
        """
        LlamaCppBase.__init__(
            self, model, n_ctx, n_batch, model_kwargs, generation_kwargs, streaming_callback
        )

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
        given = Given(streaming_callback=streaming_callback, generation_kwargs=generation_kwargs)
        call = self._call(prompt, given)
        return _result(None if call is None else text(call))

    @component.output_types(replies=list[str], meta=list[dict[str, Any]])
    async def run_async(
        self,
        prompt: str,
        generation_kwargs: dict[str, Any] | None = None,
        *,
        streaming_callback: StreamingCallbackT | None = None,
    ) -> dict[str, list[str] | list[dict[str, Any]]]:
        """The async twin of `run`; the callback may be a coroutine function."""
        given = Given(
            streaming_callback=streaming_callback,
            generation_kwargs=generation_kwargs,
            in_loop=True,
        )
        call = self._call(prompt, given)
        return _result(None if call is None else await atext(call))

    def _content(self, content: list[ChatMessage] | str) -> str:
        if not isinstance(content, str):
            raise TypeError(f"prompt must be a str, not {content!r:.100}")
        return content


def _result(answer: TextCompletion | None) -> dict[str, list[str] | list[dict[str, Any]]]:
    if answer is None:
        return {"replies": [], "meta": []}
    warn_of_cut_answers(answer)
    return {
        "replies": [choice.text for choice in answer.choices],
        "meta": [answer.to_dict() for _ in answer.choices],
    }
