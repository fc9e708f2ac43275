"""Models whose scores are no numbers."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from calls_here import Runner, call

from llmroute.errors import ModelFileError
from llmroute.testing.tiny_gguf import write_random

pytest.importorskip("llama_cpp")
pytestmark = [pytest.mark.native, pytest.mark.usefixtures("unloaded")]


@pytest.mark.parametrize("temperature", [0, 1])
def test_scores_that_are_nan_are_an_error(
    runner: Runner, tmp_path: Path, temperature: float
) -> None:
    model = write_random(tmp_path / "model.gguf", changes={"output_norm.weight": [math.nan] * 64})
    with pytest.raises(ModelFileError, match="NaN"):
        runner(call(model, "Once", max_tokens=4, temperature=temperature))
