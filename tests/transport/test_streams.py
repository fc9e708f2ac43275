"""Streams as they are read: when they begin, how long they wait, and when they are over."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from servers import CLOSE, HOLD, RESET, Answer, Drip, ScriptedServer, chunked

import llmroute
from llmroute.chunks import MissingChoicesWarning, assembler
from llmroute.providers.openai_like import OpenAILike
from llmroute.transport.limits import Limits
from llmroute.transport.sources import Ready
from llmroute.transport.streams import Stream, StreamState
from llmroute.types.chat_request import ChatRequest
from llmroute.types.request import TimeLimits

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\ntransfer-encoding: chunked\r\n\r\n"
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
LONG = 30.0
"""Seconds no test waits for; one that does has failed."""


def piece(content: str | None = None, finish: str | None = None, **top: Any) -> dict[str, Any]:
    delta = {} if content is None else {"content": content}
    choice = {"index": top.pop("index", 0), "delta": delta, "finish_reason": finish}
    return {"id": "a", "created": 1, "model": "m", "choices": [choice], **top}


ROLE = {**piece(), "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}
USAGE_CHUNK = {**piece(), "choices": [], "usage": USAGE}
WHOLE = {
    "id": "a",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}}],
}


def events(*payloads: object) -> bytes:
    texts = (p if isinstance(p, str) else json.dumps(p) for p in payloads)
    return b"".join(b"data: " + text.encode() + b"\n\n" for text in texts)


def body(data: bytes, kind: bytes = b"text/event-stream") -> bytes:
    """An answer whose body goes on."""
    return HEAD % kind + chunked(data)


def ended(data: bytes, kind: bytes = b"text/event-stream") -> bytes:
    return body(data, kind) + b"0\r\n\r\n"


Read = Callable[..., tuple[list[str], Any]]


def read_sync(url: str, client: Any = None, **given: Any) -> tuple[list[str], Any]:
    given = {"num_retries": 0, "timeout": TimeLimits(first_token=LONG, idle=LONG), **given}
    with llmroute.completion(
        "openai/m", "hi", stream=True, api_base=url, api_key="k", client=client, **given
    ) as stream:
        return [chunk.text for chunk in stream], stream.get_final_completion()


def read_async(url: str, client: Any = None, **given: Any) -> tuple[list[str], Any]:
    given = {"num_retries": 0, "timeout": TimeLimits(first_token=LONG, idle=LONG), **given}

    async def run() -> tuple[list[str], Any]:
        stream = await llmroute.acompletion(
            "openai/m", "hi", stream=True, api_base=url, api_key="k", client=client, **given
        )
        async with stream:
            chunks = [chunk.text async for chunk in stream]
            return chunks, await stream.get_final_completion()

    return asyncio.run(run())


def read_httpx(url: str, **given: Any) -> tuple[list[str], Any]:
    with httpx.Client() as client:
        return read_sync(url, client, **given)


@pytest.fixture(params=[read_sync, read_async, read_httpx], ids=lambda way: way.__name__)
def read(request: pytest.FixtureRequest) -> Read:
    """Reads a stream to its end: the texts of its chunks, and the whole."""
    way: Read = request.param
    return way


# The end.


@pytest.mark.parametrize(
    "end",
    [
        events(piece("lo", "stop"), "[DONE]"),
        events(piece("lo", "stop"), "[DONE]", "[DONE]", piece("more"), {"error": "late"}),
        events(piece("lo"), piece(None, "stop"), USAGE_CHUNK),
        events(piece("lo", "stop", usage=USAGE)),
        events(piece("lo", "STOP"), piece(None, "stop"), USAGE_CHUNK),
    ],
    ids=["[DONE]", "more after [DONE]", "usage", "all in one", "a reason twice"],
)
@pytest.mark.parametrize("after", [HOLD, Drip(chunked(b": ping\n\n"))], ids=["silence", "pings"])
def test_stream_ends_though_the_server_keeps_the_body_open(
    read: Read, end: bytes, after: Any
) -> None:
    with ScriptedServer([body(events(piece("Hel"))), chunked(end), after]) as server:
        started = time.monotonic()
        texts, whole = read(server.url)
        assert time.monotonic() - started < LONG / 3
    assert "".join(texts) == whole.text == "Hello"
    assert whole.choices[0].finish_reason == "stop"


def test_stream_waits_for_more_where_every_chunk_has_a_reason(read: Read) -> None:
    limits = TimeLimits(first_token=LONG, idle=1.0)
    script = [body(events(piece("Hel", "stop", usage=USAGE))), HOLD]
    with ScriptedServer(script) as server, pytest.raises(llmroute.StreamInterruptedError) as caught:
        read(server.url, timeout=limits)
    assert caught.value.partial is not None
    assert caught.value.partial.text == "Hel"


def test_stream_of_fewer_choices_than_asked_for_is_an_error(read: Read) -> None:
    two = [piece("a", "stop"), piece("b", "stop", index=1)]
    with ScriptedServer([ended(events(*two, "[DONE]"))]) as server:
        read(server.url, n=2)
        with pytest.raises(llmroute.StreamInterruptedError, match="only 2 of 3 choices"):
            read(server.url, n=3)


def test_whole_answer_of_fewer_choices_than_asked_for_warns(read: Read) -> None:
    with ScriptedServer([ended(json.dumps(WHOLE).encode())]) as server:
        with pytest.warns(MissingChoicesWarning, match="1 of the 3 choices"):
            assert read(server.url, n=3)[1].text == "Hello"
        with pytest.warns(MissingChoicesWarning, match="1 of the 2 choices"):
            llmroute.completion("openai/m", "hi", api_base=server.url, api_key="k", n=2)


def test_stream_without_a_reason_is_whole_for_who_allows_it(read: Read) -> None:
    with ScriptedServer([ended(events(piece("Hello"), "[DONE]"))]) as server:
        with pytest.raises(llmroute.StreamInterruptedError, match="no finish reason"):
            read(server.url)
        whole = read(server.url, allow_missing_finish_reason=True)[1]
    assert (whole.text, whole.choices[0].finish_reason) == ("Hello", None)


# Time limits.


@pytest.mark.parametrize(
    "filler",
    [b": ping\n\n", events(piece()), events(ROLE), b"event: ping\ndata: {}\n\n", b"data:\n\n"],
    ids=["comments", "empty deltas", "roles", "pings", "empty data"],
)
def test_limits_count_only_chunks_that_say_something(read: Read, filler: bytes) -> None:
    drip = Drip(chunked(filler))
    with (
        ScriptedServer([HEAD % b"text/event-stream", drip]) as server,
        pytest.raises(llmroute.APITimeoutError, match="first_token"),
    ):
        read(server.url, timeout=TimeLimits(first_token=0.3, idle=LONG))
    with (
        ScriptedServer([body(events(piece("Hel"))), drip]) as server,
        pytest.raises(llmroute.StreamInterruptedError, match="idle") as caught,
    ):
        read(server.url, timeout=TimeLimits(first_token=LONG, idle=0.3))
    assert caught.value.partial is not None
    assert caught.value.partial.text == "Hel"


def test_limits_are_kept_by_a_stream_that_goes_on(read: Read) -> None:
    limits = TimeLimits(first_token=LONG, idle=LONG, total=1.0)
    with (
        ScriptedServer([HEAD % b"text/event-stream", Drip(chunked(events(piece("x"))))]) as server,
        pytest.raises(llmroute.StreamInterruptedError, match="total") as caught,
    ):
        read(server.url, timeout=limits)
    assert caught.value.partial is not None
    assert caught.value.partial.text.startswith("xx")


# The beginning.


@pytest.mark.parametrize("end", [CLOSE, RESET, HOLD], ids=["close", "reset", "silence"])
def test_stream_is_tried_again_until_something_was_said(read: Read, end: Any) -> None:
    first: Answer = [body(events(ROLE, piece())), end]
    good = [ended(events(ROLE, piece("Hello"), piece(None, "stop"), "[DONE]"))]
    with ScriptedServer(first, good) as server:
        texts, whole = read(
            server.url, num_retries=1, timeout=TimeLimits(first_token=0.5, idle=LONG)
        )
    assert "".join(texts) == whole.text == "Hello"
    assert len(whole.call_info.attempts) == 2


KINDS = [b"text/event-stream", b"Application/JSON", b"text/plain; charset=utf-8", b"x/y"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "data",
    [
        json.dumps(WHOLE).encode(),
        b"\n\n" + json.dumps(WHOLE, indent=1).encode(),
        events(WHOLE, piece(None, "stop"), "[DONE]"),
        events(piece("Hel"), piece("lo", "stop"), "[DONE]"),
        b"\n\n: hello\n\n" + events(piece("Hel"), piece("lo", "stop"), "[DONE]"),
        b"".join(json.dumps(one).encode() + b"\n" for one in (piece("Hel"), piece("lo", "stop"))),
    ],
    ids=["JSON", "JSON with lines", "JSON in an event", "events", "a comment first", "JSON lines"],
)
def test_stream_is_told_by_its_first_bytes_and_not_by_its_label(
    read: Read, kind: bytes, data: bytes
) -> None:
    with ScriptedServer([ended(data, kind)]) as server:
        texts, whole = read(server.url)
    assert "".join(texts) == whole.text == "Hello"


@pytest.mark.parametrize("kind", KINDS)
def test_completion_takes_a_stream_nobody_asked_for(kind: bytes) -> None:
    good = events(piece("Hel"), piece("lo", "stop"), USAGE_CHUNK, "[DONE]")
    cut = events(piece("Hel"), piece("lo"))
    with ScriptedServer([ended(good, kind)], [ended(cut, kind)]) as server:
        got = llmroute.completion("openai/m", "hi", api_base=server.url, api_key="k")
        assert (got.text, got.choices[0].finish_reason) == ("Hello", "stop")
        assert got.usage is not None
        with pytest.raises(llmroute.StreamInterruptedError, match="no finish reason"):
            llmroute.completion("openai/m", "hi", api_base=server.url, num_retries=0)


def test_stream_shows_a_page_that_is_no_answer(read: Read) -> None:
    with (
        ScriptedServer([ended(b"<html>busy</html>", b"text/html")]) as server,
        pytest.raises(llmroute.APIResponseValidationError) as caught,
    ):
        read(server.url)
    assert caught.value.body == "<html>busy</html>"


# Readers.


def test_stream_has_one_reader_among_threads() -> None:
    errors: list[Exception] = []

    def second() -> None:
        try:
            next(stream)
        except llmroute.LLMRouteError as error:
            errors.append(error)

    def first() -> None:
        with pytest.raises(llmroute.StreamInterruptedError):
            next(stream)

    with ScriptedServer([body(events(piece("Hel"))), HOLD]) as server:
        stream: Any = llmroute.completion(
            "openai/m", "hi", stream=True, api_base=server.url, num_retries=0
        )
        assert next(stream).text == "Hel"
        reading = threading.Thread(target=first)
        reading.start()
        while not stream._reading.locked():
            time.sleep(0.001)
        second()
        stream.close()
        reading.join()
    (error,) = errors
    assert "already being read" in str(error)


def test_stream_has_one_reader_among_tasks() -> None:
    async def run(url: str) -> None:
        stream: Any = await llmroute.acompletion(
            "openai/m", "hi", stream=True, api_base=url, num_retries=0
        )
        assert (await anext(stream)).text == "Hel"
        reading = asyncio.create_task(anext(stream))
        await asyncio.sleep(0)
        with pytest.raises(llmroute.LLMRouteError, match="already being read"):
            await anext(stream)
        await stream.aclose()
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)

    with ScriptedServer([body(events(piece("Hel"))), HOLD]) as server:
        asyncio.run(run(server.url))


# One piece with many chunks.


class Counting(OpenAILike):
    """A provider that counts the events its decoders were given."""

    taken = 0

    def splitter(self, headers: Any) -> Any:
        """The usual one, but counted."""
        splitter = super().splitter(headers)
        outer = self

        class Counted:
            def feed(self, data: bytes) -> Iterator[Any]:
                for event in splitter.feed(data):
                    outer.taken += 1
                    yield event

            def flush(self) -> Any:
                return splitter.flush()

        return Counted()


def state(provider: OpenAILike, data: bytes) -> tuple[StreamState[Any], Any]:
    request = ChatRequest(model="acme/m", messages=[{"role": "user", "content": "Hi"}])
    made: StreamState[Any] = StreamState(
        assembler(request),
        provider.decoder(request),
        provider.splitter({}),
        Limits.begin(TimeLimits()),
    )
    return made, Ready([data])  # type: ignore[list-item]  # bytes, as a server's body has


def test_stream_decodes_an_event_when_it_is_asked_for() -> None:
    provider = Counting(name="acme")
    many = events(*[piece("x")] * 100, piece(None, "stop"), "[DONE]")
    stream: Stream[Any] = Stream(*state(provider, many))
    stream.prime()
    assert provider.taken == 1
    assert [next(stream).text for _ in range(3)] == ["x"] * 3
    assert provider.taken == 3
    assert stream.get_final_completion().text == "x" * 100


def test_stream_gives_what_came_before_an_error_in_the_same_piece() -> None:
    broken = events(piece("Hel"), piece("lo"), {"error": {"message": "boom", "code": 503}})
    stream: Stream[Any] = Stream(*state(OpenAILike(name="acme"), broken))
    stream.prime()
    assert [next(stream).text, next(stream).text] == ["Hel", "lo"]
    with pytest.raises(llmroute.StreamInterruptedError, match="boom") as caught:
        next(stream)
    assert caught.value.partial is not None
    assert caught.value.partial.text == "Hello"


def test_close_forgets_chunks_that_had_come() -> None:
    stream: Stream[Any] = Stream(*state(OpenAILike(name="acme"), events(piece("a"), piece("b"))))
    stream.prime()
    stream.close()
    assert list(stream) == []
    with pytest.raises(llmroute.StreamInterruptedError, match="closed before its end"):
        stream.get_final_completion()
