"""Choosing tokens that a grammar allows, on vocabularies that are cut everywhere."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llama_cpp")
from grammar_check import matcher, schema_grammar

from llmroute.engine import native
from llmroute.engine.answers.chain import SamplerChain
from llmroute.engine.answers.guided import GuidedSampler
from llmroute.engine.answers.sampling import Sampling
from llmroute.engine.gguf.check import read_header
from llmroute.engine.grammar.gbnf_reader import read_gbnf
from llmroute.engine.model.grammars import GrammarCompiler
from llmroute.engine.model.model import Model, load
from llmroute.engine.options.load import LoadOptions
from llmroute.engine.vocabulary.standalone import VocabularyOnly
from llmroute.engine.vocabulary.token_table import guidance_tokens
from llmroute.engine.vocabulary.vocabulary import Vocabulary
from llmroute.errors import BadRequestError
from llmroute.testing.tiny_gguf import write_random, write_scripted

pytestmark = pytest.mark.native

GRAMMARS = {
    "anything": read_gbnf("root ::= .*"),
    "letters": read_gbnf("root ::= [a-cé漢🙂]{1,30}"),
    "not many": read_gbnf('root ::= "ab" [xyz] "é" [🙂🚀] "END"'),
    "others": read_gbnf('root ::= [^a-z"]* "\\"" [^"\\n]* "\\""'),
    "nested": read_gbnf('root ::= "{" root "}" | "[" [0-9 ]* "]" root | "é"'),
    "schema": schema_grammar({"type": "object", "properties": {"name": {"type": "string"}}}),
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
_MARKS = '{}[]",: \n\\0129'


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


@pytest.fixture(scope="module", params=[odd_bytes, sentence_pieces])
def vocabulary(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Vocabulary]:
    yield from opened(request.param(tmp_path_factory.mktemp("odd") / "odd.gguf"))


def opened(path: Path) -> Iterator[Vocabulary]:
    model = VocabularyOnly(path)
    yield model.vocabulary
    model.free()


def allowed_by_bytes(vocabulary: Vocabulary, state: Any) -> list[int]:
    """The tokens whose bytes the grammar takes one by one, and the ends where it may end."""
    found = []
    for token in range(vocabulary.size):
        text = vocabulary.bytes_of(token)
        if vocabulary.is_end(token):
            if state.is_accepting():
                found.append(token)
        elif text and state.deep_copy().try_consume_tokens(list(text)) == len(text):
            found.append(token)
    return found


@pytest.mark.parametrize("name", GRAMMARS)
def test_the_mask_is_what_the_bytes_of_tokens_say(vocabulary: Vocabulary, name: str) -> None:
    """The tokens of a real vocabulary are cut within characters and across parts of a grammar."""
    compiler = GrammarCompiler(vocabulary)
    for seed in range(4):
        chance, by_bytes = random.Random(seed), matcher(GRAMMARS[name])
        state = compiler.matcher(GRAMMARS[name]).result().deep_copy()
        for _ in range(8):
            mask = np.frombuffer(state.compute_bitmask(), np.uint8)
            found = np.flatnonzero(np.unpackbits(mask, bitorder="little")[: vocabulary.size])
            wanted = allowed_by_bytes(vocabulary, by_bytes)
            assert found.tolist() == wanted
            going = [token for token in wanted if not vocabulary.is_end(token)]
            if not going:
                break
            token = chance.choice(going)
            assert state.validate_tokens([token])
            assert state.consume_token(token)
            text = vocabulary.bytes_of(token)
            assert by_bytes.try_consume_tokens(list(text)) == len(text)
    compiler.free()


def test_control_tokens_are_no_texts(vocabulary: Vocabulary) -> None:
    tokens = guidance_tokens(vocabulary)
    assert vocabulary.control_names
    for token in vocabulary.control_names:
        assert tokens.is_special_token(token)


def test_a_grammar_is_compiled_once(vocabulary: Vocabulary) -> None:
    compiler = GrammarCompiler(vocabulary)
    first = compiler.matcher(GRAMMARS["letters"])
    assert compiler.matcher(GRAMMARS["letters"]) is first
    for number in range(40):
        compiler.matcher(read_gbnf(f'root ::= "{number}"'))
    assert compiler.matcher(GRAMMARS["letters"]) is not first
    compiler.free()


def test_a_grammar_that_is_not_taken(vocabulary: Vocabulary) -> None:
    compiler = GrammarCompiler(vocabulary)
    with pytest.raises(BadRequestError, match="grammar"):
        compiler.matcher("start: <no_such_token>").result()
    compiler.free()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    path = odd_bytes(tmp_path_factory.mktemp("odd") / "odd.gguf")
    loaded = load(read_header(path), LoadOptions(n_threads=1), 64, native.Flag(), lambda _: True)
    loaded.batch.clear()
    loaded.batch.add([300], 0, 0, wanted=True)
    loaded.decode()
    yield loaded
    loaded.free()


_PARAMS: list[Callable[[list[int]], dict[str, Any]]] = [
    lambda ranked: {"temperature": 0},
    lambda ranked: {"temperature": 0, "logit_bias": dict.fromkeys(ranked[-9:], 60.0)},
    lambda ranked: {"temperature": 0, "logit_bias": dict.fromkeys(ranked[:300:3], -math.inf)},
    lambda ranked: {"temperature": 0, "frequency_penalty": 60.0},
    lambda ranked: {"temperature": 0, "repeat_penalty": 1000.0},
    lambda ranked: {"temperature": 1.5, "seed": 7},
    lambda ranked: {"temperature": 1.5, "top_k": 0, "min_p": 0.01},
    lambda ranked: {"mirostat": 2, "temperature": 1.0},
]


@pytest.mark.parametrize("params", _PARAMS)
@pytest.mark.parametrize("name", ["letters", "others", "schema"])
def test_choices_are_those_among_the_allowed(
    model: Model, name: str, params: Callable[[list[int]], dict[str, Any]]
) -> None:
    """As if the samplers had never seen the others."""
    vocabulary, lib = model.vocabulary, model.lib
    order = np.random.default_rng(3).normal(scale=6.0, size=vocabulary.size).astype(np.float32)
    order[list(vocabulary.ends)] = 99.0  # mostly refused
    ranked = [token for token in np.argsort(-order).tolist() if not vocabulary.is_end(token)]
    wanted = Sampling(**params(ranked))
    common: dict[str, Any] = {"seed": 1, "prompt": [], "window": 4096}
    compiled = model.grammars.matcher(GRAMMARS[name])
    chain = SamplerChain(lib, vocabulary, wanted, matcher=compiled, **common)
    free = SamplerChain(lib, vocabulary, wanted, **common)
    state = compiled.result().deep_copy()
    logits = np.ctypeslib.as_array(lib.llama_get_logits_ith(model.context, 0), order.shape)
    for _ in range(60):
        mask = np.frombuffer(state.compute_bitmask(), np.uint8)
        allowed = np.unpackbits(mask, bitorder="little")[: vocabulary.size].astype(bool)
        logits[:] = order
        token = chain.sample(model.context, 0)
        assert allowed[token]
        if wanted.temperature == 0:  # chance is drawn again for a choice that is made again
            logits[:] = np.where(allowed, order, -math.inf)
            assert free.sample(model.context, 0) == token
        state.consume_token(token)
        if vocabulary.is_end(token):
            break
    chain.free()
    free.free()


def test_a_dead_end_and_too_much(model: Model) -> None:
    vocabulary = model.vocabulary
    letters = {n: -math.inf for n in range(vocabulary.size) if b"a" in vocabulary.bytes_of(n)}
    wanted = Sampling(temperature=0, logit_bias=letters)
    chain = SamplerChain(
        model.lib,
        vocabulary,
        wanted,
        seed=1,
        prompt=[],
        window=64,
        matcher=model.grammars.matcher(read_gbnf('root ::= "a"')),
    )
    with pytest.raises(BadRequestError, match="no token"):
        chain.sample(model.context, 0)
    chain.free()


def test_a_grammar_that_becomes_too_complex_is_an_error(model: Model) -> None:
    class Stuck:
        """A matcher whose limits are reached."""

        def deep_copy(self) -> Stuck:
            return self

        def validate_tokens(self, tokens: list[int]) -> int:
            return 0

        def compute_bitmask(self) -> bytes:
            return bytes(model.vocabulary.size)

        def is_error(self) -> bool:
            return True

        def get_error(self) -> str:
            return "Parser Error: Current row has 3999 items; max is 2000\n<grammar>"

    future: Future[Any] = Future()
    future.set_result(Stuck())
    chain = model.lib.llama_sampler_init_greedy()
    guided = GuidedSampler(
        model.lib, chain, model.vocabulary.size, future, choose=lambda *_: 0, remembers=False
    )
    with pytest.raises(BadRequestError, match=r"too complex.*3999") as caught:
        guided.sample(model.context, 0)
    assert "<grammar>" not in caught.value.message
    model.lib.llama_sampler_free(chain)
