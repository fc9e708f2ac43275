"""How many answers are generated at once, where nobody says."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmroute.engine.gguf.check import read_header
from llmroute.engine.memory import machine
from llmroute.engine.memory.parallel import choose_parallel
from llmroute.engine.options.load import LoadOptions
from llmroute.testing.tiny_gguf import write_random


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 8),
        ({"n_ctx": 300}, 4),
        ({"n_ctx": 100_000}, 16),
        ({"n_ctx": 100_000, "n_batch": 10}, 10),
        ({"n_batch": 2}, 2),
        ({"n_parallel": 1}, 1),
        ({"n_parallel": 40}, 40),
    ],
    ids=str,
)
def test_choose_parallel_follows_the_window(
    tmp_path: Path, options: dict[str, int], expected: int
) -> None:
    header = read_header(write_random(tmp_path / "model.gguf", n_ctx=2048))
    assert choose_parallel(header, LoadOptions(**options)) == expected  # type: ignore[arg-type]


def test_choose_parallel_takes_a_small_part_of_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = read_header(write_random(tmp_path / "model.gguf", n_ctx=8192))
    monkeypatch.setattr(machine, "free_memory", lambda: 1 << 20)
    assert 4 <= choose_parallel(header, LoadOptions()) < 16
    monkeypatch.setattr(machine, "free_memory", lambda: None)
    assert choose_parallel(header, LoadOptions()) == 16
