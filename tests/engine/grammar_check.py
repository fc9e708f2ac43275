"""What a grammar allows, asked of llguidance on a vocabulary of single bytes."""

from __future__ import annotations

import functools
import random
from typing import Any

import llguidance

from llmroute.engine.grammar.compiling import compiled, problem_of
from llmroute.engine.grammar.lark import Lark

END = 256
CLOSING = b'"]}'


class Bytes:
    """A vocabulary of single bytes, as `llguidance.LLTokenizer` wants it."""

    is_tokenizer_wrapper = True
    eos_token_id = END
    bos_token_id = None
    tokens = (*(bytes([byte]) for byte in range(256)), b"")
    special_token_ids = (END,)

    def __call__(self, text: bytes) -> list[int]:
        return list(text)


@functools.cache
def vocabulary() -> Any:
    return llguidance.LLTokenizer(Bytes(), eos_token=[END], slices=[])


@functools.lru_cache(maxsize=512)
def _compiled(grammar: str) -> Any:
    made = compiled(grammar, vocabulary())
    assert not problem_of(made), problem_of(made)
    return made


def matcher(grammar: str) -> Any:
    """A grammar at its beginning."""
    return _compiled(grammar).deep_copy()


def schema_grammar(schema: Any) -> str:
    """The grammar of a JSON schema."""
    lark = Lark()
    return lark.finish(lark.json(schema))


def allows(grammar: str, text: str) -> bool:
    """Whether a whole text is one the grammar allows."""
    state, raw = matcher(grammar), text.encode()
    return state.try_consume_tokens(list(raw)) == len(raw) and bool(state.is_accepting())


def allowed(state: Any) -> list[int]:
    """Which bytes may come next; `END` if the text may end."""
    mask = state.compute_bitmask()
    assert not state.is_error(), problem_of(state)
    return [byte for byte in range(END + 1) if mask[byte // 8] >> byte % 8 & 1]


def random_text(grammar: str, chance: random.Random, limit: int = 3000) -> str | None:
    """A text by the grammar, at random; `None` if it does not come to an end."""
    state, written = matcher(grammar), bytearray()
    while len(written) < limit:
        bytes_ = allowed(state)
        assert bytes_, f"dead end after {written!r}"
        if END in bytes_ and (len(bytes_) == 1 or chance.random() < 0.3):
            return written.decode()
        others = [byte for byte in bytes_ if byte != END]
        closing = [byte for byte in others if byte in CLOSING]
        plain = [byte for byte in others if 0x20 <= byte < 0x7F] or others
        hurry = closing and chance.random() < 0.1 + len(written) / 300
        among = closing if hurry else others if chance.random() < 0.1 else plain
        written.append(chance.choice(among))
        assert state.consume_token(written[-1])
    return None
