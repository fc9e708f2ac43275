"""A model's vocabulary: text to tokens, tokens to bytes."""

from __future__ import annotations

import ctypes
from functools import cached_property
from itertools import repeat
from typing import Any, NamedTuple

from ...errors import BadRequestError
from .control_tokens import ControlTokens


class Marks(NamedTuple):
    """Tokens that a model was trained to see around texts; empty where it was not."""

    begin: tuple[int, ...]
    between: tuple[int, ...]
    end: tuple[int, ...]


class InfillMarks(NamedTuple):
    """Tokens that a model was trained to see around what comes before and after a gap."""

    prefix: int
    suffix: int
    middle: tuple[int, ...]
    """What asks for the text of the gap; empty where the end of the prompt does."""


class Vocabulary:
    """The tokens of one loaded model. Lives as long as the model does."""

    def __init__(self, lib: Any, model: Any) -> None:
        self.lib = lib
        self.handle = lib.llama_model_get_vocab(model)
        self.size: int = lib.llama_vocab_n_tokens(self.handle)
        self.bos: int = lib.llama_vocab_bos(self.handle)
        """The token that begins a text; negative if there is none."""
        self._bytes: dict[int, bytes] = {}
        self._ends: dict[int, bool] = {}
        self._buffer = ctypes.create_string_buffer(64)

    @property
    def usable(self) -> bool:
        """Whether there is a tokenizer at all."""
        return bool(self.lib.llama_vocab_type(self.handle) != self.lib.LLAMA_VOCAB_TYPE_NONE)

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """The tokens of `text`.

        `add_special` puts the model's own first token before it; `parse_special` reads the names of
        control tokens as those tokens, not as text. Raises `BadRequestError` for a text that is no
        Unicode (a lone surrogate).
        """
        try:
            raw = text.encode()
        except UnicodeEncodeError as error:
            raise BadRequestError(f"The prompt is not valid Unicode: {error}.") from None
        capacity = len(raw) + 8
        while True:
            tokens = (self.lib.llama_token * capacity)()
            count = self.lib.llama_tokenize(
                self.handle, raw, len(raw), tokens, capacity, add_special, parse_special
            )
            if count >= 0:
                return list(tokens[:count])
            capacity = -count

    def bytes_of(self, token: int) -> bytes:
        """What a token adds to the text: part of a character, or nothing for a control token."""
        known = self._bytes.get(token)
        if known is None:
            known = self._bytes[token] = self._piece(token)
        return known

    def _piece(self, token: int, *, special: bool = False) -> bytes:
        while True:
            length = self.lib.llama_token_to_piece(
                self.handle, token, self._buffer, len(self._buffer), 0, special
            )
            if length >= 0:
                return self._buffer.raw[:length]
            self._buffer = ctypes.create_string_buffer(-length)

    @cached_property
    def longest(self) -> int | None:
        """Bytes of the longest token; `None` where a token may stand for a longer text.

        Takes a moment in a large vocabulary.
        """
        lib = self.lib
        if lib.llama_vocab_type(self.handle) not in (
            lib.LLAMA_VOCAB_TYPE_SPM,
            lib.LLAMA_VOCAB_TYPE_BPE,
        ):
            return None
        read, size = lib.llama_token_to_piece, len(self._buffer)
        handles, buffers, sizes, strip, special = map(
            repeat, (self.handle, self._buffer, size, 0, True)
        )
        lengths = map(read, handles, range(self.size), buffers, sizes, strip, special)
        return max(map(abs, lengths), default=0)

    def name_of(self, token: int) -> str:
        """How a control token is written in a template; `""` for a token there is not."""
        return "" if token < 0 else self.spelling(token).decode("utf-8", "replace")

    def spelling(self, token: int) -> bytes:
        """A token as a grammar sees it: a control token by its name."""
        return self._piece(token, special=True)

    @cached_property
    def around_texts(self) -> Marks:
        """What goes around the texts of a pair."""
        lib, handle = self.lib, self.handle
        eos, sep = lib.llama_vocab_eos(handle), lib.llama_vocab_sep(handle)
        end = eos if eos >= 0 else sep
        return Marks(
            (self.bos,) if lib.llama_vocab_get_add_bos(handle) and self.bos >= 0 else (),
            (sep,) if lib.llama_vocab_get_add_sep(handle) and sep >= 0 else (),
            (end,) if lib.llama_vocab_get_add_eos(handle) and end >= 0 else (),
        )

    @cached_property
    def infill(self) -> InfillMarks | None:
        """What marks texts with a gap; `None` where the model was not trained for that."""
        lib, handle = self.lib, self.handle
        prefix, suffix = lib.llama_vocab_fim_pre(handle), lib.llama_vocab_fim_suf(handle)
        middle = lib.llama_vocab_fim_mid(handle)
        if prefix < 0 or suffix < 0:
            return None
        return InfillMarks(prefix, suffix, (middle,) if middle >= 0 else ())

    def is_end(self, token: int) -> bool:
        """Whether a token ends the answer."""
        known = self._ends.get(token)
        if known is None:
            known = self._ends[token] = self.lib.llama_vocab_is_eog(self.handle, token)
        return known

    @cached_property
    def ends(self) -> tuple[int, ...]:
        """Every token that ends an answer."""
        is_end, handle = self.lib.llama_vocab_is_eog, self.handle
        return tuple(token for token in range(self.size) if is_end(handle, token))

    @cached_property
    def control_names(self) -> dict[int, str]:
        """How templates write each control token."""
        is_control, handle = self.lib.llama_vocab_is_control, self.handle
        return {
            token: self.name_of(token) for token in range(self.size) if is_control(handle, token)
        }

    @cached_property
    def control_ids(self) -> dict[str, int]:
        """The control tokens by the names that templates write."""
        return {name: token for token, name in self.control_names.items()}

    @cached_property
    def control(self) -> ControlTokens:
        """The control tokens as templates write them."""
        eos = self.lib.llama_vocab_eos(self.handle)
        names = self.control_names.values()
        return ControlTokens.of(names, bos=self.name_of(self.bos), eos=self.name_of(eos))
