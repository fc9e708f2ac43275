"""The context window a model gets: whatever its file says of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmroute.engine.gguf.check import read_header
from llmroute.engine.memory.window import choose
from llmroute.engine.options.load import LoadOptions
from llmroute.testing.tiny_gguf import write_random


@pytest.mark.parametrize("claimed", [2**20, 2**31 - 1, 2**32 - 1])
def test_choose_bounds_the_window_of_a_small_file(tmp_path: Path, claimed: int) -> None:
    model = write_random(tmp_path / "model.gguf", n_ctx=claimed)
    window = choose(read_header(model), LoadOptions())
    assert 2048 <= window <= 200_000


def test_choose_keeps_the_window_a_file_was_trained_for(tmp_path: Path) -> None:
    model = write_random(tmp_path / "model.gguf", n_ctx=8192)
    assert choose(read_header(model), LoadOptions()) == 8192
