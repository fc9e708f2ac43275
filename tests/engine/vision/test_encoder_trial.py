"""Image encoders are tried in a process of their own before this one loads them."""

from __future__ import annotations

import logging
import multiprocessing.spawn as spawn
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmroute.engine.vision.encoder_trial import try_encoder
from llmroute.errors import ModelFileError, NotFoundError
from llmroute.testing.tiny_mmproj import write_mmproj

pytest.importorskip("llama_cpp")
pytestmark = pytest.mark.native


@pytest.fixture
def no_interpreter(tmp_path: Path) -> Iterator[None]:
    """No process can be started."""
    before = spawn.get_executable()
    spawn.set_executable(str(tmp_path / "nothing"))
    yield
    spawn.set_executable(before)


def _on(_progress: float) -> bool:
    return True


def test_what_llama_cpp_asserts_is_in_the_error(tiny_random: Path, tmp_path: Path) -> None:
    encoder = write_mmproj(
        tmp_path / "mmproj.gguf", metadata={"clip.projector_type": "qwen2vl_merger"}
    )
    for _ in range(2):  # a failure is not remembered
        with pytest.raises(ModelFileError, match=r"class_embedding == nullptr") as raised:
            try_encoder(tiny_random, encoder, _on)
        assert "qwen2vl.cpp" in raised.value.message
        assert raised.value.url == str(encoder)


def test_a_missing_encoder_is_not_tried(tiny_random: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        try_encoder(tiny_random, tmp_path / "mmproj.gguf", _on)


@pytest.mark.usefixtures("no_interpreter")
def test_an_encoder_that_cannot_be_tried_is_loaded_with_a_warning(
    tiny_random: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    encoder = write_mmproj(tmp_path / "mmproj.gguf")
    with caplog.at_level(logging.WARNING, "llmroute.engine"):
        try_encoder(tiny_random, encoder, _on)
    (record,) = caplog.records
    assert "was not tried" in record.message
    assert "nothing" in record.message


def test_it_is_tried_again_only_when_a_file_changes(
    tiny_random: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    request: pytest.FixtureRequest,
) -> None:
    encoder = write_mmproj(tmp_path / "mmproj.gguf")
    try_encoder(tiny_random, encoder, _on)
    request.getfixturevalue("no_interpreter")
    with caplog.at_level(logging.WARNING, "llmroute.engine"):
        try_encoder(tiny_random, encoder, _on)
        assert not caplog.records
        os.utime(encoder, (1, 1))
        try_encoder(tiny_random, encoder, _on)
        assert caplog.records


def test_a_trial_ends_when_nobody_waits_for_the_model(
    tiny_random: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    asked = []

    def go_on(progress: float) -> bool:
        asked.append(progress)
        return len(asked) < 3

    damaged = write_mmproj(tmp_path / "m.gguf", metadata={"clip.projector_type": "qwen2vl_merger"})
    with caplog.at_level(logging.WARNING, "llmroute.engine"):
        try_encoder(tiny_random, damaged, go_on)
    assert not caplog.records


def test_a_path_may_have_quotes_and_letters_of_any_script(tmp_path: Path) -> None:
    from llmroute.testing.tiny_gguf import write_random

    model = write_random(tmp_path / 'it\'s "größer".gguf')
    try_encoder(model, write_mmproj(tmp_path / "mmproj 日本語'.gguf"), _on)
