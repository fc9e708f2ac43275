"""What every test gets: no network but loopback, an environment without keys, tiny models."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from llmroute.testing.tiny_gguf import write_random, write_scripted

# How fast the machine is just now says nothing about the code.
settings.register_profile(
    "llmroute", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("llmroute")

_SETTINGS = re.compile(r"LLMROUTE_|.*_(API_KEY|API_BASE|BASE_URL)$|(HTTPS?|ALL|NO)_PROXY$", re.I)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys, base URLs, proxies and our own settings of this machine don't reach a test."""
    for name in filter(_SETTINGS.match, list(os.environ)):
        monkeypatch.delenv(name)


def _is_loopback(address: Any) -> bool:
    if not isinstance(address, tuple):
        return True  # a Unix socket's path
    host = address[0] or "localhost"
    if host in ("localhost", b"localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True, scope="session")
def loopback_only() -> Iterator[None]:
    """Every connection or name look-up beyond this machine fails, with the address told."""

    def guard(real: Callable[..., Any], address_of: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*args: Any, **kwargs: Any) -> Any:
            address = address_of(*args)
            if not _is_loopback(address):
                raise PermissionError(f"a test tried to reach {address}")
            return real(*args, **kwargs)

        return guarded

    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            real = getattr(socket.socket, name)
            patch.setattr(socket.socket, name, guard(real, lambda _self, address: address))
        patch.setattr(
            socket, "getaddrinfo", guard(socket.getaddrinfo, lambda host, port, *_: (host, port))
        )
        yield


@pytest.fixture(scope="session")
def tiny_random(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose answer depends on every token of the prompt."""
    return write_random(tmp_path_factory.mktemp("models") / "tiny-random.gguf")


Scripted = Callable[..., Path]


@pytest.fixture(scope="session")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Scripted:
    """`scripted("text", **options)`: a model that says exactly this text; see `write_scripted`."""
    made: dict[tuple[Any, ...], Path] = {}
    folder = tmp_path_factory.mktemp("scripted")

    def make(script: str | bytes, **options: Any) -> Path:
        key = (script, repr(sorted(options.items())))
        if key not in made:
            made[key] = write_scripted(folder / f"scripted-{len(made)}.gguf", script, **options)
        return made[key]

    return make
