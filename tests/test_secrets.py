"""No error and no answer shows a secret of the call, however a server repeats it."""

from __future__ import annotations

import asyncio
import json
import pickle
import traceback
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from servers import CLOSE, Answer, ScriptedServer

import llmroute
from llmroute.errors import LLMRouteError
from llmroute.redaction import MAX_BODY, MAX_MESSAGE
from llmroute.transport.http import client

KEY = "sk-proj-" + "Q7w9Xz/" * 12 + "+end"
TENANT = "tenant-4711-f00ba4"
PASSWORD = "pa:ss w0rd/of-the-gateway"
SIGNATURE = "sig-9e107d9d372bb6826bd81d3542a419d6"
BASIC = b64encode(f"me:{PASSWORD}".encode()).decode()
SECRETS = [KEY, TENANT, PASSWORD, SIGNATURE, BASIC]
ECHO = f"authorization: Bearer {KEY}; x-tenant: {TENANT}; Basic {BASIC}; {PASSWORD}; {SIGNATURE}"
HALF = len(ECHO) - 20
"""Cuts through the last secret."""
GOOD = {
    "id": "c",
    "object": "chat.completion.chunk",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "delta": {"content": "Hel"}, "finish_reason": None}],
}
WHOLE = {
    **GOOD,
    "object": "chat.completion",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hi"},
            "finish_reason": "stop",
        }
    ],
}


def http(status: int, body: object, *headers: str, kind: str = "application/json") -> Answer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [
        f"HTTP/1.1 {status} X",
        f"content-type: {kind}",
        f"content-length: {len(content)}",
        *headers,
    ]
    return ["\r\n".join([*lines, "", ""]).encode("latin-1") + content]


def text(status: int, body: str) -> Answer:
    return http(status, body.encode(), kind="text/plain")


def sse(*events: str) -> Answer:
    return http(200, "".join(f"{e}\n\n" for e in events).encode(), kind="text/event-stream")


def data(payload: object) -> str:
    return f"data: {json.dumps(payload)}"


REFUSALS: dict[str, Answer] = {
    "message": http(401, {"error": {"message": ECHO, "code": ECHO, "type": ECHO, "param": ECHO}}),
    "JSON key": http(401, {"error": {"message": "no", "headers": {ECHO: [{KEY: 1}, TENANT]}}}),
    "words behind a gateway": http(
        502, {"error": {"message": "no", "metadata": {"raw": json.dumps({"error": ECHO})}}}
    ),
    "list": http(422, {"detail": [{"loc": ["header", KEY], "msg": ECHO}]}),
    "headers": http(403, {}, f"x-request-id: {KEY}", f"x-echo: {ECHO}", f"x-{TENANT}: 1"),
    "escaped": http(401, {"error": "".join(f"&#{ord(c)};" for c in ECHO) + quote(ECHO, safe="")}),
    "percent-encoded": text(400, f"{quote(ECHO)} {quote(ECHO, safe='').lower()}"),
    "JSON-escaped": http(
        400, b'{"error": "%s"' % "".join(f"\\u{ord(c):04x}" for c in ECHO).encode()
    ),
    "JSON in a text": http(400, {"error": json.dumps({"a": ECHO, "b": json.dumps(ECHO)})}),
    "Python": text(500, repr({ECHO: [ECHO.encode()]})),
    "upper case": http(401, {"error": ECHO.upper()}),
    "cut by the server": http(401, {"error": ECHO[:HALF] + "..."}),
    "cut JSON": http(500, json.dumps({"error": {"message": ECHO}}).encode()[: HALF + 20]),
    "redirect": http(302, {}, f"location: https://me:{quote(PASSWORD)}@other.example/?k={KEY}"),
    "redirect of its own": http(
        307,
        {"a": "other-password"},
        "location: https://you:other-password@other.example/v1?session=other-session-id",
    ),
    "broken head": [f"HTTP/1.1 200 OK\r\n{ECHO.replace(':', '')}\r\n\r\n".encode(), CLOSE],
    "broken head, cut": [f"HTTP/1.1 200 OK\r\nx {KEY}\r\n\r\n".encode(), CLOSE],
    "broken status line": [f"HTTP/1.1 {ECHO}\r\n\r\n".encode(), CLOSE],
    "no HTTP": [f"{ECHO}\r\n\r\n".encode(), CLOSE],
    "broken length": [f"HTTP/1.1 200 OK\r\ncontent-length: {ECHO}\r\n\r\n".encode(), CLOSE],
    "broken chunk": [
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
        b"transfer-encoding: chunked\r\n\r\n" + ECHO.encode() + b"\r\n",
        CLOSE,
    ],
    "200 with an error": http(200, {"error": {"message": ECHO}}),
    "200 with words": http(200, {"detail": ECHO}),
    "200 of another type": http(200, {**WHOLE, "choices": [{"message": {"content": {"x": ECHO}}}]}),
    "200 with a wrong list": http(200, {"choices": ECHO}),
    "200 without choices": http(200, {"headers": ECHO, "choices": []}),
    "200 no JSON": http(200, ECHO.encode()),
}
"""Ways to repeat the secrets in an answer to a plain call."""
for start in range(MAX_MESSAGE - 120, MAX_MESSAGE + 1, 40):
    REFUSALS[f"across a message's end, {start}"] = text(500, "y" * start + " " + ECHO)
for start in range(MAX_BODY - 120, MAX_BODY + 1, 40):
    REFUSALS[f"across a body's end, {start}"] = http(500, {"a": "y" * start + " " + ECHO})
    REFUSALS[f"across a text's end, {start}"] = text(500, "y" * start + " " + ECHO)

BROKEN_STREAMS: dict[str, Answer] = {
    "error event": sse(data(GOOD), data({"error": {"message": ECHO, "code": KEY}})),
    "error event first": sse(data({"error": {"message": ECHO}})),
    "plain error event": sse(data(GOOD), f"event: error\ndata: {ECHO}"),
    "chunk of another type": sse(data(GOOD), data({**GOOD, "choices": ECHO})),
    "chunk of another type first": sse(data({"choices": [{"delta": {"content": {"x": ECHO}}}]})),
    "no JSON": sse(data(GOOD), f"data: {ECHO}"),
    "no JSON first": sse(f"data: {ECHO}"),
    "words": sse(data(GOOD), data({"message": ECHO})),
    "cut": sse(data(GOOD)),
    "refused": REFUSALS["message"],
}


def carried(error: BaseException) -> Iterator[tuple[str, str]]:
    """Everything that can be read from `error`, with where it was found."""
    seen: set[int] = set()
    queue: list[BaseException | None] = [error]
    while queue:
        link = queue.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        name = type(link).__name__
        yield f"{name}: str", str(link)
        yield f"{name}: repr", repr(link)
        yield f"{name}: args", repr(link.args)
        for attribute, value in vars(link).items():
            yield f"{name}.{attribute}", "\n".join([repr(value), *texts(value)])
        if callable(errors := getattr(link, "errors", None)):
            yield f"{name}.errors()", repr(errors())
        queue += [link.__cause__, link.__context__]
    yield "traceback", "".join(traceback.format_exception(error))
    yield "pickle", pickle.dumps(error).decode("latin-1")


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (text for item in value.items() for part in item for text in texts(part))
    elif isinstance(value, list | tuple):
        yield from (text for item in value for text in texts(item))


def leaks(found: Iterator[tuple[str, str]], secrets: list[str]) -> list[str]:
    """Where a secret stands, or a piece that would tell one."""
    return [
        f"{where}: {secret[:8]}"
        for where, text in found
        for secret in secrets
        if secret[:8].lower() in text.lower() or secret[-12:].lower() in text.lower()
    ]


def arguments(server: ScriptedServer) -> dict[str, Any]:
    host = f"me:{quote(PASSWORD, safe='')}@127.0.0.1:{server.port}"
    return {
        "api_base": f"http://{host}/v1?signature={SIGNATURE}",
        "api_key": KEY,
        "extra_headers": {"x-tenant": TENANT},
        "num_retries": 1,
        "timeout": 20,
    }


Call = Callable[[ScriptedServer], Any]


def call_sync(server: ScriptedServer, stream: bool = False, **given: Any) -> Any:
    got = llmroute.completion("openai/m", "hi", stream=stream, **arguments(server), **given)
    return got.get_final_completion() if stream else got


def call_async(server: ScriptedServer, stream: bool = False, **given: Any) -> Any:
    async def run() -> Any:
        got: Any = await llmroute.acompletion(
            "openai/m", "hi", stream=stream, **arguments(server), **given
        )
        return await got.get_final_completion() if stream else got

    return asyncio.run(run())


def call_sync_httpx(server: ScriptedServer, stream: bool = False) -> Any:
    with httpx.Client() as client:
        return call_sync(server, stream, client=client)


def call_async_httpx(server: ScriptedServer, stream: bool = False) -> Any:
    async def run() -> Any:
        async with httpx.AsyncClient() as client:
            got: Any = await llmroute.acompletion(
                "openai/m", "hi", stream=stream, client=client, **arguments(server)
            )
            return await got.get_final_completion() if stream else got

    return asyncio.run(run())


CALLS = {
    "sync": call_sync,
    "async": call_async,
    "sync-httpx": call_sync_httpx,
    "async-httpx": call_async_httpx,
}


@pytest.fixture(params=CALLS)
def call(request: pytest.FixtureRequest) -> Callable[..., Any]:
    return CALLS[request.param]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    really = asyncio.sleep
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setattr("asyncio.sleep", lambda seconds: really(0))


def failure(call: Callable[..., Any], answer: Answer, *, stream: bool = False) -> LLMRouteError:
    with ScriptedServer(answer) as server, pytest.raises(LLMRouteError) as caught:
        call(server, stream)
    (*_, sent) = server.requests
    assert sent.headers["x-tenant"] == TENANT
    assert SIGNATURE in sent.line
    return caught.value


@pytest.mark.parametrize("way", REFUSALS)
def test_no_error_shows_a_secret(call: Callable[..., Any], way: str) -> None:
    error = failure(call, REFUSALS[way])
    own = ["other-password", "other-session-id"] if way == "redirect of its own" else []
    assert leaks(carried(error), [*SECRETS, *own]) == []
    assert len(error.message) <= 2 * MAX_MESSAGE
    assert len(pickle.dumps(error)) < 3 * MAX_BODY


@pytest.mark.parametrize("way", BROKEN_STREAMS)
def test_no_error_of_a_stream_shows_a_secret(call: Callable[..., Any], way: str) -> None:
    error = failure(call, BROKEN_STREAMS[way], stream=True)
    assert leaks(carried(error), SECRETS) == []


@pytest.mark.parametrize("stream", [False, True])
def test_no_answer_shows_a_secret(call: Callable[..., Any], stream: bool) -> None:
    headers = f"x-echo: {ECHO}", f"x-request-id: {KEY}", f"x-{TENANT}: {quote(PASSWORD)}"
    end = {**GOOD, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    body = f"{data(GOOD)}\n\n{data(end)}\n\ndata: [DONE]\n\n".encode()
    answer = (
        http(200, body, *headers, kind="text/event-stream")
        if stream
        else http(200, WHOLE, *headers)
    )
    with ScriptedServer(answer) as server:
        got = call(server, stream)
    info = got.call_info
    shown = [("repr", repr(info)), ("pickle", pickle.dumps(info).decode("latin-1"))]
    assert leaks(iter(shown), SECRETS) == []
    assert info.headers["x-echo"].startswith("authorization: Bearer ***; x-tenant: ***; Basic ***")
    assert info.request_id == "***"


def test_a_key_in_the_path_is_not_shown() -> None:
    key = "gateway-key-4711"
    with ScriptedServer(http(200, WHOLE), http(401, {})) as server:
        given = {"api_base": f"{server.url}/{key}/v1", "api_key": key}
        info = llmroute.completion("openai/m", "hi", **given).call_info
        assert info is not None
        with pytest.raises(llmroute.AuthenticationError) as caught:
            llmroute.completion("openai/m", "hi", **given)
    assert server.requests[0].line.startswith(f"POST /{key}/v1/chat/completions ")
    assert info.url == f"{server.url}/***/v1/chat/completions"
    assert leaks(carried(caught.value), [key]) == []
    assert key not in repr(info)


def test_an_answer_that_repeats_the_key_is_given_as_it_is(call: Callable[..., Any]) -> None:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": KEY},
        "finish_reason": "stop",
    }
    with ScriptedServer(http(200, {**WHOLE, "choices": [choice]})) as server:
        assert call(server, False).text == KEY


@pytest.mark.parametrize("key", ["x", "key", "EMPTY", "1234", "local"])
def test_a_short_key_is_hidden_where_it_stands_as_a_word(key: str) -> None:
    said = f"Wrong key {key}, not {key}es or pre-{key}; [{key}] '{key}'"
    with (
        ScriptedServer(http(401, {"error": {"message": said}})) as server,
        pytest.raises(llmroute.AuthenticationError) as caught,
    ):
        llmroute.completion("openai/m", "hi", api_base=server.url, api_key=key)
    words = said.replace(f" {key},", " ***,").replace(f"[{key}]", "[***]")
    words = words.replace(f"'{key}'", "'***'").replace("Wrong key", f"Wrong {masked('key', key)}")
    assert caught.value.message == f"401: {words}"
    assert caught.value.body == {"error": {"message": words}}


def masked(word: str, key: str) -> str:
    return "***" if word == key else word


@pytest.mark.parametrize("key", ["x", "openai", "answer", "JSON", "http", "chat", "top_k", "7"])
def test_a_short_key_does_not_mangle_what_we_say(key: str) -> None:
    given = {"api_key": key, "extra_headers": {"accept": "application/json", "x-a": key}}
    with (
        ScriptedServer(http(200, b"<p>")) as server,
        pytest.raises(llmroute.APIResponseValidationError) as caught,
    ):
        llmroute.completion("openai/m", "hi", api_base=server.url, **given)
    assert caught.value.message == "The answer of openai is not JSON. It says: <p>"
    assert caught.value.url == f"{server.url}/chat/completions"
    with pytest.raises(llmroute.APIConnectionError) as refused:
        llmroute.completion("openai/m", "hi", api_base=server.url, num_retries=0, **given)
    origin = server.url.removeprefix("http://")
    assert refused.value.message.startswith(f"Nothing listens at {origin}: start the server")
    with pytest.raises(llmroute.UnsupportedParamsError) as unsupported:
        llmroute.completion("openai/m", "hi", top_k=7, api_base=server.url, **given)
    assert unsupported.value.param == "top_k"


def test_a_public_header_does_not_mangle_what_a_server_says() -> None:
    said = "application/json is needed, not text/html; version 2024-02-01"
    with (
        ScriptedServer(text(406, said)) as server,
        pytest.raises(llmroute.BadRequestError) as caught,
    ):
        llmroute.completion(
            "openai/m",
            "hi",
            api_base=f"{server.url}?api-version=2024-02-01",
            api_key=KEY,
            extra_headers={"Accept": "application/json", "User-Agent": "text/html"},
        )
    assert caught.value.message == f"406: {said}"


WRONG_BASES = [
    f"user:{KEY}@host/v1",
    f"ftp://user:{KEY}@host/{KEY}",
    f"https://user:a/{KEY}@host/v1",
    f"https://user:{KEY}?x@host/v1",
    f"https://user:{KEY}#x@host/v1",
    f"https://[{KEY}/v1",
    f"//{KEY}@host",
    KEY,
]


@pytest.mark.parametrize("base", WRONG_BASES)
def test_a_wrong_api_base_is_not_shown(base: str) -> None:
    with pytest.raises(llmroute.BadRequestError, match="api_base") as caught:
        llmroute.completion("openai/m", "hi", api_base=base, api_key="k" * 20)
    assert leaks(carried(caught.value), [KEY]) == []


def test_a_wrong_api_base_is_shown_by_scheme_and_host() -> None:
    with pytest.raises(llmroute.BadRequestError, match=r"api_base \(ftp://host \.\.\.\)"):
        llmroute.completion("openai/m", "hi", api_base="ftp://host/v1", api_key="k" * 20)


@pytest.fixture
def proxies_read_again() -> Iterator[None]:
    """Forgets which servers are called through a proxy: another test may have had the same port."""
    remembered = (client._shared().proxy, client._shared_async().proxy)
    for proxy in remembered:
        proxy.cache_clear()
    yield
    for proxy in remembered:
        proxy.cache_clear()


@pytest.mark.usefixtures("proxies_read_again")
@pytest.mark.parametrize("way", ["sync", "async"])
def test_no_error_shows_the_password_of_a_proxy(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    password = "the-proxy-s-own-word-4711"
    basic = b64encode(f"me:{password}".encode()).decode()
    refusal = http(407, {"error": f"wrong password {password}"}, f"x-seen: Basic {basic}")
    with ScriptedServer(refusal) as proxy, ScriptedServer(http(200, WHOLE)) as server:
        monkeypatch.setenv("HTTP_PROXY", f"http://me:{password}@127.0.0.1:{proxy.port}")
        with pytest.raises(LLMRouteError) as caught:
            CALLS[way](server)
    assert proxy.requests[0].headers["proxy-authorization"] == f"Basic {basic}"
    assert server.requests == []
    assert leaks(carried(caught.value), [password, basic]) == []
