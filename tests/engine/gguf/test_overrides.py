"""Settings of a model's file that a caller puts others in place of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from calls_here import Result, call, run

from llmroute.engine import native
from llmroute.engine.gguf.overrides import native_overrides
from llmroute.engine.options.load import LoadOptions
from llmroute.errors import BadRequestError, ModelFileError
from llmroute.local_models import warm_up
from llmroute.testing.tiny_gguf import write_random
from llmroute.transport.local import count_tokens

pytest.importorskip("llama_cpp")
pytestmark = [pytest.mark.native, pytest.mark.usefixtures("unloaded")]


def _ask(model: Path, prompt: Any = "Once upon a time", **overrides: Any) -> Result:
    load = {"kv_overrides": {key.replace("__", "."): value for key, value in overrides.items()}}
    return run(call(model, prompt, max_tokens=12, load=load if overrides else {}))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("llama.rope.freq_base", 100.0),
        ("llama.attention.layer_norm_rms_epsilon", 0.5),
        ("llama.logit_scale", 3.0),
        ("tokenizer.ggml.add_bos_token", True),
        ("llama.rope.scaling.type", "yarn"),
    ],
)
def test_an_override_is_as_good_as_the_files_own_setting(
    tmp_path: Path, tiny_random: Path, key: str, value: Any
) -> None:
    more = {"llama.rope.scaling.factor": 4.0, "llama.rope.scaling.original_context_length": 64}
    settings = {key: value, **(more if "scaling" in key else {})}
    written = write_random(tmp_path / "written.gguf", metadata=settings)
    result, expected = _ask(tiny_random, **settings), _ask(written)
    assert result.text == expected.text
    assert result.usage == expected.usage
    if key != "llama.logit_scale":  # which Llama does not have
        assert expected.text != _ask(tiny_random).text


def test_what_is_read_here_is_overridden_too(tiny_random: Path) -> None:
    template = "{{ messages[0].content }}!"
    chat = [{"role": "user", "content": "Hi"}]
    result = _ask(tiny_random, chat, tokenizer__chat_template=template)
    assert result.usage is not None
    assert result.usage.prompt_tokens == 3
    assert warm_up(str(tiny_random), kv_overrides={"llama.context_length": 777}).n_ctx == 777


def test_tokens_are_counted_with_the_overrides(tiny_random: Path) -> None:
    plain = count_tokens(call(tiny_random, "Hello"))
    load = {"kv_overrides": {"tokenizer.ggml.add_bos_token": True}}
    assert count_tokens(call(tiny_random, "Hello", load=load)) == plain + 1
    assert count_tokens(call(tiny_random, "Hello")) == plain


def test_order_does_not_matter_and_kinds_do() -> None:
    def parsed(**overrides: Any) -> LoadOptions:
        return LoadOptions.parse({"kv_overrides": overrides})

    assert parsed(a=1, b=2) == parsed(b=2, a=1)
    assert hash(parsed(a=1)) == hash(parsed(a=1))
    assert len({parsed(a=1), parsed(a=True), parsed(a=1.0)}) == 3
    assert parsed() == LoadOptions()


def test_every_kind_reaches_llama_cpp() -> None:
    lib = native.library()
    given = {"a": True, "b": 2**32 - 1, "c": 0.25, "d": "ü" * 63}
    array = native_overrides(lib, LoadOptions.parse({"kv_overrides": given}).kv_overrides)
    assert [one.key for one in array] == [b"a", b"b", b"c", b"d", b""]
    assert array[0].tag == lib.LLAMA_KV_OVERRIDE_TYPE_BOOL
    assert array[0].value.val_bool is True
    assert array[1].tag == lib.LLAMA_KV_OVERRIDE_TYPE_INT
    assert array[1].value.val_i64 == 2**32 - 1
    assert array[2].tag == lib.LLAMA_KV_OVERRIDE_TYPE_FLOAT
    assert array[2].value.val_f64 == 0.25
    assert array[3].tag == lib.LLAMA_KV_OVERRIDE_TYPE_STR
    assert array[3].value.val_str == ("ü" * 63).encode()


@pytest.mark.parametrize(
    "given",
    [
        5,
        "a=1",
        ["a"],
        {"": 1},
        {5: 1},
        {"a" * 128: 1},
        {"ü" * 64: 1},
        {"a\0b": 1},
        {"\ud800": 1},
        {"a": -1},
        {"a": 2**32},
        {"a": float("nan")},
        {"a": float("inf")},
        {"a": 1e39},
        {"a": "x" * 128},
        {"a": "x\0"},
        {"a": "\ud800"},
        {"a": b"x"},
        {"a": [1]},
        {"a": None},
        {"tokenizer.ggml.model": "llama"},
    ],
)
def test_what_cannot_be_a_setting_is_refused(given: object) -> None:
    with pytest.raises(BadRequestError, match="kv_overrides"):
        LoadOptions.parse({"kv_overrides": given})


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("llama.block_count", 2.0, "the type int"),
        ("llama.block_count", True, "the type int"),
        ("llama.rope.dimension_count", "32", "the type int"),
        ("tokenizer.ggml.add_bos_token", 1, "the type bool"),
        ("llama.attention.layer_norm_rms_epsilon", 1, "the type float"),
        ("tokenizer.ggml.tokens", "x", "the type list"),
        ("tokenizer.ggml.token_type", 1, "the type list"),
    ],
)
def test_another_type_than_in_the_file_is_refused(
    tiny_random: Path, key: str, value: Any, said: str
) -> None:
    with pytest.raises(BadRequestError, match=said) as raised:
        _ask(tiny_random, **{key: value})
    assert key in raised.value.message


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("llama.block_count", 0),
        ("llama.block_count", 513),
        ("llama.embedding_length", 32),
        ("llama.expert_count", 8),
        ("llama.attention.head_count", 70_000),
        ("llama.attention.layer_norm_rms_epsilon", -1.0),
        ("llama.rope.scaling.type", "magic"),
        ("general.type", "adapter"),
        ("general.architecture", ""),
        ("general.architecture", "qwen3"),
    ],
)
def test_what_is_refused_in_a_file_is_refused(tiny_random: Path, key: str, value: Any) -> None:
    with pytest.raises(ModelFileError):
        _ask(tiny_random, **{key: value})
