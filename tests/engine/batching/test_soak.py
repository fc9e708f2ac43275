"""Some hundred mixed requests at once on every kind of model, in a process of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("llama_cpp")
pytestmark = pytest.mark.native

_SOAK = Path(__file__).parents[3] / "benchmarks" / "soak.py"


@pytest.mark.parametrize("model", ["plain", "drafts", "recurrent", "hybrid"])
def test_every_request_ends_in_its_right_answer_or_its_own_error(model: str) -> None:
    command = [sys.executable, str(_SOAK), "--requests", "300", "--model", model]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "300 requests in" in done.stdout
    assert "0 wrong" in done.stdout
