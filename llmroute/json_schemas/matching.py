"""Whether a text has what a pattern looks for, in time in proportion to the text.

Python's own `re` may take forever for a stranger's pattern.
"""

from __future__ import annotations

import functools
from typing import Any

from ..errors import MissingExtraError
from .patterns import whole_text

_END = 256
"""What stands for the end of a text, behind the bytes."""


def library() -> Any:
    """The module `llguidance`. Raises `MissingExtraError` where it is not installed."""
    try:
        # 7 MB of native code, needed for structured output of local models only.
        import llguidance
    except ImportError as exc:
        raise MissingExtraError("llamacpp", "Structured output of a local model") from exc
    return llguidance


def has_match(pattern: str, text: str) -> bool:
    """Whether `pattern` is found in `text`. Raises `GrammarError` for one that is not taken."""
    wanted, raw = whole_text(pattern), text.encode()
    return all(_matches(expression, raw) for expression in wanted.all_of) and not any(
        _matches(expression, raw) for expression in wanted.none_of
    )


def lark_regex(expression: str) -> str:
    """An expression in the syntax of Rust's `regex` crate as a terminal of Lark."""
    return f"/{expression.replace('/', chr(92) + 'x2F')}/"


def _matches(expression: str, text: bytes) -> bool:
    matcher = _matcher(expression).deep_copy()
    read = matcher.try_consume_tokens(list(text))
    return bool(read == len(text) and matcher.is_accepting())


@functools.lru_cache(maxsize=256)
def _matcher(expression: str) -> Any:
    lark = f"start: {lark_regex(expression)}"
    grammar = library().LLMatcher.grammar_from_lark(lark)
    return library().LLMatcher(_bytes(), grammar, log_level=0)


@functools.cache
def _bytes() -> Any:
    return library().LLTokenizer(_Bytes(), eos_token=[_END], slices=[])


class _Bytes:
    """A vocabulary of single bytes, as `llguidance.LLTokenizer` wants it."""

    is_tokenizer_wrapper = True
    eos_token_id = _END
    bos_token_id = None
    tokens = (*(bytes([byte]) for byte in range(256)), b"")
    special_token_ids = (_END,)

    def __call__(self, text: bytes) -> list[int]:
        return list(text)
