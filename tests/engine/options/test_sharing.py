"""Which calls share a loaded model, and what is said when one is loaded once more."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from calls_here import call, run

from llmroute import embedding
from llmroute.local_models import loaded_models, unload
from llmroute.testing.tiny_gguf import write_random

pytest.importorskip("llama_cpp")
pytestmark = pytest.mark.native


@pytest.fixture(autouse=True)
def nothing_loaded() -> Iterator[None]:
    unload()
    yield
    unload()


_ONCE_MORE = "A model is loaded once more"


def _load(model: Path, **load: object) -> int:
    run(call(model, max_tokens=1, load=load))
    return len(loaded_models())


def test_a_call_without_options_uses_the_model_that_is_loaded(tiny_random: Path) -> None:
    options = {"n_ctx": 512, "n_parallel": 2, "n_threads": 1}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert _load(tiny_random, **options) == 1
        assert _load(tiny_random) == 1
        assert _load(tiny_random, n_ctx=512) == 1


def test_a_call_that_asks_for_what_was_chosen_uses_it_too(tmp_path: Path) -> None:
    model = write_random(tmp_path / "model.gguf", n_ctx=1024)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert _load(model) == 1
        assert _load(model, n_ctx=1024, n_parallel=4) == 1


@pytest.mark.parametrize(
    "load",
    [{"n_ctx": 300}, {"n_batch": 64}, {"rope_freq_base": 5000.0}, {"prefix_cache": False}],
    ids=str,
)
def test_a_model_that_is_loaded_once_more_is_told_of(
    tiny_random: Path, load: dict[str, object]
) -> None:
    _load(tiny_random)
    with pytest.warns(UserWarning, match=f"{_ONCE_MORE}.*{next(iter(load))}=") as told:
        assert _load(tiny_random, **load) == 2
    assert "register_local_model" in str(told[0].message)


def test_options_that_change_answers_are_not_left_open(tiny_random: Path) -> None:
    _load(tiny_random, rope_freq_base=5000.0)
    with pytest.warns(UserWarning, match="rope_freq_base=None"):
        assert _load(tiny_random) == 2


def test_a_model_for_vectors_is_another_one(tiny_random: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _load(tiny_random)
        embedding(f"llamacpp/{tiny_random}", "Once", model_kwargs={"n_threads": 1})
    assert len(loaded_models()) == 2
