"""Vocabularies: where their files are, and how many tokens a text is.

All of them are read from a file in tiktoken's format (a line per token: base64, then its rank), so
nothing here can reach the network.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import importlib.util
import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ModelFileError

if TYPE_CHECKING:
    from tiktoken import Encoding

TOKENIZERS_ENV = "LLMROUTE_TOKENIZERS_DIR"
"""A folder with vocabularies: `llama4/tokenizer.model`, `o200k_base.tiktoken`, ..."""

# How text is cut into words before the vocabulary is applied, as the models were trained.
_CL100K_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_UPPER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
_LOWER = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_ENDING = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
_O200K_WORDS = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+{_ENDING}"
    rf"|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*{_ENDING}"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """One vocabulary, and how to recognise its file."""

    name: str
    words: str
    """The pattern that cuts text into words."""
    sha256: str
    """Of its file; any other file is another vocabulary."""
    file: str
    """Its path in the tokenizers folder, and in the package that ships it."""
    package: str | None = None
    """An importable package that ships it."""
    url: str | None = None
    """The address under whose SHA-1 tiktoken keeps the file in its cache."""


_OPENAI = "https://openaipublic.blob.core.windows.net/encodings/"

VOCABULARIES = {
    v.name: v
    for v in (
        Vocabulary(
            name="llama4",
            words=_O200K_WORDS,
            sha256="d0bdbaf59b0762c8c807617e2d8ea51420eb1b1de266df2495be755c8e0ed6ed",
            file="llama4/tokenizer.model",
            package="llama_models",
        ),
        Vocabulary(
            name="llama3",
            words=_CL100K_WORDS,
            sha256="82e9d31979e92ab929cd544440f129d9ecd797b69e327f80f17e1c50d5551b55",
            file="llama3/tokenizer.model",
            package="llama_models",
        ),
        Vocabulary(
            name="o200k_base",
            words=_O200K_WORDS,
            sha256="446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
            file="o200k_base.tiktoken",
            url=f"{_OPENAI}o200k_base.tiktoken",
        ),
        Vocabulary(
            name="cl100k_base",
            words=_CL100K_WORDS,
            sha256="223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
            file="cl100k_base.tiktoken",
            url=f"{_OPENAI}cl100k_base.tiktoken",
        ),
    )
}
"""The vocabularies `token_counter` can use, by name."""


@dataclass(frozen=True, slots=True)
class TextCount:
    """How many tokens a text is."""

    tokens: int
    exact: bool


class Tokenizer:
    """Counts tokens with one loaded vocabulary."""

    # tiktoken's word pattern overflows its stack, with a panic that is no `Exception`, on a run of
    # about a million blanks; runs of 25,000 are safe with a wide margin.
    _LONG_BLANK = re.compile(r"\s{25001,}")
    _MAX_BLANK = 25_000

    def __init__(self, encoding: Encoding) -> None:
        self._encoding = encoding

    def count(self, text: str) -> TextCount:
        """The tokens of `text`, whose special tokens count as plain text.

        `exact` is false when a run of more than 25,000 blanks had to be counted in pieces.
        """
        pieces = list(self._pieces(clean(text)))
        # encode_ordinary: a user who writes "<|eot|>" has written seven characters.
        tokens = sum(len(self._encoding.encode_ordinary(piece)) for piece in pieces)
        return TextCount(tokens, exact=len(pieces) == 1)

    def _pieces(self, text: str) -> Iterator[str]:
        start = 0
        for run in self._LONG_BLANK.finditer(text):
            for cut in range(run.start() + self._MAX_BLANK, run.end(), self._MAX_BLANK):
                yield text[start:cut]
                start = cut
        yield text[start:]


def clean(text: str) -> str:
    """`text` with half characters (lone surrogates) replaced, as every encoder does."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def estimate(text: str) -> int:
    """About how many tokens `text` is in a vocabulary that isn't known: a third of its UTF-8 bytes.

    That fits most scripts and is on the high side for English, where a token is about four bytes,
    so that what fits by the estimate fits.
    """
    return math.ceil(len(clean(text).encode()) / 3)


def find(name: str) -> Path | None:
    """The file of a vocabulary, or `None` when this machine has none.

    Looked up in the folder `LLMROUTE_TOKENIZERS_DIR` names, then in the package that ships it
    (found, not imported), then in tiktoken's cache.
    """
    vocabulary = VOCABULARIES[name]
    return next((path for path in _candidates(vocabulary) if path.is_file()), None)


def load(name: str) -> Tokenizer | None:
    """The tokenizer of a vocabulary, loaded once; `None` when this machine has no file of it.

    Loading takes about half a second. Raises `ModelFileError` for a file that isn't it.
    """
    path = find(name)
    return _load(name, path) if path is not None else None


def _candidates(vocabulary: Vocabulary) -> Iterator[Path]:
    if folder := os.environ.get(TOKENIZERS_ENV):
        yield Path(folder, vocabulary.file)
    if vocabulary.package:
        spec = importlib.util.find_spec(vocabulary.package)
        for location in (spec.submodule_search_locations or ()) if spec else ():
            yield Path(location, vocabulary.file)
    if vocabulary.url:
        key = hashlib.sha1(vocabulary.url.encode(), usedforsecurity=False).hexdigest()
        yield Path(_tiktoken_cache(), key)


def _tiktoken_cache() -> str:
    # The same variables and default as tiktoken.load.read_file_cached.
    for variable in ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR"):
        if folder := os.environ.get(variable):
            return folder
    import tempfile  # here: it loads random, shutil and compression for this one line

    return os.path.join(tempfile.gettempdir(), "data-gym-cache")


@functools.cache
def _load(name: str, path: Path) -> Tokenizer:
    import tiktoken  # here: importing it costs more than all of llmroute

    vocabulary = VOCABULARIES[name]
    ranks = _read_ranks(vocabulary, path)
    return Tokenizer(
        tiktoken.Encoding(name, pat_str=vocabulary.words, mergeable_ranks=ranks, special_tokens={})
    )


def _read_ranks(vocabulary: Vocabulary, path: Path) -> dict[bytes, int]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelFileError(f"{path} can't be read: {error.strerror}", url=str(path)) from error
    if hashlib.sha256(data).hexdigest() != vocabulary.sha256:
        raise ModelFileError(
            f"{path} is not the vocabulary {vocabulary.name!r}: its SHA-256 is another one. Put"
            " the right file there, or remove it.",
            url=str(path),
        )
    pairs = (line.split() for line in data.splitlines() if line)
    return {base64.b64decode(token): int(rank) for token, rank in pairs}
