"""The wheel and the sdist: what is in them, what they need, and that they build the same twice."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BASE = ["httpx", "pydantic", "tenacity", "tiktoken"]


def build(into: Path) -> dict[str, Path]:
    """Builds both with the installed hatchling, without any network."""
    environ = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(into), str(ROOT)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return {path.suffix: path for path in into.iterdir()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return build(tmp_path_factory.mktemp("dist"))


def test_both_build_the_same_twice(built: dict[str, Path], tmp_path: Path) -> None:
    again = build(tmp_path)
    for kind in (".whl", ".gz"):
        digests = {hashlib.sha256(d[kind].read_bytes()).hexdigest() for d in (built, again)}
        assert len(digests) == 1, f"the {kind} differs"


def test_what_the_wheel_holds_and_needs(built: dict[str, Path]) -> None:
    with zipfile.ZipFile(built[".whl"]) as wheel:
        names = wheel.namelist()
        metadata = message_from_bytes(
            wheel.read(next(name for name in names if name.endswith(".dist-info/METADATA")))
        )
    needs = [need for need in metadata.get_all("Requires-Dist", []) if "extra ==" not in need]
    assert sorted(need.split("<")[0].split(">")[0] for need in needs) == BASE
    assert metadata["License-Expression"] == "MIT"
    for name in (
        "llmroute/__init__.pyi",
        "llmroute/py.typed",
        "llmroute/model_prices.json",
        "haystack_integrations/components/generators/llmroute/__init__.py",
    ):
        assert name in names
    strays = [n for n in names if not n.startswith(("llmroute", "haystack_integrations/"))]
    assert strays == []
    # Other packages live in these folders too: an __init__.py in one of them would hide the others.
    for namespace in ("", "components/", "components/generators/"):
        assert f"haystack_integrations/{namespace}__init__.py" not in names


def test_the_sdist_builds_a_wheel(built: dict[str, Path], tmp_path: Path) -> None:
    with tarfile.open(built[".gz"]) as sdist:
        sdist.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    for name in (
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "Makefile",
        ".ci",
        "model_prices.json",
        "tests",
    ):
        assert (source / name).exists(), name
    command = [sys.executable, "-m", "build", "--no-isolation", "--wheel", str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_installed_wheel_works_on_its_own(built: dict[str, Path], tmp_path: Path) -> None:
    """From the wheel alone, not from this folder: the registry finds its file."""
    target = tmp_path / "site"
    with zipfile.ZipFile(built[".whl"]) as wheel:
        wheel.extractall(target)
    code = (
        f"import sys; sys.path.insert(0, {str(target)!r})\n"
        "import llmroute\n"
        f"assert llmroute.__file__.startswith({str(target)!r})\n"
        "print(llmroute.get_model_info('meta/muse-spark-1.1').max_input_tokens)\n"
        "print(llmroute.completion('openai/x', 'hi', mock_response='Hello').text)\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.stdout.split() == ["1048576", "Hello"], done.stderr


def test_without_the_extra_every_name_loads_and_headers_can_be_read(
    tiny_random: Path, tmp_path: Path
) -> None:
    code = (
        "import sys\n"
        "for name in ('llama_cpp', 'numpy', 'jinja2'): sys.modules[name] = None\n"
        "from llmroute import *\n"
        f"print(get_model_info('llamacpp/{tiny_random}').max_input_tokens)\n"
        "try: loaded_models()\n"
        "except MissingExtraError as error: print(error.extra)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False
    )
    window, extra = done.stdout.split()
    assert int(window) > 0
    assert extra == "llamacpp"
