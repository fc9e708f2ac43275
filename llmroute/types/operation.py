"""What there is to know about one operation, such as chat: one row, read by everything else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from .call_info import Answer

AnswerT = TypeVar("AnswerT", bound=Answer)
ChunkT = TypeVar("ChunkT", covariant=True)


@dataclass(frozen=True, slots=True, eq=False)
class Operation(Generic[AnswerT, ChunkT]):
    """One kind of call. Its module in `types/` holds the row, beside the shapes it names."""

    name: str
    """Such as `"chat"`."""
    params: type
    """The `TypedDict` of its parameters."""
    content: tuple[str, ...]
    """The fields of the request that say what is asked about, by their names in OpenAI's body."""
    path: str
    """Where OpenAI's protocol has it, below the base URL."""
    answer: type[AnswerT]
    """What a call gives."""
    chunk: type[ChunkT] | None = None
    """What a stream of it is made of; `None` for an operation whose answer comes only whole."""
    id_prefix: str | None = None
    """How ids of its answers begin; `None` where answers have no id."""
    max_bytes: int = 64 * 1024 * 1024
    """How large a whole answer over HTTP may be, unpacked. A larger one is an error."""
    by_host: bool = False
    """Whether the hosts of one provider differ in having it, so that it must be asked about the
    host too."""
    param_names: frozenset[str] = field(init=False)
    """The names of `params`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "param_names", frozenset(self.params.__annotations__))

    @property
    def object(self) -> str:
        """What the answer's `object` says, such as `"chat.completion"`."""
        return str(self.answer.model_fields["object"].default)

    @property
    def chunk_object(self) -> str:
        """What a chunk's `object` says."""
        fields = getattr(self.chunk, "model_fields", {})
        return str(fields["object"].default)
