"""The page of providers is what the rows say, and the tutorial's claims about size hold."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from llmroute import errors
from llmroute.providers import gateways, provider_names, table
from llmroute.providers.gateways import GATEWAYS
from llmroute.providers.openai_like import OpenAILike

ROOT = Path(__file__).parents[2]
TUTORIAL = (ROOT / "docs" / "add_a_provider.md").read_text("utf-8")


def block(language: str, *, holding: str) -> str:
    """The tutorial's block that holds a text."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", TUTORIAL, re.MULTILINE | re.DOTALL)
    return next(str(text) for text in found if holding in text)


def test_the_table_is_up_to_date() -> None:
    hint = "run: python -m llmroute.providers.table --write"
    assert table.updated(table.PAGE.read_text("utf-8")) == table.PAGE.read_text("utf-8"), hint


def test_every_provider_is_on_the_page() -> None:
    page = table.PAGE.read_text("utf-8")
    assert [n for n in provider_names() if f"`{n}/`" not in page and n != "mock"] == []


def test_the_page_of_calls_names_every_error_that_a_call_raises() -> None:
    page = (ROOT / "docs" / "calls.md").read_text("utf-8")
    raised = {
        kind.__name__
        for kind in vars(errors).values()
        if errors.LLMRouteError in getattr(kind, "__mro__", ())
    }
    assert [n for n in raised if f"`{n}" not in page and n != "BudgetExceededError"] == []


def test_the_table_can_be_written_and_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "index.md"
    page.write_text(f"before\n{table.BEGIN}old\n{table.END}after\n")
    monkeypatch.setattr(table, "PAGE", page)
    assert table.main([]) == 1
    assert page.read_text().count("old") == 1
    assert table.main(["--write"]) == 0
    assert page.read_text() == f"before\n{table.BEGIN}{table.table()}{table.END}after\n"
    assert table.main([]) == 0


def test_a_gateway_takes_three_lines() -> None:
    row = block("text", holding="_hosted(")
    assert len(row.splitlines()) == 3
    (provider,) = eval(f"({row})", vars(gateways))
    assert isinstance(provider, OpenAILike)
    assert provider.name not in GATEWAYS


def test_a_foreign_wire_shape_takes_one_file_under_80_lines() -> None:
    assert len(block("python", holding="class Parrot(Provider)").splitlines()) < 80


CALL = """
import sys
from llmroute import completion
from llmroute.providers import provider_names
assert "parrot" in provider_names()
assert "llmroute_parrot" not in sys.modules  # imported when somebody calls it
try:
    completion("parrot/grey", "Hi", api_base="http://127.0.0.1:1", num_retries=0, api_key="k")
except Exception as error:
    print(type(error).__name__, error.provider, error.url)
"""


def test_a_package_of_its_own_is_found_when_it_is_installed(tmp_path: Path) -> None:
    source, installed = tmp_path / "source", tmp_path / "installed"
    (source / "llmroute_parrot").mkdir(parents=True)
    project = block("toml", holding="[project]")
    code = block("python", holding="class Parrot(Provider)")
    (source / "pyproject.toml").write_text(project)
    (source / "llmroute_parrot" / "__init__.py").write_text(code)
    assert tomllib.loads(project)["project"]["entry-points"]["llmroute.providers"]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    pip += ["--no-build-isolation", "--disable-pip-version-check", "--target", str(installed)]
    subprocess.run([*pip, str(source)], check=True, timeout=120)
    done = subprocess.run(
        [sys.executable, "-c", CALL],
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{installed}"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "APIConnectionError parrot http://127.0.0.1:1/grey/talk\n", done.stderr
