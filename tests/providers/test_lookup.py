"""How a prefix leads to a provider: registered, a module of ours, a row, an installed package."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import llmroute
from llmroute.errors import BadRequestError, LLMRouteError
from llmroute.providers import get_provider, provider_names, register_provider
from llmroute.providers.base import Provider
from llmroute.providers.gateways import GATEWAYS
from llmroute.providers.openai_like import OpenAILike
from llmroute.resolve import resolve
from llmroute.runtime import Runtime, use

ACME = OpenAILike(name="acme", base_url="https://acme.example/v1", key_env=("ACME_API_KEY",))


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    with use(Runtime()):
        yield


def install(folder: Path, package: str, entry: str, code: str = "") -> None:
    """What an installer leaves behind, as far as entry points are concerned."""
    (folder / f"{package}.py").write_text(code)
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[llmroute.providers]\n{entry}\n")


def test_the_same_prefix_gives_the_same_provider() -> None:
    assert get_provider("openai") is get_provider("openai") is GATEWAYS["openai"]
    assert get_provider("meta_llama") is get_provider("meta_llama")


@pytest.mark.parametrize("name", ["base", "params", "failures", "repair", "gateways", "table"])
def test_a_helper_module_is_no_provider(name: str) -> None:
    assert name not in provider_names()
    with pytest.raises(BadRequestError, match="names no known provider"):
        get_provider(name, f"{name}/m")


@pytest.mark.parametrize("name", ["..errors", "a.b", "os", "__init__", "", " ", "x" * 5000])
def test_a_prefix_is_no_way_to_import_something(name: str) -> None:
    with pytest.raises(BadRequestError, match="names no known provider"):
        get_provider(name, f"{name}/m")


def test_registering_makes_it_known_and_replacing_must_be_said() -> None:
    register_provider("acme", ACME)
    assert get_provider("acme") is ACME
    assert "acme" in provider_names()
    other = OpenAILike(name="acme")
    for taken in ("acme", "openai", "meta_llama", "ollama_chat"):
        with pytest.raises(LLMRouteError, match="already"):
            register_provider(taken, other)
        register_provider(taken, other, replace=True)
        assert get_provider(taken) is other


@pytest.mark.parametrize("name", ["", "a/b", " a"])
def test_a_prefix_must_be_one(name: str) -> None:
    with pytest.raises(LLMRouteError, match="can't be a provider prefix"):
        register_provider(name, ACME)


@pytest.mark.parametrize("provider", [OpenAILike, None, "acme", object()])
def test_what_is_registered_must_be_a_provider(provider: object) -> None:
    with pytest.raises(LLMRouteError, match="must be an instance of a subclass"):
        register_provider("acme", provider)  # type: ignore[arg-type]


def test_an_installed_package_is_found_by_its_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "acme_ok", "acme = acme_ok:provider", "provider = None")
    monkeypatch.syspath_prepend(tmp_path)
    assert "acme" in provider_names()
    assert "acme_ok" not in sys.modules
    with pytest.raises(LLMRouteError, match="must be an instance of a subclass"):
        get_provider("acme")


def test_an_installed_package_never_takes_a_prefix_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "thief", "openai = thief:provider", "raise SystemExit")
    monkeypatch.syspath_prepend(tmp_path)
    assert get_provider("openai") is GATEWAYS["openai"]


@pytest.mark.parametrize("code", ["import not_installed_anywhere", "other = 1"])
def test_a_broken_package_is_named(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = f"broken_{abs(hash(code))}"
    install(tmp_path, package, f"acme = {package}:provider", code)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(LLMRouteError, match=f"{package}:provider.*can't be loaded") as caught:
        get_provider("acme")
    assert caught.value.__cause__ is not None


def test_two_packages_with_one_prefix_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "acme_one", "acme = acme_one:provider")
    install(tmp_path, "acme_two", "acme = acme_two:provider")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(LLMRouteError, match="acme_one, acme_two"):
        get_provider("acme")


def test_only_what_is_asked_for_is_imported() -> None:
    code = (
        "import sys, llmroute.providers as p; p.get_provider('groq');"
        "print(*sorted(m for m in sys.modules if m in ('importlib.metadata', 'llama_cpp', 'httpx',"
        "'llmroute.providers.meta_llama', 'llmroute.providers.llamacpp')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_register_provider_is_public() -> None:
    assert llmroute.register_provider is register_provider


class InItsBody(Provider):
    name = "body"
    base_url = "http://body.test"
    key_env = ("BODY_KEY",)
    exact_counts = True


def test_provider_facts_stand_in_the_class_or_in_the_arguments() -> None:
    given: dict[str, Any] = {"base_url": "http://x.test", "key_env": ("X_KEY",)}
    for provider, name in (
        (InItsBody(), "body"),
        (OpenAILike(name="row", **given, exact_counts=True), "row"),
    ):
        assert provider.name == name
        assert provider.base_url
        assert len(provider.key_env) == 1
        assert provider.exact_counts
        assert provider.key_required
        assert not provider.runs_here


def test_a_provider_without_a_key_variable_needs_no_key() -> None:
    register_provider("keyless", OpenAILike(name="keyless", base_url="http://keyless.test/v1"))
    assert resolve("keyless/m").api_key is None
