"""Images behind URLs: only where the caller allows it, never in a private network by accident."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pngs import RED, asking, part, png
from servers import CLOSE, HOLD, RESET, Answer, ScriptedServer, chunked

from llmroute import acompletion, completion
from llmroute.errors import APIConnectionError, BadRequestError, PermissionDeniedError
from llmroute.testing.tiny_mmproj import write_mmproj
from llmroute.transport.remote_image import MOST_BYTES, _is_public, fetch

pytest.importorskip("llama_cpp")
pytestmark = [pytest.mark.native, pytest.mark.usefixtures("unloaded")]

See = Callable[..., str]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mmproj(tmp_path_factory.mktemp("mmproj") / "mmproj.gguf")


@pytest.fixture(params=["sync", "async"])
def see(request: pytest.FixtureRequest, tiny_random: Path, encoder: Path) -> See:
    """`see(url, allow_image_urls=..., option=...)`: what the model says to an image."""

    def see(url: object, *, allow_image_urls: object = None, **options: Any) -> str:
        load = {"mmproj": str(encoder), "allow_image_urls": allow_image_urls, "n_threads": 1}
        given: dict[str, Any] = {
            "model_kwargs": load,
            "temperature": 0,
            "max_tokens": 5,
            "num_retries": 0,
            **options,
        }
        model, messages = f"llamacpp/{tiny_random}", asking("What?", part(url))
        if request.param == "sync":
            answer = completion(model, messages, **given)
        else:
            answer = asyncio.run(acompletion(model, messages, **given))
        return answer.choices[0].message.content or ""

    return see


def _answer(body: bytes, status: bytes = b"200 OK", more: bytes = b"") -> Answer:
    return [b"HTTP/1.1 %b\r\ncontent-length: %d\r\n%b\r\n" % (status, len(body), more), body]


@pytest.mark.parametrize("in_chunks", [False, True])
def test_an_allowed_host_is_asked(see: See, in_chunks: bool) -> None:
    image = png(RED)
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    pieces = [head, chunked(image[:20], image[20:]), b"0\r\n\r\n"]
    with ScriptedServer(pieces if in_chunks else _answer(image)) as server:
        url = f"http://127.0.0.1:{server.port}/red.png?size=8"
        assert see(url, allow_image_urls=["127.0.0.1"]) == see(image)
        assert server.requests[0].line == "GET /red.png?size=8 HTTP/1.1"
        assert "authorization" not in server.requests[0].headers


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("allowed", [None, False, True, [], ["example.org"]], ids=str)
def test_nobody_is_asked_without_being_named(see: See, host: str, allowed: object) -> None:
    with ScriptedServer(_answer(png(RED))) as server:
        with pytest.raises(PermissionDeniedError, match="allow_image_urls"):
            see(f"http://{host}:{server.port}/red.png", allow_image_urls=allowed)
        assert not server.requests


def test_a_wrong_setting_is_told(see: See) -> None:
    with pytest.raises(BadRequestError, match="list of host names"):
        see("http://127.0.0.1/a.png", allow_image_urls="127.0.0.1")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (_answer(b"no"), BadRequestError),
        (_answer(b"", b"404 Not Found"), BadRequestError),
        (_answer(b"", b"302 Found", b"location: http://127.0.0.1/other\r\n"), BadRequestError),
        ([b"HTTP/1.1 200 OK\r\n\r\n", bytes(MOST_BYTES + 1)], BadRequestError),
        ([RESET], APIConnectionError),
        ([b"nonsense\r\n\r\n"], APIConnectionError),
        ([b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf", CLOSE], APIConnectionError),
    ],
    ids=["no image", "404", "redirect", "too large", "reset", "no HTTP", "cut"],
)
def test_other_answers_are_errors(see: See, answer: Answer, kind: type[Exception]) -> None:
    with ScriptedServer(answer) as server:
        with pytest.raises(kind):
            see(f"http://127.0.0.1:{server.port}/", allow_image_urls=["127.0.0.1"])
        assert len(server.requests) == 1


def test_a_server_that_says_nothing_takes_no_longer_than_the_call_may(see: See) -> None:
    with (
        ScriptedServer([b"HTTP/1.1 200 OK\r\n", HOLD]) as server,
        pytest.raises(APIConnectionError),
    ):
        see(
            f"http://127.0.0.1:{server.port}/a.png",
            allow_image_urls=["127.0.0.1"],
            timeout=0.2,
        )


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "0.0.0.0",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fc00::1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:db8::1",
        "ff02::1",
        "168.63.129.16",
        "192.0.0.192",
        "100.100.100.200",
        "64:ff9b:1::a00:1",
        "fec0::1",
        "::10.0.0.1",
        "::ffff:0:10.0.0.1",
        "2606:4700::5efe:10.0.0.1",
        "2606:4700::200:5efe:10.0.0.1",
        "3fff::1" if sys.version_info >= (3, 13) else "2001:2::1",
    ],
)
def test_private_addresses(address: str) -> None:
    assert not _is_public(address)


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses(address: str) -> None:
    assert _is_public(address)


def test_fetch_connects_only_to_the_address_that_was_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A name that leads into the private network the second time it is asked for."""
    answers, reached = ["93.184.215.14", "127.0.0.1"], list[str]()

    def lookup(host: str, port: int, **_: object) -> list[object]:
        address = answers.pop(0) if answers else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    def connect(_: socket.socket, address: tuple[str, int]) -> None:
        reached.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    monkeypatch.setattr(socket.socket, "connect", connect)
    with pytest.raises(APIConnectionError):
        fetch("https://images.example/a.png", any_address=False, deadline=None)
    assert reached == ["93.184.215.14"]


def test_fetch_refuses_a_host_of_which_one_address_is_private(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def lookup(host: str, port: int, **_: object) -> list[object]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in ("93.184.215.14", "10.0.0.1")
        ]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with pytest.raises(PermissionDeniedError, match="not public"):
        fetch("https://images.example/a.png", any_address=False, deadline=None)


def test_fetch_keeps_the_name_of_the_host_it_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def lookup(host: str, port: int, **options: Any) -> list[Any]:
        return real("127.0.0.1" if host == "images.example" else host, port, **options)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with ScriptedServer(_answer(b"image")) as server:
        url = f"http://images.example:{server.port}/a.png"
        assert fetch(url, any_address=True, deadline=None) == b"image"
        assert server.requests[0].headers["host"] == f"images.example:{server.port}"
