"""Load options: what llama-cpp-python's users pass, and what of it reaches llama.cpp."""

from __future__ import annotations

import inspect
import logging
import math
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from calls_here import Result, call, run

from llmroute.engine import native
from llmroute.engine.gguf.check import read_header
from llmroute.engine.model.params import context_params, warn_about_gpu, weights_params
from llmroute.engine.options.llama_cpp_python import INSTEAD, is_neutral
from llmroute.engine.options.load import LoadOptions
from llmroute.errors import BadRequestError, ModelFileError, UnsupportedParamsError
from llmroute.testing.tiny_gguf import write_random

pytest.importorskip("llama_cpp")
pytestmark = [pytest.mark.native, pytest.mark.usefixtures("unloaded")]


def parsed(**given: Any) -> LoadOptions:
    return LoadOptions.parse(given)


def _ask(model: Path, **load: Any) -> Result:
    return run(call(model, "Once upon a time there", max_tokens=12, logprobs=True, load=load))


def _scores(result: Result) -> list[float]:
    return [token.logprob for token in result.logprobs[0]]


def test_every_argument_of_llama_cpp_python_is_known() -> None:
    from llama_cpp import Llama

    names = {
        name
        for name, parameter in inspect.signature(Llama.__init__).parameters.items()
        if parameter.kind is not parameter.VAR_KEYWORD and name not in ("self", "draft_model")
    }
    for name in names:
        if is_neutral(name, object()):
            continue
        with pytest.raises(BadRequestError) as raised:
            parsed(**{name: object()})
        assert raised.value.param == name
        if isinstance(raised.value, UnsupportedParamsError):  # else a value that cannot be
            assert INSTEAD[name] in raised.value.message


def test_its_defaults_are_taken() -> None:
    from llama_cpp import Llama

    parameters = inspect.signature(Llama.__init__).parameters
    defaults = {
        name: parameter.default
        for name, parameter in parameters.items()
        if parameter.default is not parameter.empty
    }
    # Only what a call takes, and what there is nothing to scale for.
    for name in ("seed", "lora_scale", "draft_model"):
        defaults.pop(name)
    options = LoadOptions.parse(defaults)
    assert (options.n_ctx, options.n_gpu_layers, options.split_mode) == (512, 0, "layer")
    assert (options.rope_scaling_type, options.pooling, options.numa) == (None, None, None)
    assert (options.rope_freq_base, options.yarn_ext_factor, options.yarn_orig_ctx) == (None,) * 3
    assert (options.yarn_attn_factor, options.yarn_beta_fast) == (1.0, 32.0)


@pytest.mark.parametrize(
    ("given", "name", "value"),
    [
        ({"split_mode": 2}, "split_mode", "row"),
        ({"split_mode": "none"}, "split_mode", "none"),
        ({"tensor_split": [3, 1]}, "tensor_split", (3.0, 1.0)),
        ({"numa": True}, "numa", "distribute"),
        ({"numa": False}, "numa", None),
        ({"numa": 0}, "numa", None),
        ({"numa": 3}, "numa", "numactl"),
        ({"numa": "isolate"}, "numa", "isolate"),
        ({"rope_scaling_type": 2}, "rope_scaling_type", "yarn"),
        ({"rope_scaling_type": -1}, "rope_scaling_type", None),
        ({"rope_freq_base": 0}, "rope_freq_base", None),
        ({"yarn_ext_factor": -1.0}, "yarn_ext_factor", None),
        ({"yarn_ext_factor": 0}, "yarn_ext_factor", 0.0),
        ({"n_ctx": 0}, "n_ctx", None),
        ({"type_k": 8}, "type_k", "q8_0"),
        ({"type_v": 1}, "type_v", "f16"),
        ({"embedding": True, "pooling_type": 3}, "pooling", "last"),
        ({"pooling_type": -1}, "pooling", None),
    ],
)
def test_its_spellings_are_understood(given: dict[str, Any], name: str, value: object) -> None:
    assert getattr(parsed(**given), name) == value


@pytest.mark.parametrize(
    "given",
    [
        {"split_mode": 3},
        {"split_mode": True},
        {"split_mode": "rows"},
        {"tensor_split": []},
        {"tensor_split": [0, 0.0]},
        {"tensor_split": [-1]},
        {"tensor_split": [math.nan]},
        {"tensor_split": [1] * 129},
        {"tensor_split": "1,2"},
        {"tensor_split": 1},
        {"offload_kqv": 1},
        {"op_offload": "yes"},
        {"check_tensors": 1},
        {"numa": 4},
        {"numa": -1},
        {"numa": "mirror"},
        {"numa": 1.0},
        {"rope_scaling_type": 4},
        {"rope_scaling_type": "magic"},
        {"rope_scaling_type": []},
        {"rope_freq_base": -1},
        {"rope_freq_scale": True},
        {"yarn_ext_factor": math.nan},
        {"yarn_attn_factor": math.inf},
        {"yarn_beta_fast": "1"},
        {"yarn_beta_slow": 1e7},
        {"yarn_orig_ctx": -1},
        {"yarn_orig_ctx": 2**32},
        {"yarn_orig_ctx": 1.5},
        {"type_k": 9},
        {"type_k": True},
        {"pooling_type": 0},
        {"vocab_only": True},
        {"spm_infill": 1},
        {"attention_type": 1},
        {"last_n_tokens_size": 32},
        {"seed": 1},
        {"chat_format": "chatml"},
    ],
)
def test_bad_values_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(BadRequestError) as raised:
        LoadOptions.parse(given)
    assert next(iter(given)) in str(raised.value.param)


def test_the_structs_carry_what_is_for_gpus() -> None:
    lib = native.library()
    options = parsed(n_gpu_layers=7, main_gpu=1, split_mode="row", tensor_split=[3, 1])
    params = weights_params(lib, options)
    assert (params.n_gpu_layers, params.main_gpu) == (7, 1)
    assert params.split_mode == lib.LLAMA_SPLIT_MODE_ROW
    most = lib.llama_max_devices()
    assert params.tensor_split[:most] == [3.0, 1.0] + [0.0] * (most - 2)
    for mode in ("none", "layer"):
        params = weights_params(lib, parsed(split_mode=mode))
        assert params.split_mode == getattr(lib, f"LLAMA_SPLIT_MODE_{mode.upper()}")
    with pytest.raises(BadRequestError, match=f"more than {most}"):
        weights_params(lib, parsed(tensor_split=[1] * (most + 1)))


@pytest.mark.parametrize("value", [True, False])
def test_the_context_carries_what_is_for_gpus(tiny_random: Path, value: bool) -> None:
    options = parsed(offload_kqv=value, op_offload=value)
    params = _context(tiny_random, options)
    assert (params.offload_kqv, params.op_offload) == (value, value)
    default = native.library().llama_context_default_params()
    params = _context(tiny_random, LoadOptions())
    assert (params.offload_kqv, params.op_offload) == (default.offload_kqv, default.op_offload)


def _context(path: Path, options: LoadOptions) -> Any:
    lib = native.library()
    model = lib.llama_model_load_from_file(bytes(path), lib.llama_model_default_params())
    try:
        return context_params(lib, model, read_header(path), options, 256, native.Flag())
    finally:
        lib.llama_model_free(model)


def test_one_warning_tells_what_has_no_effect_without_a_gpu(
    caplog: pytest.LogCaptureFixture,
) -> None:
    lib = native.library()
    if lib.llama_supports_gpu_offload():
        pytest.skip("llama-cpp-python is built with GPU support")
    with caplog.at_level(logging.WARNING, "llmroute.engine"):
        warn_about_gpu(lib, parsed(n_gpu_layers=0, main_gpu=0, offload_kqv=False))
        assert not caplog.records
        warn_about_gpu(lib, parsed(n_gpu_layers=-1, tensor_split=[1], split_mode=2))
    (record,) = caplog.records
    assert "n_gpu_layers=-1, split_mode='row', tensor_split=(1.0,): no effect" in record.message


def test_options_for_gpus_do_not_change_a_text(tiny_random: Path) -> None:
    plain = _ask(tiny_random)
    options = {"split_mode": "none", "tensor_split": [1, 2], "offload_kqv": False}
    assert _ask(tiny_random, op_offload=False, main_gpu=3, **options).text == plain.text


_YARN = {"rope_scaling_type": "yarn", "rope_freq_scale": 0.25, "yarn_orig_ctx": 64}


@pytest.mark.parametrize(
    ("load", "settings"),
    [
        (
            {"rope_scaling_type": "linear", "rope_freq_scale": 0.5},
            {"type": "linear", "factor": 2.0},
        ),
        (_YARN, {"type": "yarn", "factor": 4.0, "original_context_length": 64}),
    ],
)
def test_rope_scaling_is_that_of_a_file_which_says_so(
    tmp_path: Path, tiny_random: Path, load: dict[str, Any], settings: dict[str, Any]
) -> None:
    fields = {f"llama.rope.scaling.{name}": value for name, value in settings.items()}
    written = write_random(tmp_path / "scaled.gguf", metadata=fields)
    result, expected, plain = _ask(tiny_random, **load), _ask(written), _ask(tiny_random)
    assert _scores(result) == pytest.approx(_scores(expected), abs=1e-5)
    assert result.text == expected.text
    assert _scores(result) != pytest.approx(_scores(plain), abs=1e-5)
    back = _ask(written, rope_scaling_type="none", rope_freq_scale=1.0, yarn_ext_factor=0)
    assert _scores(back) == pytest.approx(_scores(plain), abs=1e-5)


@pytest.mark.parametrize(
    "more",
    [
        {"yarn_ext_factor": 0.5},
        {"yarn_ext_factor": 0, "yarn_attn_factor": 3.0},
        {"yarn_beta_fast": 4},
        {"yarn_beta_slow": 0.125},
        {"yarn_orig_ctx": 1000},
    ],
)
def test_each_option_of_yarn_has_an_effect(tiny_random: Path, more: dict[str, Any]) -> None:
    before = _YARN | ({"yarn_ext_factor": 0} if "yarn_attn_factor" in more else {})
    changed = _scores(_ask(tiny_random, **{**before, **more}))
    assert changed != pytest.approx(_scores(_ask(tiny_random, **before)), abs=1e-6)


def test_weights_that_are_no_numbers_are_found_when_asked_for(tmp_path: Path) -> None:
    broken = write_random(tmp_path / "m.gguf", changes={"blk.1.ffn_up.weight": [math.nan]})
    with pytest.raises(ModelFileError):
        _ask(broken, check_tensors=True)
    with pytest.raises(ModelFileError, match="NaN"):  # found when it is too late
        _ask(broken)


def test_a_scale_without_an_adapter_is_refused() -> None:
    with pytest.raises(BadRequestError, match="lora_path"):
        parsed(lora_scale=0.5)


STORIES = {
    "numbers at their ends": """
        for name in ("yarn_ext_factor", "yarn_attn_factor", "yarn_beta_fast", "yarn_beta_slow"):
            for value in (0, 1e-30, 1e6):
                for scaling in ("yarn", "linear", "longrope"):
                    ask(rope_scaling_type=scaling, **{name: value})
        for value in (1e-38, 1e-6, 1e6, 1e38):
            ask(rope_freq_scale=value, rope_scaling_type="yarn", yarn_orig_ctx=1)
            ask(rope_freq_base=value, rope_scaling_type="yarn", yarn_orig_ctx=2**24)
        ask(tensor_split=[1e9] * 16, split_mode=2, main_gpu=255, n_gpu_layers=2**16)
        ask(kv_overrides={"llama.rope.freq_base": 0.0, "llama.attention.scale": 3e38})
    """,
    "adapters with flipped bits": """
        import random
        from llmroute.testing.tiny_lora import write_lora
        adapter = sys.argv[1] + ".lora"
        whole, rng, refused = write_lora(adapter).read_bytes(), random.Random(1), 0
        for _ in range(150):
            damaged = bytearray(whole)
            for _ in range(2):
                damaged[rng.randrange(4, 900)] ^= 1 << rng.randrange(8)
            open(adapter, "wb").write(damaged)
            try:
                ask(lora_path=adapter)
            except ModelFileError:
                refused += 1
        assert 50 < refused < 150, refused
    """,
    "settings at their ends": """
        from llmroute.engine.gguf.header import read_any_header
        ends = {bool: (False, True), int: (0, 1, 3, 65_535, 2**31, 2**32 - 1),
                float: (0.0, -1.0, 1e-30, 3e38), str: ("", "bert", "x" * 127)}
        refused = 0
        for key, value in read_any_header(sys.argv[1]).metadata.items():
            for end in ends.get(type(value), ()):
                try:
                    ask(kv_overrides={key: end})
                except BadRequestError:
                    refused += 1
        assert refused > 20, refused
    """,
    "numa": """
        ask(numa=True)
        ask(numa="distribute", n_ctx=256)
        try:
            ask(numa="isolate")
        except BadRequestError as error:
            assert error.param == "numa" and "'distribute'" in error.message, error
        else:
            raise AssertionError
        ask()
    """,
    "numa, isolated": "ask(numa='isolate', n_threads=2)",
    "numa, by numactl": "ask(numa=3, n_threads=2)",
}


@pytest.mark.parametrize("name", STORIES)
def test_the_process_lives(name: str, tiny_random: Path) -> None:
    prelude = """
        import sys
        from llmroute import text_completion
        from llmroute.errors import *
        from llmroute.local_models import unload

        def ask(**load):
            try:
                options = {"n_threads": 1, "n_ctx": 512} | load
                answer = text_completion("llamacpp/" + sys.argv[1], "Once", max_tokens=3,
                                         temperature=0, model_kwargs=options)
            except ModelFileError as error:
                if "NaN" not in str(error):
                    raise
                return "NaN"
            finally:
                unload()
            return answer.text

        plain = ask()
    """
    story = textwrap.dedent(prelude) + textwrap.dedent(STORIES[name]) + "\nprint(ask() == plain)\n"
    here = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", story, str(tiny_random)],
        capture_output=True,
        text=True,
        timeout=120,
        env={"PYTHONPATH": str(here), "PATH": ""},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == "True"
