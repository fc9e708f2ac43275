"""The calls against a server on this machine, sync and async with the same expectations."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import httpx
import pytest
from servers import CLOSE, HOLD, RESET, ScriptedServer

import llmroute
from llmroute.types.request import TimeLimits

MESSAGE = {"role": "assistant", "content": "Hello"}
ANSWER = {
    "id": "a",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": MESSAGE, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}


def http(status: int, body: bytes, *headers: str, kind: str = "application/json") -> list[bytes]:
    head = [
        f"HTTP/1.1 {status} X",
        f"content-length: {len(body)}",
        f"content-type: {kind}",
        *headers,
    ]
    return ["\r\n".join(head).encode() + b"\r\n\r\n" + body]  # type: ignore[list-item]


def answer(status: int, payload: object, *headers: str) -> list[bytes]:
    return http(status, json.dumps(payload).encode(), *headers)


def events(*payloads: object) -> bytes:
    texts = (p if isinstance(p, str) else json.dumps(p) for p in payloads)
    return b"".join(b"data: " + text.encode() + b"\n\n" for text in texts)


def sse(body: bytes) -> list[bytes]:
    return http(200, body, kind="text/event-stream")


def chunk(content: str | None = None, finish: str | None = None, **extra: Any) -> dict[str, Any]:
    delta = {} if content is None else {"content": content}
    return {
        "id": "a",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        **extra,
    }


def failed_choice() -> dict[str, Any]:
    error = {"code": 502, "message": "the provider behind it failed"}
    choice = {"index": 0, "delta": {}, "finish_reason": "error", "error": error}
    return {**chunk(), "choices": [choice]}


USAGE_CHUNK = {**chunk(), "choices": [], "usage": ANSWER["usage"]}
HELLO = [chunk("Hel"), chunk("lo"), chunk(None, "stop"), USAGE_CHUNK, "[DONE]"]

Call = Callable[..., Any]


def http_date(seconds: float) -> str:
    return formatdate(seconds, usegmt=True)


def call_sync(messages: Any = "hi", **given: Any) -> Any:
    return llmroute.completion("openai/m", messages, **given)


def call_async(messages: Any = "hi", **given: Any) -> Any:
    return asyncio.run(llmroute.acompletion("openai/m", messages, **given))


def stream_sync(messages: Any = "hi", **given: Any) -> tuple[list[Any], Any]:
    stream = llmroute.completion("openai/m", messages, stream=True, **given)
    with stream:
        chunks = list(stream)
        return chunks, stream.get_final_completion()


def stream_async(messages: Any = "hi", **given: Any) -> tuple[list[Any], Any]:
    async def run() -> tuple[list[Any], Any]:
        stream = await llmroute.acompletion("openai/m", messages, stream=True, **given)
        async with stream:
            chunks = [chunk async for chunk in stream]
            return chunks, await stream.get_final_completion()

    return asyncio.run(run())


@pytest.fixture(params=["sync", "async"])
def call(request: pytest.FixtureRequest) -> Call:
    return call_sync if request.param == "sync" else call_async


@pytest.fixture(params=["sync", "async"])
def stream(request: pytest.FixtureRequest) -> Call:
    return stream_sync if request.param == "sync" else stream_async


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses are written down instead of being slept."""
    slept: list[float] = []

    really = asyncio.sleep

    async def asleep(seconds: float) -> None:
        if seconds:  # zero only lets others run
            slept.append(seconds)
        await really(0)

    monkeypatch.setattr("time.sleep", slept.append)
    monkeypatch.setattr("asyncio.sleep", asleep)
    return slept


def test_a_plain_call(call: Call) -> None:
    with ScriptedServer(answer(200, ANSWER, "x-request-id: r1")) as server:
        got = call(api_base=server.url, api_key="secret", temperature=0.5)
    assert got.text == "Hello"
    assert got.usage.total_tokens == 3
    assert got["choices"][0]["message"]["content"] == "Hello"
    assert got.call_info.request_id == "r1"
    assert got.call_info.url == f"{server.url}/chat/completions"
    assert len(got.call_info.attempts) == 1
    (sent,) = server.requests
    assert sent.headers["authorization"] == "Bearer secret"
    assert json.loads(sent.body) == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "temperature": 0.5,
    }


def test_sync_and_async_give_the_same() -> None:
    with ScriptedServer(answer(200, ANSWER)) as server:
        assert call_sync(api_base=server.url) == call_async(api_base=server.url)
    with ScriptedServer(sse(events(*HELLO))) as server:
        chunks, whole = stream_sync(api_base=server.url)
        achunks, awhole = stream_async(api_base=server.url)
    assert chunks == achunks
    assert whole == awhole
    assert whole != awhole.model_copy(update={"model": "another"})


def test_an_answer_goes_back_into_messages(call: Call) -> None:
    with ScriptedServer(answer(200, ANSWER)) as server:
        first = call(api_base=server.url)
        question = {"role": "user", "content": "and?"}
        call([first.choices[0].message, question], api_base=server.url)
    assert json.loads(server.requests[1].body)["messages"] == [MESSAGE, question]


def test_a_stream(stream: Call) -> None:
    with ScriptedServer(sse(events(*HELLO))) as server:
        chunks, whole = stream(api_base=server.url)
    assert [c.text for c in chunks] == ["Hel", "lo", ""]
    assert whole.text == "Hello"
    assert whole.usage.total_tokens == 3, "asked for, though not shown as a chunk"
    assert whole.call_info.attempts
    body = json.loads(server.requests[0].body)
    assert body["stream"] is True
    assert body["stream_options"] == {"include_usage": True}


def test_the_usage_chunk_is_shown_to_those_who_ask(stream: Call) -> None:
    with ScriptedServer(sse(events(*HELLO))) as server:
        chunks, _ = stream(api_base=server.url, stream_options={"include_usage": True})
    assert chunks[-1].usage.total_tokens == 3


def test_streams_reuse_their_connection() -> None:
    with ScriptedServer(sse(events(*HELLO))) as server:
        for _ in range(5):
            stream_sync(api_base=server.url)
    assert server.connections == 1


def test_a_server_that_does_not_stream(stream: Call) -> None:
    with ScriptedServer(answer(200, ANSWER)) as server:
        chunks, whole = stream(api_base=server.url)
    assert [c.text for c in chunks] == ["Hello"]
    assert whole.text == "Hello"


@pytest.mark.parametrize(
    "body",
    [
        events(chunk("Hel"), chunk("lo")),
        events(chunk("Hel"), chunk("lo"), "[DONE]"),
        events(chunk("Hel"), chunk("lo"), {"error": {"message": "boom", "code": 500}}),
        events(chunk("Hel"), chunk("lo")) + b'{"title":"x","detail":"boom","status":500}\n\n',
        events(chunk("Hel"), chunk("lo")) + b"event: error\ndata: boom\n\n",
        events(chunk("Hel"), chunk("lo"), '{"id": '),
        events(chunk("Hel", "stop"), chunk("lo", "stop")),
        events(chunk("Hel"), chunk("lo"), failed_choice()),
    ],
    ids=[
        "no finish reason",
        "done without finish reason",
        "error event",
        "bare error line",
        "named error event",
        "invalid JSON",
        "text after the finish reason, without [DONE]",
        "error in a choice",
    ],
)
def test_a_broken_stream_raises_with_what_had_come(stream: Call, body: bytes) -> None:
    with (
        ScriptedServer(sse(body)) as server,
        pytest.raises(llmroute.StreamInterruptedError) as caught,
    ):
        stream(api_base=server.url)
    error = caught.value
    assert error.partial is not None
    assert error.partial.text == "Hello"
    assert error.provider == "openai"
    assert error.url == f"{server.url}/chat/completions"
    assert server.connections == len(server.requests) == 1, "what was delivered is not retried"


def test_a_stream_whose_connection_breaks(stream: Call) -> None:
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    piece = events(chunk("Hel"))
    for end in (CLOSE, RESET):
        script = [head + b"%x\r\n%s\r\n" % (len(piece), piece), end]
        with (
            ScriptedServer(script) as server,
            pytest.raises(llmroute.StreamInterruptedError) as caught,
        ):
            stream(api_base=server.url)
        assert caught.value.partial is not None
        assert caught.value.partial.choices[0].finish_reason is None


@pytest.mark.parametrize(
    "first",
    [
        sse(b""),
        sse(events("[DONE]")),
        sse(events({"error": {"message": "busy", "code": 503}})),
        [RESET],
        answer(503, {"error": {"message": "busy"}}),
    ],
    ids=["empty", "only done", "error event first", "reset", "503"],
)
def test_before_the_first_chunk_a_stream_is_tried_again(stream: Call, first: Any) -> None:
    with ScriptedServer(first, sse(events(*HELLO))) as server:
        _, whole = stream(api_base=server.url)
    assert whole.text == "Hello"
    assert len(server.requests) == 2
    assert [bool(a.error) for a in whole.call_info.attempts] == [True, False]


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
def test_retries_are_exact(call: Call, status: int) -> None:
    with (
        ScriptedServer(answer(status, {"error": {"message": "no"}})) as server,
        pytest.raises(llmroute.APIError) as caught,
    ):
        call(api_base=server.url, num_retries=3)
    assert len(server.requests) == 4
    assert len(caught.value.attempts) == 4
    assert {a.status_code for a in caught.value.attempts} == {status}
    assert caught.value.provider == "openai"
    assert caught.value.model == "openai/m"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_other_client_errors_are_not_retried(call: Call, status: int) -> None:
    with (
        ScriptedServer(answer(status, {"error": {"message": "no"}})) as server,
        pytest.raises(llmroute.APIStatusError) as caught,
    ):
        call(api_base=server.url)
    assert len(server.requests) == 1
    assert caught.value.status_code == status


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("retry-after: 7", 7.0),
        ("retry-after-ms: 250", 0.25),
        (
            f"date: {http_date(1000)}\r\nretry-after: {http_date(1009)}",
            9.0,
        ),
    ],
    ids=["seconds", "milliseconds", "date"],
)
def test_retries_wait_as_long_as_the_server_asks(
    call: Call, header: str, seconds: float, quick_retries: list[float]
) -> None:
    with ScriptedServer(answer(429, {}, header), answer(200, ANSWER)) as server:
        got = call(api_base=server.url)
    assert quick_retries == [seconds]
    assert [a.waited for a in got.call_info.attempts] == [0.0, seconds]


def test_a_redirect_to_no_url_says_so(call: Call) -> None:
    with (
        ScriptedServer(answer(307, {}, "location: http://[bad")) as server,
        pytest.raises(llmroute.APIStatusError, match="to no URL"),
    ):
        call(api_base=server.url)


def test_a_redirect_of_a_post_names_the_new_path(call: Call) -> None:
    with (
        ScriptedServer(answer(301, {}, "location: ./completions/")) as server,
        pytest.raises(llmroute.APIStatusError) as caught,
    ):
        call(api_base=f"{server.url}/v1/chat")
    assert f"redirects to {server.url}/v1/chat/chat/completions/, and" in caught.value.message
    assert "another server" not in caught.value.message


def test_a_stream_that_begins_with_an_error_is_explained_once(stream: Call) -> None:
    refused = {"error": {"message": "Who are you?", "code": 401}}
    with (
        ScriptedServer(sse(events(refused))) as server,
        pytest.raises(llmroute.AuthenticationError) as caught,
    ):
        stream(api_base=server.url)
    assert caught.value.message.count("No key was sent") == 1


RETRY_INFO = {
    "error": {
        "code": 429,
        "message": "Quota exceeded.",
        "status": "RESOURCE_EXHAUSTED",
        "details": [
            {"@type": "type.googleapis.com/google.rpc.Help", "links": []},
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "2.5s"},
        ],
    }
}


def test_retries_wait_as_long_as_the_body_asks(call: Call, quick_retries: list[float]) -> None:
    with ScriptedServer(answer(429, [RETRY_INFO]), answer(200, ANSWER)) as server:
        call(api_base=server.url)
    assert quick_retries == [2.5]


def test_retries_do_not_wait_an_hour(call: Call, quick_retries: list[float]) -> None:
    with (
        ScriptedServer(answer(429, {}, "retry-after: 3600")) as server,
        pytest.raises(llmroute.RateLimitError) as caught,
    ):
        call(api_base=server.url)
    assert (quick_retries, len(server.requests)) == ([], 1)
    assert caught.value.retry_after == 3600
    assert len(caught.value.attempts) == 1


@pytest.mark.parametrize(
    ("status", "body", "header", "requests"),
    [
        (429, {"error": {"message": "no", "code": "insufficient_quota"}}, "x-a: b", 1),
        (501, {}, "x-a: b", 1),
        (503, {}, "x-should-retry: false", 1),
        (400, {}, "x-should-retry: true", 3),
    ],
)
def test_retries_follow_the_servers_word(
    call: Call, status: int, body: object, header: str, requests: int
) -> None:
    with (
        ScriptedServer(answer(status, body, header)) as server,
        pytest.raises(llmroute.APIStatusError),
    ):
        call(api_base=server.url, num_retries=2)
    assert len(server.requests) == requests


def test_no_wait_past_the_total_limit(call: Call, quick_retries: list[float]) -> None:
    with (
        ScriptedServer(answer(429, {}, "retry-after: 30")) as server,
        pytest.raises(llmroute.RateLimitError) as caught,
    ):
        call(api_base=server.url, timeout=5)
    assert quick_retries == []
    assert caught.value.retry_after == 30
    assert len(server.requests) == 1


def test_a_total_limit_that_passes_is_final(call: Call) -> None:
    with ScriptedServer([HOLD]) as server, pytest.raises(llmroute.APITimeoutError) as caught:
        call(api_base=server.url, timeout=TimeLimits(total=0.2))
    assert len(server.requests) == 1
    assert "0.2 seconds" in str(caught.value)


def test_a_first_token_limit_is_tried_again(call: Call) -> None:
    with ScriptedServer([HOLD], answer(200, ANSWER)) as server:
        assert call(api_base=server.url, timeout=TimeLimits(first_token=0.2)).text == "Hello"
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>oops</html>", b"[]", b'{"id": 1}', b'{"choices": []}'],
    ids=["empty", "html", "a list", "no choices", "empty choices"],
)
def test_an_answer_that_is_none(call: Call, body: bytes) -> None:
    with (
        ScriptedServer(http(200, body)) as server,
        pytest.raises(llmroute.APIResponseValidationError) as caught,
    ):
        call(api_base=server.url)
    assert caught.value.url == f"{server.url}/chat/completions"


def test_an_error_with_status_200(call: Call) -> None:
    payload = {"error": {"message": "quota", "code": 429}}
    with ScriptedServer(answer(200, payload)) as server, pytest.raises(llmroute.RateLimitError):
        call(api_base=server.url, num_retries=0)


def test_nothing_comes_out_of_a_closed_stream() -> None:
    with ScriptedServer(sse(events(*HELLO))) as server:
        stream = llmroute.completion("openai/m", "hi", stream=True, api_base=server.url)
        next(stream)
        stream.close()
        assert list(stream) == []


def test_leaving_a_stream_early_closes_its_connection() -> None:
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    piece = events(chunk("Hel"))
    script = [head + b"%x\r\n%s\r\n" % (len(piece), piece), HOLD]
    with ScriptedServer(script) as server:
        with llmroute.completion("openai/m", "hi", stream=True, api_base=server.url) as stream:
            assert next(stream).text == "Hel"
        assert server.gone.wait(5)
        assert list(stream) == []
        with pytest.raises(llmroute.StreamInterruptedError, match="closed before its end"):
            stream.get_final_completion()


def test_cancelling_an_async_stream_closes_its_connection() -> None:
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    piece = events(chunk("Hel"))
    script = [head + b"%x\r\n%s\r\n" % (len(piece), piece), HOLD]

    async def run(url: str) -> None:
        stream = await llmroute.acompletion("openai/m", "hi", stream=True, api_base=url)
        assert (await anext(stream)).text == "Hel"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(stream), 0.2)

    with ScriptedServer(script) as server:
        asyncio.run(run(server.url))
        assert server.gone.wait(5)


def test_text_and_embedding_operations() -> None:
    text = {"id": "t", "created": 1, "model": "m", "choices": [{"index": 0, "text": " on"}]}
    with ScriptedServer(answer(200, text)) as server:
        assert llmroute.text_completion("openai/m", "go", api_base=server.url).text == " on"
    assert server.requests[0].line.startswith("POST /completions")
    vectors = {"data": [{"index": 0, "embedding": [0.5, 1.0]}], "model": "m"}
    with ScriptedServer(answer(200, vectors)) as server:
        got = llmroute.embedding("openai/m", ["go"], api_base=server.url)
        also = asyncio.run(llmroute.aembedding("openai/m", ["go"], api_base=server.url))
    assert got.data[0].embedding == [0.5, 1.0]
    assert got.to_dict() == also.to_dict()
    assert server.requests[0].line.startswith("POST /embeddings")


def test_mock_response(call: Call, stream: Call) -> None:
    assert call(mock_response="Hi there").text == "Hi there"
    chunks, whole = stream(mock_response="Hi there  you\n")
    assert "".join(c.text for c in chunks) == whole.text == "Hi there  you\n"
    assert call(mock_response=ANSWER).usage.total_tokens == 3
    with pytest.raises(ZeroDivisionError):
        call(mock_response=ZeroDivisionError())
    with pytest.raises(llmroute.RateLimitError):
        call(mock_response=llmroute.RateLimitError("mocked"), num_retries=0)
    with pytest.raises(llmroute.BadRequestError, match="choices"):
        call(mock_response={"id": "1", "created": 1, "model": "m"})


def test_mock_response_gives_as_many_choices_as_asked_for(call: Call, stream: Call) -> None:
    asked = {"mock_response": "Hi there", "n": 2}
    whole = call(**asked)
    assert [choice.message.content for choice in whole.choices] == ["Hi there", "Hi there"]
    assert stream(**asked)[1].choices == whole.choices


def test_mock_response_of_an_embedding() -> None:
    got = llmroute.embedding("openai/m", ["a", "b"], mock_response=[0.5, 1.0])
    assert got == asyncio.run(llmroute.aembedding("openai/m", ["a", "b"], mock_response=got))
    assert [vector.embedding for vector in got.data] == [[0.5, 1.0]] * 2
    with pytest.raises(llmroute.BadRequestError, match="vector"):
        llmroute.embedding("openai/m", "a", mock_response="a text")


def test_a_key_that_the_server_repeats_goes_no_further(call: Call) -> None:
    said = {"error": {"message": "Wrong key: sk-secret-1", "seen": ["sk-secret-1"]}}
    with (
        ScriptedServer(answer(401, said, "x-seen: sk-secret-1")) as server,
        pytest.raises(llmroute.AuthenticationError, match=r"Wrong key: \*\*\*") as caught,
    ):
        call(api_base=server.url, api_key="sk-secret-1")
    assert "sk-secret-1" not in repr(caught.value) + repr(vars(caught.value))


def test_a_key_in_a_url_is_not_shown(call: Call) -> None:
    with pytest.raises(llmroute.UnsupportedParamsError) as caught:
        call(api_base="http://me:sk-secret-1@127.0.0.1:9/v1?key=sk-secret-2", top_k=3)
    assert "sk-secret" not in str(caught.value) + repr(vars(caught.value))


@pytest.mark.parametrize("client", ["httpx", httpx.Client, object()], ids=str)
def test_a_client_of_another_kind(client: object) -> None:
    with pytest.raises(llmroute.BadRequestError, match=r"httpx\.Client"):
        call_sync(client=client, api_key="k")
    with pytest.raises(llmroute.BadRequestError, match=r"httpx\.AsyncClient"):
        call_async(client=httpx.Client(), api_key="k")
