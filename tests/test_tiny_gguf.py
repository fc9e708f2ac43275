"""The tiny models do what they promise, read by llama.cpp itself."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from llmroute.testing.tiny_gguf import _cut, write_random, write_scripted

llama_cpp = pytest.importorskip("llama_cpp")
pytestmark = pytest.mark.native


def _load(path: Path) -> Any:
    return llama_cpp.Llama(str(path), n_ctx=512, verbose=False)


def _say(path: Path, prompt: str = "hi", **options: Any) -> dict[str, Any]:
    model = _load(path)
    choice = model.create_completion(prompt, **{"max_tokens": 40, **options})["choices"][0]
    model.close()
    return choice


@pytest.mark.parametrize("temperature", [0.0, 1.5])
@pytest.mark.parametrize(
    "script",
    [
        "",
        "a",
        "Hello, world!",
        "the the the  the",
        "日本語 👧\u200d👧 ünï",
        '{"a": [1, 2]}\n\n',
    ],
)
def test_scripted_says_its_script_and_stops(tmp_path, script, temperature):
    choice = _say(write_scripted(tmp_path / "m.gguf", script), temperature=temperature)
    assert (choice["text"], choice["finish_reason"]) == (script, "stop")


def test_pieces_may_cut_characters(tmp_path):
    pieces = [b"\xe6", b"\x97\xa5\xe6", b"\x9c\xac"]
    path = write_scripted(tmp_path / "m.gguf", "日本", pieces=pieces)
    assert _say(path)["text"] == "日本"
    assert _say(path, max_tokens=1)["finish_reason"] == "length"


def _pieces_said(path: Path) -> list[bytes]:
    """The answer's tokens read one by one: `Llama` loses the text of those over 32 bytes."""
    model, pieces = _load(path), []
    buffer = ctypes.create_string_buffer(4096)
    vocab = model._model.vocab
    for token in model.generate(model.tokenize(b"hi"), temp=0.0):
        if token == model.token_eos():
            break
        size = llama_cpp.llama_token_to_piece(vocab, token, buffer, len(buffer), 0, False)
        pieces.append(buffer.raw[:size])
    model.close()
    return pieces


@pytest.mark.parametrize(
    "pieces", [[b"x" * 90], [bytes(range(100)), bytes(range(100, 256))], [b"\xff", b"\xfe\x80"]]
)
def test_any_bytes_can_be_said(tmp_path, pieces):
    path = write_scripted(tmp_path / "m.gguf", b"".join(pieces), pieces=pieces)
    assert _pieces_said(path) == pieces


def test_loop_never_stops(tmp_path):
    choice = _say(write_scripted(tmp_path / "m.gguf", "la la lu ", loop=True), max_tokens=9)
    assert choice["finish_reason"] == "length"
    assert choice["text"].startswith("la la lu la la lu ")


@pytest.mark.parametrize("pieces", [["a", "a"], ["a", ""], ["ab"]])
def test_wrong_pieces_are_refused(tmp_path, pieces):
    with pytest.raises(ValueError, match="pieces"):
        write_scripted(tmp_path / "m.gguf", "aa", pieces=pieces)


def test_an_empty_script_cannot_loop(tmp_path):
    with pytest.raises(ValueError, match="loop"):
        write_scripted(tmp_path / "m.gguf", "", loop=True)


def test_random_depends_on_the_whole_prompt_and_the_seed(tmp_path):
    one, two = (write_random(tmp_path / f"{seed}.gguf", seed=seed) for seed in (0, 1))
    answers = [
        _say(one, "hello there", temperature=0.0)["text"],
        _say(one, "jello there", temperature=0.0)["text"],
        _say(two, "hello there", temperature=0.0)["text"],
    ]
    assert len(set(answers)) == 3
    assert _say(one, "hello there", temperature=0.0)["text"] == answers[0]


@pytest.mark.parametrize("text", ["the inner there", "日本 👧 \x00 \n\n 'll 1234", "<|im_end|>"])
def test_random_vocabulary_round_trip(tiny_random, text):
    model = _load(tiny_random)
    tokens = model.tokenize(text.encode(), add_bos=False, special=False)
    assert model.detokenize(tokens) == text.encode()
    model.close()


def test_add_bos_and_template(tmp_path):
    model = _load(write_random(tmp_path / "m.gguf", add_bos=True, chat_template=None))
    assert model.tokenize(b"a")[0] == model.token_bos()
    assert "tokenizer.chat_template" not in model.metadata
    model.close()


@given(st.binary(max_size=200))
def test_cut_makes_different_pieces(script):
    parts = _cut(script)
    assert b"".join(parts) == script
    assert len(set(parts)) == len(parts)
    assert all(len(part) > 1 for part in parts) or len(script) == 1
