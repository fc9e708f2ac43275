"""What a grammar allows, and what is chosen: as if llama.cpp were asked about every token."""

from __future__ import annotations

import ctypes
import itertools
import math
import os
import random
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llmroute.engine import native
from llmroute.engine.answers.chain import SamplerChain
from llmroute.engine.answers.grammar_sampler import GrammarSampler, Scores
from llmroute.engine.answers.sampling import Sampling
from llmroute.engine.gguf.check import read_header
from llmroute.engine.grammar.gbnf_reader import read_gbnf
from llmroute.engine.grammar.json_schema import json_grammar, json_object_grammar
from llmroute.engine.model.model import Model, load
from llmroute.engine.options.load import LoadOptions
from llmroute.engine.vocabulary.standalone import VocabularyOnly
from llmroute.engine.vocabulary.vocabulary import Vocabulary
from llmroute.testing.tiny_gguf import write_random, write_scripted

pytestmark = pytest.mark.native

REAL_MODELS = [
    os.environ.get(name, "") for name in ("LLMROUTE_TEST_MODEL", "LLMROUTE_TEST_CHAT_MODEL")
]
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "age": {"type": "integer", "minimum": 0, "maximum": 130},
        "tags": {"type": "array", "items": {"enum": ["a", "ab", "é", "éü", "漢字"]}},
    },
    "required": ["name", "age", "tags"],
}
GRAMMARS = {
    "anything": 'root ::= .* "END"',
    "json": json_object_grammar(),
    "schema": json_grammar(PERSON),
    "pattern": json_grammar({"type": "string", "pattern": "^[a-cé-ü字-漢]{2,9}$"}),
    "letters": 'root ::= [a-z]+ (" " [a-z]+)*',
    "pairs": 'root ::= ([a-c] "x" ([a-d] [ab])?)+',
    "accents": 'root ::= ("a"? [à-þ])+ [A-Z]?',
    "not one": "root ::= [^é\\n]{3,40}",
    "not many": 'root ::= ([^a-z"\\x80-\\u07FF] | "é" | "ab")+',
    "emoji": "root ::= ([😀-🙏] | [\\U0001F680-\\U0001F6FF] | [\\u0800-\\u0FFF\\u4E00-\\u9FFF])+",
    "one character": 'root ::= ("🙂" | "🙃" | "é" | "漢")+',
    "control characters": "root ::= ([\\x01-\\x1f] | [\\x7f-\\x9f] | [\\uFFFC-\\U0010FFFF])*",
    "end or more": 'root ::= "a"? ("b" | "")',
    "control token": 'root ::= "<|im_start|>" [a-z]* "<|im_end|>"? .*',
}
_ODD = [
    *(b"\0a", b"a\0b", b"\0\0"),
    *(b"\xc0\x80", b"\xc1\x81x", b"\xe0\x9f\x80", b"\xe0\x81", b"\xf0\x8f\xbf\xbf", b"\xf0\x80a"),
    *(b"\xe0\x83\xa9", b"\xf0\x80\x83\xa9", b"\x81\x81", b"\x80\x83\xa9", b"\x83\xa9"),
    *(b"a\xe0", b"a\xe0\x83\xa9", b"a\xf0", b"a\xf0\x80\x83\xa9", b"\xe0a", b"\xe0\xf0x"),
    *(b"\xff\xff", b"\xf8\x88\x80\x80", b"\xf5\x80\x80\x80", b"\xc3(", b"\xed\xa0\x80", b"a\xff"),
    *("é".encode()[:1] + b'"', "é".encode()[1:] + b'"', "🙂".encode()[1:] + b"\xf0"),
]
_TEXTS = ["é", "ü", "éü", "è\n", "漢", "漢字", "🙂", "🙃", "🚀", "ก", "ÿ", "þ", "߿", "\u0800", "�"]
_ENTRY = [("id", np.int32), ("logit", np.float32), ("p", np.float32)]
_MARKS = '{}[]",: \n\\0129'


class FullPass:
    """llama.cpp's own grammar, asked about every token of a vocabulary."""

    def __init__(self, vocabulary: Vocabulary, grammar: str) -> None:
        self._lib = native.library()
        self._sampler = self._lib.llama_sampler_init_grammar(
            vocabulary.handle, grammar.encode(), b"root"
        )
        assert self._sampler

    def masked(self, scores: Scores) -> Scores:
        """The scores, those of tokens that are not allowed lost."""
        entries, _ = apply(self._sampler, scores)
        return entries["logit"]

    def accept(self, token: int) -> None:
        self._lib.llama_sampler_accept(self._sampler, token)

    def free(self) -> None:
        self._lib.llama_sampler_free(self._sampler)


def apply(sampler: Any, scores: Scores) -> tuple[np.ndarray[Any, Any], int]:
    """The entries after a sampler has seen them, and the token it selected."""
    lib = native.library()
    data = (lib.llama_token_data * len(scores))()
    entries = np.frombuffer(data, _ENTRY)
    entries["id"], entries["logit"] = np.arange(len(scores)), scores
    array = lib.llama_token_data_array(data, len(scores), -1, False)
    lib.llama_sampler_apply(sampler, ctypes.byref(array))
    return entries, array.data[array.selected].id if array.selected >= 0 else -1


def odd_bytes(path: Path) -> Path:
    """Byte-level tokens that are cut everywhere."""
    cut = [
        raw[start:end]
        for raw in ("a🙂".encode(), "漢字b".encode(), "éü".encode(), "ก🚀".encode(), b'"a')
        for start, end in itertools.combinations(range(len(raw) + 1), 2)
    ]
    marks = [a + b for a in _MARKS for b in _MARKS]
    words = map("".join, itertools.product("abcz", "aeixyzA", "abcdxyz ", "ab"))
    names = ['"name": ', '{"', '"}', "null", "true", "1.5e3", "END", "<|im_start|>a", "x" * 40]
    texts = [*_TEXTS, *marks, *words, *names]
    pieces = dict.fromkeys([*_ODD, *cut, *(text.encode() for text in texts)])
    longer = [piece for piece in pieces if len(piece) > 1]
    return write_scripted(path, b"".join(longer), pieces=longer)


def sentence_pieces(path: Path) -> Path:
    """Tokens that are texts, and tokens that are bytes, of which some are missing."""
    marks = [a + b for a in _MARKS.replace(" ", "▁") for b in _MARKS.replace(" ", "▁")]
    others = [
        "▁",
        "▁the",
        "name",
        "END",
        "unused",
        *'abcdefxyz{}[]",:<>0123456789',
        *_TEXTS,
        *marks,
    ]
    texts = dict.fromkeys(others)
    missing = {0x41, 0xC3, 0xF0}
    as_bytes = [f"<0x{byte:02X}>" for byte in range(256) if byte not in missing]
    tokens = ["<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>", *as_bytes, *texts]
    types = [2, 3, 3, 3, 4, *[6] * len(as_bytes), *[5 if t == "unused" else 1 for t in texts]]
    fields = {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": types,
        "tokenizer.ggml.scores": [0.0] * len(tokens),
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.eot_token_id": 4,
    }
    return write_random(path, metadata=fields)


def many(path: Path) -> Path:
    """More tokens than are read at a time."""
    signs = 'abcdefgh"{}[]:, 0123456789'
    words = map("".join, itertools.product(signs.replace(" ", "Ġ"), repeat=4))
    tokens = [f"<|{name}|>" for name in ("im_start", "im_end")]
    tokens += [*itertools.islice(words, 0, None, 5), *signs.replace(" ", "Ġ")]
    fields = {
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [3, 3, *[1] * (len(tokens) - 2)],
        "tokenizer.ggml.bos_token_id": 0,
        "tokenizer.ggml.eos_token_id": 1,
        "tokenizer.ggml.eot_token_id": 1,
    }
    return write_random(path, metadata=fields)


@pytest.fixture(scope="module", params=[odd_bytes, sentence_pieces])
def vocabulary(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Vocabulary]:
    yield from opened(request.param(tmp_path_factory.mktemp("odd") / "odd.gguf"))


def opened(path: Path) -> Iterator[Vocabulary]:
    model = VocabularyOnly(path)
    yield model.vocabulary
    model.free()


class Walk:
    """Two ways to ask one grammar, side by side through a text by chance."""

    def __init__(self, vocabulary: Vocabulary, grammar: str, seed: int) -> None:
        self._vocabulary = vocabulary
        self._full = FullPass(vocabulary, grammar)
        self._sampler = GrammarSampler(native.library(), vocabulary, grammar)
        self._chance = random.Random(seed)
        self._greedy = native.library().llama_sampler_init_greedy()

    def run(self, steps: int) -> int:
        """The states in which both were asked."""
        zeros = np.zeros(self._vocabulary.size, np.float32)
        for step in range(steps):
            allowed = np.flatnonzero(self._full.masked(zeros) == 0.0)
            np.testing.assert_array_equal(self._sampler.allowed(zeros), allowed)
            token = self._next(allowed.tolist())
            if token is None:
                return step + 1
            scores = zeros.copy()
            scores[token] = 1.0
            assert self._sampler.sample(self._greedy, scores) == token
            self._full.accept(token)
        return steps

    def _next(self, allowed: list[int]) -> int | None:
        spelled = {token: self._vocabulary.spelling(token) for token in allowed}
        # llama.cpp lets a character 0 in two bytes through, and ends the process over it later.
        going = [
            token
            for token, text in spelled.items()
            if not self._vocabulary.is_end(token) and not text.startswith(b"\xc0")
        ]
        odd = [token for token in going if not spelled[token].isascii()]
        among = odd if odd and self._chance.random() < 0.5 else going
        return self._chance.choice(among) if among else None

    def free(self) -> None:
        self._full.free()
        self._sampler.free()
        native.library().llama_sampler_free(self._greedy)


def walked(vocabulary: Vocabulary, grammar: str, walks: Iterable[int], steps: int) -> int:
    states = 0
    for seed in walks:
        walk = Walk(vocabulary, grammar, seed)
        states += walk.run(steps)
        walk.free()
    return states


@pytest.mark.parametrize("name", GRAMMARS)
def test_allowed_is_what_a_full_pass_allows(vocabulary: Vocabulary, name: str) -> None:
    assert walked(vocabulary, _grammar(name), range(12), steps=40) >= 12


def test_tokens_are_read_while_grammars_are_used(tmp_path: Path) -> None:
    for vocabulary in opened(many(tmp_path / "many.gguf")):
        assert vocabulary.size > 65536
        assert walked(vocabulary, _grammar("json"), range(2), steps=12) > 4


@pytest.mark.slow
@pytest.mark.skipif(not all(REAL_MODELS), reason="LLMROUTE_TEST_MODEL or _CHAT_MODEL is not set")
@pytest.mark.parametrize("model", REAL_MODELS)
@pytest.mark.parametrize("name", GRAMMARS)
def test_real_vocabularies(model: str, name: str) -> None:
    for vocabulary in opened(Path(model)):
        assert walked(vocabulary, _grammar(name), range(2), steps=15) >= 2


def _grammar(name: str) -> str:
    return read_gbnf(GRAMMARS[name])


def _samplers(kind: str, seed: int) -> tuple[list[Any], int | None]:
    lib = native.library()
    ending = [lib.llama_sampler_init_temp(1.5), lib.llama_sampler_init_dist(seed)]
    if kind == "greedy":
        return [lib.llama_sampler_init_greedy()], 1
    if kind == "all":
        return [lib.llama_sampler_init_min_p(0.01, 1), *ending], None
    return [lib.llama_sampler_init_top_k(40), lib.llama_sampler_init_top_p(0.95, 1), *ending], 40


def _chain(kind: str, seed: int) -> tuple[Any, int | None]:
    lib = native.library()
    chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
    samplers, enough = _samplers(kind, seed)
    for sampler in samplers:
        lib.llama_sampler_chain_add(chain, sampler)
    return chain, enough


@pytest.mark.parametrize("kind", ["greedy", "likeliest", "all"])
@pytest.mark.parametrize("name", ["schema", "anything", "pairs", "not many"])
def test_choices_are_those_of_a_full_pass(vocabulary: Vocabulary, name: str, kind: str) -> None:
    lib, numbers = native.library(), np.random.default_rng(7)
    for seed in range(6):
        (chain, enough), (same, _) = _chain(kind, seed), _chain(kind, seed)
        sampler = GrammarSampler(lib, vocabulary, _grammar(name), enough=enough)
        full = FullPass(vocabulary, _grammar(name))
        for step in range(25):
            scores = numbers.normal(scale=1.0 + seed, size=vocabulary.size).astype(np.float32)
            if kind == "greedy":
                scores = scores.round()  # many are equally likely: the first one is taken
            if step % 4:
                scores[list(vocabulary.ends)] = 99.0  # mostly refused
            scores[_overlong(vocabulary)] = -math.inf
            masked = full.masked(scores)
            _, token = apply(same, scores)
            if masked[token] == -math.inf:
                _, token = apply(same, masked)
            assert sampler.sample(chain, scores) == token
            if vocabulary.is_end(token):
                break
            full.accept(token)
        full.free()
        sampler.free()
        lib.llama_sampler_free(chain)
        lib.llama_sampler_free(same)


def _overlong(vocabulary: Vocabulary) -> list[int]:
    return [n for n in range(vocabulary.size) if vocabulary.spelling(n).startswith(b"\xc0\x80")]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    path = odd_bytes(tmp_path_factory.mktemp("odd") / "odd.gguf")
    loaded = load(read_header(path), LoadOptions(n_threads=1), 64, native.Flag(), lambda _: True)
    loaded.batch.clear()
    loaded.batch.add([300], 0, 0, wanted=True)
    loaded.decode()
    yield loaded
    loaded.free()


@pytest.mark.parametrize(
    "params",
    [
        lambda ranked: {},
        lambda ranked: {"logit_bias": dict.fromkeys(ranked[-9:].tolist(), 60.0)},
        lambda ranked: {"logit_bias": dict.fromkeys(ranked[:300].tolist(), -math.inf)},
        lambda ranked: {"frequency_penalty": 60.0},
        lambda ranked: {"repeat_penalty": 1000.0},
    ],
)
def test_samplers_that_change_the_order(
    model: Model, params: Callable[[np.ndarray[Any, Any]], dict[str, Any]]
) -> None:
    vocabulary, lib, grammar = model.vocabulary, model.lib, _grammar("anything")
    order = np.random.default_rng(3).normal(scale=6.0, size=vocabulary.size).astype(np.float32)
    ruled_out = {*_overlong(vocabulary), *vocabulary.control_names}
    order[list(ruled_out)] = -math.inf
    usable = [token for token in np.argsort(-order) if token not in ruled_out]
    order[list(vocabulary.ends)] = 99.0  # refused
    wanted = Sampling(temperature=0, **params(np.array(usable)))
    common: dict[str, Any] = {"seed": 1, "prompt": [], "window": 4096}
    chain = SamplerChain(lib, vocabulary, wanted, grammar=grammar, **common)
    free, full = SamplerChain(lib, vocabulary, wanted, **common), FullPass(vocabulary, grammar)
    logits = np.ctypeslib.as_array(lib.llama_get_logits_ith(model.context, 0), order.shape)
    for _ in range(300):
        logits[:] = full.masked(order)
        token = free.sample(model.context, 0)
        logits[:] = order
        assert chain.sample(model.context, 0) == token
        full.accept(token)
    for each in (chain, free, full):
        each.free()
