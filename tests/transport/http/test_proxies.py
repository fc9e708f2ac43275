"""Which proxy of the environment a call goes through, and what is said of one that is no use."""

from __future__ import annotations

import traceback

import pytest
from roads import Road, post
from servers import OK, ScriptedServer

from llmroute.errors import APIConnectionError, BadRequestError, LLMRouteError
from llmroute.transport.http import proxies
from llmroute.transport.http.proxies import proxy_for
from llmroute.transport.http.target import target

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUEST_METHOD")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setattr(proxies.sys, "platform", "linux")  # not from this machine's settings


@pytest.mark.parametrize(
    ("environment", "url", "expected"),
    [
        ({}, "http://a.example/", None),
        ({"HTTP_PROXY": "http://p:1"}, "http://a.example/", "http://p:1"),
        ({"HTTP_PROXY": "http://p:1"}, "https://a.example/", None),
        ({"HTTPS_PROXY": "http://p:1"}, "https://a.example/", "http://p:1"),
        ({"ALL_PROXY": "http://p:1"}, "https://a.example/", "http://p:1"),
        ({"ALL_PROXY": "http://p:1", "HTTP_PROXY": "http://q:2"}, "http://a/", "http://q:2"),
        ({"http_proxy": "http://p:1", "HTTP_PROXY": "http://q:2"}, "http://a/", "http://p:1"),
        ({"HTTP_PROXY": " p:1 "}, "http://a.example/", "http://p:1"),
        ({"HTTP_PROXY": ""}, "http://a.example/", None),
        ({"HTTP_PROXY": "http://p:1", "REQUEST_METHOD": "GET"}, "http://a.example/", None),
        ({"http_proxy": "http://p:1", "REQUEST_METHOD": "GET"}, "http://a/", "http://p:1"),
    ],
)
def test_proxy_for_reads_the_environment(
    environment: dict[str, str], url: str, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    proxy = proxy_for(target(url).origin)
    assert (proxy and proxy.url) == expected


@pytest.mark.parametrize(
    ("no_proxy", "url", "direct"),
    [
        ("*", "http://a.example/", True),
        ("a.example", "http://a.example/", True),
        ("A.Example", "http://a.example/", True),
        ("example", "http://a.example/", True),
        (".example", "http://a.example/", True),
        ("*.example", "http://a.example/", True),
        ("a.example.", "http://a.example/", True),
        ("ample", "http://a.example/", False),
        ("b.example", "http://a.example/", False),
        ("b.example, a.example", "http://a.example/", True),
        ("b.example a.example", "http://a.example/", True),
        (",", "http://a.example/", False),
        ("a.example:8080", "http://a.example:8080/", True),
        ("a.example:8080", "http://a.example/", False),
        ("a.example:80", "http://a.example/", True),
        ("http://a.example", "http://a.example/", True),
        ("https://a.example", "http://a.example/", False),
        ("127.0.0.1", "http://127.0.0.1:8080/", True),
        ("127.0.0.1:8080", "http://127.0.0.1:8080/", True),
        ("127.0.0.0/8", "http://127.0.0.1:8080/", True),
        ("127.0.0.1/8", "http://127.9.9.9/", True),
        ("10.0.0.0/8", "http://127.0.0.1/", False),
        ("10.0.0.0/8", "http://10.example/", False),
        ("0.0.0.0/0", "http://192.0.2.1/", True),
        ("0.0.0.0/0", "http://[::1]/", False),
        ("::1", "http://[::1]:8080/", True),
        ("[::1]", "http://[::1]:8080/", True),
        ("[::1]:8080", "http://[::1]:8080/", True),
        ("[::1]:8080", "http://[::1]/", False),
        ("0:0:0:0:0:0:0:1", "http://[::1]/", True),
        ("::/0", "http://[2001:db8::1]/", True),
        ("::/0", "http://a.example/", False),
        ("[2001:db8::]/32", "http://[2001:db8::1]/", True),
        ("fe80::/10", "http://[2001:db8::1]/", False),
        ("localhost", "http://127.0.0.1/", False),
        ("[", "http://a.example/", False),
        ("10.0.0.0/99", "http://10.0.0.1/", False),
    ],
)
def test_proxy_for_heeds_no_proxy(
    no_proxy: str, url: str, direct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://p:1")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert (proxy_for(target(url).origin) is None) is direct


@pytest.mark.parametrize("no_proxy", ["[::1]", "::/0", "other.example,[::1]"])
def test_no_proxy_of_another_kind_lets_calls_through(
    direct: Road, no_proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedServer(OK) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", no_proxy)
        assert direct.read(post("http://model.example/v1")).body == b"ok"
        assert len(proxy.requests) == 1


@pytest.mark.parametrize(
    "value",
    [
        "foo://user:secret-word@x:1",
        "http://user:secret-word@[x",
        "http://user:secret-word@",
        "http://user:secret-word@host:port",
        "secret-word@",
        "socks4://user:secret-word@x:1",
    ],
)
def test_proxy_that_is_none_is_told_without_its_password(
    direct: Road, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", value)
    with pytest.raises(BadRequestError, match="HTTP_PROXY") as caught:
        direct.read(post("http://model.example/v1"))
    assert "secret-word" not in "".join(traceback.format_exception(caught.value))


def test_socks_without_its_package_names_it(direct: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxies.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    with pytest.raises(LLMRouteError, match=r"pip install 'httpx\[socks\]'"):
        direct.read(post("http://model.example/v1"))


def test_dead_proxy_is_named_by_its_variable(direct: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://user:secret-word@127.0.0.1:9")
    with pytest.raises(APIConnectionError, match="through the proxy set in HTTP_PROXY") as caught:
        direct.read(post("http://model.example/v1"))
    assert "secret-word" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE"])
def test_certificates_that_are_missing_are_told(
    direct: Road, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llmroute.transport.http.tls import tls_context

    tls_context.cache_clear()
    monkeypatch.setenv(variable, "/nowhere/certificates.pem")
    with (
        ScriptedServer(OK) as server,
        pytest.raises(BadRequestError, match=f"{variable} is set to '/nowhere"),
    ):
        direct.read(post(server.url.replace("http:", "https:")))
    tls_context.cache_clear()
