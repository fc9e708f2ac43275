"""LoRA adapters beside a tiny model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from calls_here import Result, call, run

from llmroute.errors import BadRequestError, ModelFileError, NotFoundError
from llmroute.testing.tiny_gguf import write_random
from llmroute.testing.tiny_lora import lora_changes, write_lora

pytest.importorskip("llama_cpp")
pytestmark = [pytest.mark.native, pytest.mark.usefixtures("unloaded")]


def _scores(result: Result) -> list[float]:
    return [token.logprob for token in result.logprobs[0]]


def _ask(model: Path, **load: Any) -> Result:
    return run(call(model, "Once upon a time", max_tokens=12, logprobs=True, load=load))


@pytest.mark.parametrize("scale", [1.0, 0.5, -1.0])
def test_a_model_with_an_adapter_is_the_model_it_was_merged_into(
    tmp_path: Path, tiny_random: Path, scale: float
) -> None:
    adapter = write_lora(tmp_path / "lora.gguf", seed=3)
    merged = write_random(tmp_path / "merged.gguf", changes=lora_changes(3, scale))
    plain, expected = _ask(tiny_random), _ask(merged)
    adapted = _ask(tiny_random, lora_path=adapter, lora_scale=scale)
    assert adapted.text == expected.text != plain.text
    assert _scores(adapted) == pytest.approx(_scores(expected), abs=1e-3)
    assert _ask(tiny_random).text == plain.text  # the model itself is another one


def test_an_adapter_that_changed_is_loaded_anew(tmp_path: Path, tiny_random: Path) -> None:
    adapter = write_lora(tmp_path / "lora.gguf", seed=3)
    first = _ask(tiny_random, lora_path=adapter).text
    assert _ask(tiny_random, lora_path=write_lora(adapter, seed=4)).text != first
    assert _ask(tiny_random, lora_path=write_lora(adapter, seed=3)).text == first


def test_a_scale_of_zero_changes_nothing(tmp_path: Path, tiny_random: Path) -> None:
    adapter = write_lora(tmp_path / "lora.gguf")
    assert _ask(tiny_random, lora_path=adapter, lora_scale=0).text == _ask(tiny_random).text


def test_a_missing_adapter_is_told(tiny_random: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"lora\.gguf"):
        _ask(tiny_random, lora_path=tmp_path / "lora.gguf")


@pytest.mark.parametrize(
    ("load", "said"),
    [
        ({"lora_scale": 0.5}, "lora_path"),
        ({"lora_path": 5}, "lora_path"),
        ({"lora_path": "x.gguf", "lora_scale": float("nan")}, "lora_scale"),
        ({"lora_path": "x.gguf", "lora_scale": "1"}, "lora_scale"),
    ],
)
def test_bad_values_are_refused(tiny_random: Path, load: dict[str, Any], said: str) -> None:
    with pytest.raises(BadRequestError, match=said):
        _ask(tiny_random, **load)


Q, A, B = "blk.0.attn_q.weight", "blk.0.attn_q.weight.lora_a", "blk.0.attn_q.weight.lora_b"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"metadata": {"general.type": "model"}}, "no LoRA adapter"),
        ({"metadata": {"general.type": 5}}, "no LoRA adapter"),
        ({"metadata": {"adapter.type": "control_vector"}}, "no LoRA adapter"),
        ({"metadata": {"general.architecture": "qwen3"}}, "'qwen3'"),
        ({"metadata": {"general.architecture": 5}}, "architecture"),
        ({"metadata": {"adapter.lora.alpha": 8}}, "alpha"),
        ({"metadata": {"adapter.lora.alpha": "8"}}, "alpha"),
        ({"metadata": {"adapter.alora.invocation_tokens": [1, 2]}}, "activated"),
        ({"shapes": {A: None}}, "two matrices"),
        ({"shapes": {B: None}}, "two matrices"),
        ({"shapes": {A: (64, 5)}}, "does not fit"),
        ({"shapes": {A: (63, 4)}}, "does not fit"),
        ({"shapes": {A: (64, 4, 2)}}, "does not fit"),
        ({"shapes": {B: (4, 64, 2)}}, "does not fit"),
        ({"shapes": {B: (5, 64)}}, "does not fit"),
        ({"shapes": {B: (4,)}}, "does not fit"),
        ({"shapes": {"blk.7.attn_q.weight.lora_a": (64, 4)}}, "two matrices"),
        ({"shapes": {"x.lora_a": (64, 4), "x.lora_b": (4, 64)}}, "no tensor 'x'"),
        ({"shapes": {"blk.0.attn_q.weight": (64, 64)}}, "no part of a LoRA"),
        ({"shapes": {".lora_a": (64, 4)}}, "no part of a LoRA"),
        (
            {"shapes": {"token_embd.weight.lora_a": (64, 4), "token_embd.weight.lora_b": (4, 265)}},
            "does not fit",
        ),
        (
            {"shapes": {"token_embd.weight.lora_a": (3, 265), "token_embd.weight.lora_b": (4, 64)}},
            "does not fit",
        ),
    ],
)
def test_what_does_not_fit_is_refused(
    tiny_random: Path, tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    adapter = write_lora(tmp_path / "lora.gguf", **changed)
    with pytest.raises(ModelFileError, match=said):
        _ask(tiny_random, lora_path=adapter)


def test_an_adapter_may_change_the_embedding(tiny_random: Path, tmp_path: Path) -> None:
    shapes = {"token_embd.weight.lora_a": (4, 265), "token_embd.weight.lora_b": (4, 64)}
    adapter = write_lora(tmp_path / "lora.gguf", shapes=shapes)
    assert _ask(tiny_random, lora_path=adapter).text


def test_the_models_own_file_is_no_adapter(tiny_random: Path) -> None:
    with pytest.raises(ModelFileError, match="no LoRA adapter"):
        _ask(tiny_random, lora_path=tiny_random)
