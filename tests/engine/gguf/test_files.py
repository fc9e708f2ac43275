"""Finding the file behind a local model's name."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmroute.engine.gguf.files import find_model, register_local_model, registered_options
from llmroute.errors import NotFoundError
from llmroute.runtime import Runtime, use


@pytest.fixture
def models(tmp_path, monkeypatch) -> Path:
    """A models folder: `one.gguf`, `family/two.gguf`, `family/three.gguf`."""
    folder = tmp_path / "models"
    (folder / "family").mkdir(parents=True)
    for name in ("one", "family/two", "family/three"):
        (folder / f"{name}.gguf").touch()
    monkeypatch.setenv("LLMROUTE_MODELS_DIR", str(folder))
    return folder


@pytest.fixture(autouse=True)
def no_aliases():
    with use(Runtime()):
        yield


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("one.gguf", "one.gguf"),
        ("one", "one.gguf"),
        ("family/two.gguf", "family/two.gguf"),
        ("family/two", "family/two.gguf"),
        ("three", "family/three.gguf"),
        ("three.gguf", "family/three.gguf"),
    ],
)
def test_names_in_the_models_folder(models, name, found):
    assert find_model(name) == models / found


def test_several_folders_first_one_wins(models, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "one.gguf").touch()
    environ = {"LLMROUTE_MODELS_DIR": f"{other}:{models}"}
    assert find_model("one", environ) == other / "one.gguf"
    assert find_model("two", environ) == models / "family/two.gguf"


def test_paths(models, tmp_path, monkeypatch):
    absolute = models / "one.gguf"
    assert find_model(str(absolute)) == absolute
    assert find_model(absolute) == absolute
    monkeypatch.chdir(models / "family")
    assert find_model("two.gguf") == find_model("two") == Path("two.gguf")
    assert find_model(str(models / "one")) == absolute
    monkeypatch.setenv("HOME", str(models))
    assert find_model("~/one.gguf") == absolute


def test_the_current_folder_wins_over_the_models_folder(models, tmp_path, monkeypatch):
    (tmp_path / "one.gguf").touch()
    monkeypatch.chdir(tmp_path)
    assert find_model("one.gguf") == Path("one.gguf")


def test_aliases_bring_their_options(models, monkeypatch):
    monkeypatch.setenv("HOME", str(models))
    register_local_model("mine", models / "one.gguf", n_ctx=512)
    assert find_model("mine") == models / "one.gguf"
    assert registered_options("mine") == {"n_ctx": 512}
    register_local_model("mine", "~/one.gguf")
    assert find_model("mine") == models / "one.gguf"
    assert registered_options("mine") == registered_options("one") == {}


def test_an_alias_whose_file_is_gone_is_told(models):
    register_local_model("mine", models / "gone.gguf")
    with pytest.raises(NotFoundError, match="'mine' was registered for"):
        find_model("mine")


def test_a_folder_is_found_so_that_it_can_be_refused(models):
    assert find_model(str(models)) == models


@pytest.mark.parametrize(
    ("name", "near"),
    [("tow", "'two'"), ("thre.gguf", "'three'"), ("{models}/onee.gguf", "/one'")],
)
def test_near_matches(models, name, near):
    with pytest.raises(NotFoundError) as caught:
        find_model(name.format(models=models))
    assert "Did you mean" in caught.value.message
    assert near in caught.value.message
    assert str(models) in caught.value.message


def test_files_of_the_same_folder_are_not_near_for_that(models):
    with pytest.raises(NotFoundError) as caught:
        find_model(f"{models}/llama-3.2-1b-instruct-q4_k_m.gguf")
    assert "Did you mean" not in caught.value.message


@pytest.mark.parametrize(
    "name", ["", "a\0b", "a\0b/c", "nothing-like-it", "../up.gguf", "/no/such/x.gguf"]
)
def test_missing_models_say_where_was_looked(name):
    with pytest.raises(NotFoundError) as caught:
        find_model(name)
    message = caught.value.message
    assert "registered alias" in message
    assert "LLMROUTE_MODELS_DIR is not set" in message
    assert "Did you mean" not in message


@pytest.mark.parametrize(
    "name", ["a" * 5000, "/" + "b/" * 5000, "a\ud800", "a\0", "~nosuchuser/x", "/dev/zero"]
)
def test_find_model_has_one_error_for_every_name_without_a_file(name: str) -> None:
    with pytest.raises(NotFoundError) as raised:
        find_model(name)
    assert len(raised.value.message) < 1000
