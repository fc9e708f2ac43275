"""What the components for llama.cpp share: they take llama-cpp-python's names for options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from haystack.dataclasses import StreamingCallbackT
from haystack.tools import ToolsType

from llmroute.engine.options.load import check_names
from llmroute.engine.templates.chat_formats import CHAT_FORMATS, ChatFormat

from ._component import Generator, Given
from ._local import LocalModel
from ._options import checked_names

_OF_A_CALL = frozenset({"model_path", "chat_format", "seed"})
"""What llama-cpp-python takes when it loads a model, and `llamacpp/` with each call."""
_NEED_TOKENIZER = ("functionary", "functionary-v1", "functionary-v2")


class LlamaCppBase(Generator):
    """A component with a GGUF model in this process."""

    def __init__(
        self,
        model: str,
        n_ctx: int | None,
        n_batch: int | None,
        model_kwargs: dict[str, Any] | None,
        generation_kwargs: dict[str, Any] | None,
        streaming_callback: StreamingCallbackT | None,
        tools: ToolsType | None = None,
        vision: dict[str, str] | None = None,
    ) -> None:
        Generator.__init__(self, streaming_callback, generation_kwargs, tools)
        self.model_path = str(model)
        self.n_ctx = n_ctx
        self.n_batch = n_batch
        filled = {"model_path": self.model_path, "n_ctx": n_ctx, "n_batch": n_batch}
        self.model_kwargs = filled | checked_names("model_kwargs", model_kwargs)
        self._load = (vision or {}) | _load_options(self.model_kwargs)
        check_names(self._load)
        self._path = str(self.model_kwargs["model_path"])
        self._local = LocalModel(self._path, self._load)

    @property
    def model(self) -> str:
        """The model as it was given."""
        return self.model_path

    def _model(self) -> str:
        return f"llamacpp/{self._path}"

    def _arguments(self, wanted: Mapping[str, object], given: Given) -> dict[str, object]:
        arguments = {"model_kwargs": self._load, **wanted}
        if self.model_kwargs.get("seed") is not None:
            arguments.setdefault("seed", self.model_kwargs["seed"])
        if "mirostat_mode" in arguments:
            arguments["mirostat"] = arguments.pop("mirostat_mode")
        return arguments


def find_chat_format(name: object) -> ChatFormat:
    """The format that llama-cpp-python calls `name`. Raises `ValueError` if there is none."""
    if isinstance(name, str) and name in CHAT_FORMATS:
        return CHAT_FORMATS[name]
    if name in _NEED_TOKENIZER:
        raise ValueError(
            f"chat_format={name!r} needs a tokenizer from Hugging Face. Leave it out: a model of "
            "Functionary has its template in its file, and its calls of tools are read"
        )
    raise ValueError(
        f"There is no chat_format {name!r:.100}; there are: {', '.join(CHAT_FORMATS)}. Leave it "
        "out to use the model's own template, or pass a Jinja template as "
        "generation_kwargs={'chat_template': ...}"
    )


def _load_options(model_kwargs: Mapping[str, object]) -> dict[str, object]:
    return {
        name: value
        for name, value in model_kwargs.items()
        if name not in _OF_A_CALL and value is not None
    }
