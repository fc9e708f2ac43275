"""How the vectors of a text's tokens become one vector."""

from __future__ import annotations

from ...errors import ModelFileError
from ..gguf.header import GGUFHeader
from .load import LoadOptions

# enum llama_pooling_type
MEAN, CLS, LAST, RANK = 1, 2, 3, 4
_POOLINGS = {"mean": MEAN, "cls": CLS, "last": LAST}


def pooling_of(header: GGUFHeader, options: LoadOptions) -> int:
    """How the vectors of a text's tokens become one: as asked, else as the file says, else mean.

    A file may also say that its texts are pairs to be ranked. Raises `ModelFileError` if it then
    lacks what that takes, over which llama.cpp would end the process.
    """
    if options.pooling is not None:
        return _POOLINGS[options.pooling]
    given = header.setting("pooling_type")
    if given == RANK and not any(name.startswith("cls.") for name in header.tensors):
        raise ModelFileError(
            f"{header.path} says that it ranks texts but has no tensors for that.",
            provider="llamacpp",
            url=str(header.path),
        )
    return given if isinstance(given, int) and given in (CLS, LAST, RANK) else MEAN
