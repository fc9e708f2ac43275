"""The header reader: what it reads, what it refuses, and that nothing gets through it badly."""

from __future__ import annotations

import random
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from llmroute.engine.gguf.check import ArrayInfo, read_any_header, read_array, read_header
from llmroute.errors import ModelFileError, NotFoundError
from llmroute.testing.gguf_writer import write_gguf
from llmroute.testing.tiny_gguf import CHAT_TEMPLATE, write_random, write_scripted

_FEW_TOKENS = {"tokenizer.ggml.tokens": ["a", "b"]}


def _refusal(path: Path) -> str:
    with pytest.raises(ModelFileError) as caught:
        read_header(path)
    assert caught.value.url == str(path)
    assert str(path) in caught.value.message
    return caught.value.message


def test_reads_what_the_file_says(tiny_random):
    header = read_header(tiny_random)
    assert (header.version, header.architecture, header.context_length) == (3, "llama", 2048)
    assert header.chat_template == CHAT_TEMPLATE
    assert header.chat_templates == {}
    assert header.vocabulary_size == 4 + 256 + 5
    assert header.file_size == tiny_random.stat().st_size
    assert header.tensors["token_embd.weight"].shape == (64, 265)
    assert header.metadata["tokenizer.ggml.add_bos_token"] is False
    assert header.metadata["llama.attention.layer_norm_rms_epsilon"] == pytest.approx(1e-6)


def test_long_arrays_stay_in_the_file_until_asked_for(tmp_path):
    numbers, texts = list(range(-3000, 3000)), [f"t{i}" * (i % 9) for i in range(6000)]
    path = write_gguf(tmp_path / "m.gguf", {"numbers": numbers, "texts": texts, "after": 7})
    header = read_any_header(path)
    assert isinstance(header.metadata["numbers"], ArrayInfo)
    assert header.metadata["after"] == 7
    assert list(read_array(header, "numbers")) == numbers
    assert list(read_array(header, "texts")) == texts
    assert read_array(header, "after") == (7,)


def test_named_templates(tmp_path):
    named = {"tokenizer.chat_template.tool_use": "{{ tools }}"}
    header = read_header(write_random(tmp_path / "m.gguf", metadata=named, chat_template=None))
    assert header.chat_template is None
    assert header.chat_templates == {"tool_use": "{{ tools }}"}


def test_texts_longer_than_the_window_are_read(tmp_path):
    texts = ["x" * 1_500_000, "y", "z" * 2_000_000]
    path = write_gguf(
        tmp_path / "m.gguf", {"tokenizer.ggml.tokens": texts, "long": "w" * 3_000_000}
    )
    header = read_any_header(path)
    assert header.vocabulary_size == 3
    assert header.metadata["long"] == "w" * 3_000_000


def test_the_answer_is_kept_until_the_file_changes(tmp_path):
    path = write_scripted(tmp_path / "m.gguf", "one")
    assert read_header(path) is not None
    assert read_any_header(path) is read_any_header(path)
    write_scripted(path, "one two three")
    assert read_header(path).vocabulary_size == 4 + 256 + 3


def test_version_2_is_read(tiny_random, tmp_path):
    data = bytearray(tiny_random.read_bytes())
    data[4] = 2
    path = tmp_path / "v2.gguf"
    path.write_bytes(data)
    assert read_header(path).version == 2


def test_a_missing_file(tmp_path):
    with pytest.raises(NotFoundError, match="no model file") as caught:
        read_header(tmp_path / "none.gguf")
    assert caught.value.url == str(tmp_path / "none.gguf")


def test_an_unreadable_name():
    with pytest.raises(ModelFileError, match="cannot be read"):
        read_header("a\0b.gguf")


def test_a_directory(tmp_path):
    assert "is a directory" in _refusal(tmp_path)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b"GG", "not a GGUF file"),
        (b"PK\3\4" + bytes(40), "not a GGUF file"),
        (b"GGUF", "cut off"),
        (struct.pack("<4sIQQ", b"GGUF", 1, 0, 0), "version 1"),
        (struct.pack("<4sIQQ", b"GGUF", 9, 0, 0), "version 9"),
        (struct.pack(">4sIQQ", b"GGUF", 3, 0, 0), "big-endian"),
        (struct.pack("<4sIQQ", b"GGUF", 3, 2**60, 0), "claims 0 keys"),
        (struct.pack("<4sIQQ", b"GGUF", 3, 0, 2**63), "keys and 0 tensors"),
        (struct.pack("<4sIQQQ", b"GGUF", 3, 0, 1, 2**62), "a text of"),
        (struct.pack("<4sIQQQ1sI", b"GGUF", 3, 0, 1, 1, b"a", 13), "unknown type 13"),
        (struct.pack("<4sIQQQ1sIIQ", b"GGUF", 3, 0, 1, 1, b"a", 9, 9, 1), "array of arrays"),
        (struct.pack("<4sIQQQ1sIIQ", b"GGUF", 3, 0, 1, 1, b"a", 9, 8, 2**40), "a list of"),
        (struct.pack("<4sIQQQ1sIIQ", b"GGUF", 3, 0, 1, 1, b"a", 9, 4, 2**60), "a list of"),
        (struct.pack("<4sIQQQI", b"GGUF", 3, 0, 1, 0, 0) + bytes(9), "is empty or comes twice"),
    ],
)
def test_files_that_are_no_models(tmp_path, content, problem):
    path = tmp_path / "m.gguf"
    path.write_bytes(content)
    assert problem in _refusal(path)


@pytest.mark.parametrize(
    ("metadata", "problem"),
    [
        ({"general.architecture": "clip"}, "projector"),
        ({"general.type": "mmproj"}, "projector"),
        ({"general.type": "adapter"}, "an adapter"),
        ({"general.architecture": ""}, "which architecture"),
        ({"general.alignment": 3}, "alignment"),
        ({"general.alignment": 4096}, "not where it should be"),
        ({"llama.block_count": 0}, "llama.block_count is 0"),
        ({"llama.block_count": 513}, "llama.block_count"),
        ({"llama.embedding_length": 66}, "llama.embedding_length is 66"),
        ({"llama.expert_count": 4}, "llama.expert_count"),
        ({"llama.expert_used_count": 2}, "llama.expert_used_count"),
        ({"llama.rope.scaling.type": "x"}, "llama.rope.scaling.type is 'x'"),
        ({"llama.nextn_predict_layers": 7}, "llama.nextn_predict_layers"),
        ({"llama.attention.layer_norm_rms_epsilon": float("nan")}, "epsilon is nan"),
        ({"llama.attention.head_count_kv": [2, 0]}, "head_count_kv"),
        ({"llama.attention.head_count_kv": 2 + 2**28}, "head_count_kv"),
        ({"llama.attention.key_length": 32 + 2**28}, "key_length"),
        ({"tokenizer.ggml.token_type": [1] * 9}, "token_type does not match"),
        ({"tokenizer.ggml.scores": [1.0] * 2000}, "scores does not match"),
        ({"tokenizer.ggml.tokens": ["a", "b", "a"]}, "has 'a' twice"),
        ({"tokenizer.ggml.tokens": [1, 2]}, "no list of texts"),
        ({"tokenizer.ggml.model": "llama"}, "without all bytes"),
        ({"split.count": 3, "split.no": 1}, "one of 3 parts"),
    ],
)
def test_models_that_would_end_the_process(tmp_path, metadata, problem):
    assert problem in _refusal(write_random(tmp_path / "m.gguf", metadata=metadata))


def test_a_vocabulary_without_weights(tmp_path):
    fields = {"general.architecture": "llama", **_FEW_TOKENS}
    assert "without weights" in _refusal(write_gguf(tmp_path / "m.gguf", fields))


def test_cut_off_weights_and_cut_off_header(tiny_random, tmp_path):
    data = tiny_random.read_bytes()
    path = tmp_path / "m.gguf"
    path.write_bytes(data[:-100])
    assert "100 bytes are missing" in _refusal(path)
    path.write_bytes(data[:3000])
    assert "cut off" in _refusal(path)


def _split(folder: Path, number: int, count: int = 2) -> Path:
    fields = {"split.no": number - 1, "split.count": count}
    return write_random(folder / f"m-{number:05}-of-{count:05}.gguf", metadata=fields)


def test_a_model_in_parts(tmp_path):
    first = _split(tmp_path, 1)
    with pytest.raises(NotFoundError, match=r"m-00002-of-00002\.gguf is missing"):
        read_header(first)
    second = _split(tmp_path, 2)
    assert read_header(first).architecture == "llama"
    assert "m-00001-of-00002.gguf" in _refusal(second)


@given(st.binary(max_size=400))
def test_no_bytes_make_it_fail_otherwise(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "random.gguf"
    path.write_bytes(b"GGUF\3\0\0\0" + content)
    with pytest.raises(ModelFileError):
        read_header(path)


def _flipped(original: bytes, seed: int) -> bytes:
    """`original` with one to three bits of its header turned over."""
    rng = random.Random(seed)
    data = bytearray(original)
    for _ in range(rng.choice((1, 1, 2, 3))):
        data[rng.randrange(8000)] ^= 1 << rng.randrange(8)
    return bytes(data)


def test_a_thousand_damaged_headers(tiny_random, tmp_path):
    original, path = tiny_random.read_bytes(), tmp_path / "m.gguf"
    refused = 0
    for seed in range(1000):
        path.write_bytes(_flipped(original, seed))
        try:
            read_header(path)
        except (ModelFileError, NotFoundError):
            refused += 1
    assert 300 < refused < 900


_LOAD = """
import ctypes, os, sys
import llama_cpp as c
silent = c.llama_log_callback(lambda *_: None)
c.llama_log_set(silent, ctypes.c_void_p(0))
c.llama_backend_init()
died = []
for name in sys.argv[1:]:
    pid = os.fork()
    if pid == 0:
        os.close(2)
        params = c.llama_context_default_params()
        params.n_ctx, params.n_threads, params.n_threads_batch = 256, 1, 1
        model = c.llama_model_load_from_file(name.encode(), c.llama_model_default_params())
        context = model and c.llama_init_from_model(model, params)
        if context:
            tokens = (c.llama_token * 64)()
            vocab = c.llama_model_get_vocab(model)
            count = c.llama_tokenize(vocab, b"hi there", 8, tokens, 64, True, True)
            c.llama_decode(context, c.llama_batch_get_one(tokens, count))
        os._exit(0)
    if os.WIFSIGNALED(os.waitpid(pid, 0)[1]):
        died.append(name)
print(died)
"""


@pytest.mark.native
def test_damaged_headers_it_accepts_do_not_end_the_process(tiny_random, tmp_path):
    pytest.importorskip("llama_cpp")
    original, accepted = tiny_random.read_bytes(), []
    for seed in range(150):
        path = tmp_path / f"{seed}.gguf"
        path.write_bytes(_flipped(original, seed))
        try:
            read_header(path)
        except (ModelFileError, NotFoundError):
            continue
        accepted.append(str(path))
    loaded = subprocess.run(
        [sys.executable, "-c", _LOAD, *accepted], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.strip() == "[]"
