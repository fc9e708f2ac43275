"""`meta_llama/` from the public calls down to the socket, against the Llama API emulator."""

from __future__ import annotations

import asyncio
import json
import pickle
from collections.abc import Iterator
from typing import Any, Protocol

import httpx
import pytest

import llmroute
from llmroute.testing.llama_api import (
    MODELS,
    Disconnect,
    LlamaAPIEmulator,
    Reply,
    ToolUse,
    failure,
    redirect,
)
from llmroute.types.request import TimeLimits

MODEL = f"meta_llama/{MODELS[2]}"
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"location": {"type": "string"}}},
    },
}
QUESTION = {"role": "user", "content": "Is it raining?"}
TWO_CALLS = Reply(
    tool_calls=[
        ToolUse("get_weather", {"location": "Menlo Park"}),
        ToolUse("get_weather", {"location": "Bogotá"}),
    ]
)


class Caller(Protocol):
    """`completion()` or its twin, with the server's URL and key filled in."""

    def __call__(self, messages: Any = "Hi", **given: Any) -> llmroute.ChatCompletion: ...
    def chunks(self, messages: Any = "Hi", **given: Any) -> list[Any]: ...
    def peek(self, messages: Any = "Hi", **given: Any) -> Any: ...


class Sync:
    """`completion()`."""

    def __init__(self, **defaults: Any) -> None:
        self._defaults = {"model": MODEL, "num_retries": 0, **defaults}

    def __call__(self, messages: Any = "Hi", **given: Any) -> llmroute.ChatCompletion:
        answer = llmroute.completion(messages=messages, **{**self._defaults, **given})
        assert isinstance(answer, llmroute.ChatCompletion)
        return answer

    def chunks(self, messages: Any = "Hi", **given: Any) -> list[Any]:
        """All chunks of a stream, and the whole completion behind them."""
        given = {**self._defaults, **given, "stream": True}
        with llmroute.completion(messages=messages, **given) as stream:
            return [*stream, stream.get_final_completion()]

    def peek(self, messages: Any = "Hi", **given: Any) -> Any:
        """The first chunk; the stream is closed after it."""
        given = {**self._defaults, **given, "stream": True}
        with llmroute.completion(messages=messages, **given) as stream:
            return next(stream)


class Async(Sync):
    """`acompletion()`."""

    def __call__(self, messages: Any = "Hi", **given: Any) -> llmroute.ChatCompletion:
        given = {**self._defaults, **given}
        answer = asyncio.run(llmroute.acompletion(messages=messages, **given))
        assert isinstance(answer, llmroute.ChatCompletion)
        return answer

    def chunks(self, messages: Any = "Hi", **given: Any) -> list[Any]:
        async def read() -> list[Any]:
            options = {**self._defaults, **given, "stream": True}
            async with await llmroute.acompletion(messages=messages, **options) as stream:
                chunks = [chunk async for chunk in stream]
                return [*chunks, await stream.get_final_completion()]

        return asyncio.run(read())

    def peek(self, messages: Any = "Hi", **given: Any) -> Any:
        async def read() -> Any:
            options = {**self._defaults, **given, "stream": True}
            async with await llmroute.acompletion(messages=messages, **options) as stream:
                return await anext(stream)

        return asyncio.run(read())


@pytest.fixture
def server() -> Iterator[LlamaAPIEmulator]:
    with LlamaAPIEmulator() as emulator:
        yield emulator


@pytest.fixture(params=["compat", "native"])
def surface(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[Sync, Async], ids=["sync", "async"])
def way(request: pytest.FixtureRequest) -> type[Sync]:
    kind: type[Sync] = request.param
    return kind


def at(server: LlamaAPIEmulator, surface: str) -> dict[str, Any]:
    """Where to find a surface of the emulator."""
    base = server.native_url if surface == "native" else server.compat_url
    return {"api_base": base, "api_key": server.api_key, "model_kwargs": {"surface": surface}}


@pytest.fixture
def ask(server: LlamaAPIEmulator, surface: str, way: type[Sync]) -> Caller:
    return way(**at(server, surface))


def test_text(server: LlamaAPIEmulator, surface: str, ask: Caller) -> None:
    server.script("Hello there — ünïcödé 🦙")
    answer = ask("Hi", temperature=0.5, max_tokens=50)
    assert answer.text == "Hello there — ünïcödé 🦙"
    assert answer.choices[0].finish_reason == "stop"
    assert (answer.object, answer.model) == ("chat.completion", MODELS[2])
    assert answer.usage is not None
    assert answer.usage.to_dict() == {
        "prompt_tokens": 2,
        "completion_tokens": 5,
        "total_tokens": 7,
    }
    assert answer.call_info is not None
    assert answer.call_info.model == MODEL
    assert answer.call_info.headers["x-emulated-usage"] == "words"
    (request,) = server.requests
    limit = "max_completion_tokens" if surface == "native" else "max_tokens"
    assert request.json == {
        "model": MODELS[2],
        "messages": [{"role": "user", "content": "Hi"}],
        "temperature": 0.5,
        limit: 50,
    }


def test_both_surfaces_give_the_same_canonical_answer(server: LlamaAPIEmulator) -> None:
    server.script(TWO_CALLS, TWO_CALLS, TWO_CALLS, TWO_CALLS)
    answers = []
    for surface in ("compat", "native"):
        ask = Sync(**at(server, surface), tools=[WEATHER])
        answers += [ask([QUESTION]), ask.chunks([QUESTION])[-1]]
    assert len({answer.usage.to_json() for answer in answers}) == 1
    said = []
    for answer in answers:
        message = answer.choices[0].message
        assert message.refusal is None
        assert answer.choices[0].logprobs is None
        said.append((message.content, [call.to_dict() for call in message.tool_calls]))
    assert said.count(said[0]) == 4
    assert said[0][0] is None


def test_the_surface_can_be_swapped_by_an_option(server: LlamaAPIEmulator, way: type[Sync]) -> None:
    ask = way(api_base=server.compat_url, api_key=server.api_key)
    ask(model_kwargs={"surface": "native"})
    ask()
    assert [request.path for request in server.requests] == [
        "/v1/chat/completions",
        "/compat/v1/chat/completions",
    ]


def test_key_and_base_from_the_environment(
    server: LlamaAPIEmulator, way: type[Sync], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLAMA_API_KEY", str(server.api_key))
    monkeypatch.setenv("LLAMA_API_BASE", server.compat_url)
    monkeypatch.setenv("OPENAI_API_KEY", "somebody else's")
    assert way()().text == "You said: Hi"
    monkeypatch.delenv("LLAMA_API_BASE")
    assert way(api_base=server.compat_url)().text == "You said: Hi"


def test_stream(server: LlamaAPIEmulator, ask: Caller) -> None:
    server.script("one two three")
    *chunks, answer = ask.chunks()
    assert "".join(chunk.text for chunk in chunks) == answer.text == "one two three"
    assert [c.choices[0].finish_reason for c in chunks][-1] == "stop"
    assert {chunk.model for chunk in chunks} == {MODELS[2]}
    assert all(chunk.usage is None for chunk in chunks)
    assert answer.usage.completion_tokens == 3
    assert server.requests[0].headers["accept"] == "text/event-stream"


def test_usage_is_shown_when_asked_for(server: LlamaAPIEmulator, ask: Caller) -> None:
    *chunks, _ = ask.chunks(stream_options={"include_usage": True})
    assert chunks[-1].choices == []
    assert chunks[-1].usage.total_tokens == 5


def test_connections_are_used_again(server: LlamaAPIEmulator, surface: str) -> None:
    ask = Sync(**at(server, surface))
    for _ in range(3):
        ask()
        ask.chunks()
    assert server.connections == 1


def test_tools_in_two_turns(server: LlamaAPIEmulator, ask: Caller) -> None:
    server.script(TWO_CALLS, "Both are sunny.")
    first = ask([QUESTION], tools=[WEATHER])
    assert first.choices[0].finish_reason == "tool_calls"
    message = first.choices[0].message
    _answer_calls(server, ask, message)


def test_streamed_tools_in_two_turns(server: LlamaAPIEmulator, ask: Caller) -> None:
    server.script(TWO_CALLS, "Both are sunny.")
    first = ask.chunks([QUESTION], tools=[WEATHER])[-1]
    assert first.choices[0].finish_reason == "tool_calls"
    _answer_calls(server, ask, first.choices[0].message)


def _answer_calls(server: LlamaAPIEmulator, ask: Caller, message: Any) -> None:
    places = [json.loads(call.function.arguments)["location"] for call in message.tool_calls]
    assert places == ["Menlo Park", "Bogotá"]
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": f"sunny in {place}"}
        for call, place in zip(message.tool_calls, places, strict=True)
    ]
    second = ask([QUESTION, message, *results], tools=[WEATHER])
    assert second.text == "Both are sunny."
    back = server.requests[1].json["messages"]
    assert [m["role"] for m in back] == ["user", "assistant", "tool", "tool"]
    assert [call["id"] for call in back[1]["tool_calls"]] == [r["tool_call_id"] for r in results]
    assert b"null" not in server.requests[1].body


@pytest.mark.parametrize("form", ["object", "dict", "dump", "json"])
def test_an_answer_can_be_put_back_in_any_form(
    server: LlamaAPIEmulator, ask: Caller, form: str
) -> None:
    answer = ask()
    forms = {
        "object": answer.choices[0].message,
        "dict": answer.to_dict()["choices"][0]["message"],
        "dump": answer.choices[0].message.model_dump(),
        "json": json.loads(answer.to_json())["choices"][0]["message"],
    }
    ask([QUESTION, forms[form], QUESTION])
    assert server.requests[1].json["messages"][1] == {
        "role": "assistant",
        "content": "You said: Hi",
    }


def test_images(server: LlamaAPIEmulator, ask: Caller) -> None:
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
    ]
    assert ask([{"role": "user", "content": parts}]).text == "You said: What is this? [image]"
    assert server.requests[0].json["messages"] == [{"role": "user", "content": parts}]


def test_json_schema(server: LlamaAPIEmulator, ask: Caller) -> None:
    schema = {"type": "object", "properties": {"street": {"type": "string"}}}
    asked = {"type": "json_schema", "json_schema": {"name": "Address", "schema": schema}}
    answer = ask(response_format=asked)
    assert json.loads(answer.text) == {"street": "text"}
    assert server.requests[0].json["response_format"] == asked


def test_token_limit(server: LlamaAPIEmulator, ask: Caller) -> None:
    server.script("one two three", "one two three")
    assert ask(max_tokens=2).choices[0].finish_reason == "length"
    answer = ask.chunks(max_tokens=2)[-1]
    assert (answer.choices[0].finish_reason, answer.text) == ("length", "one two")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, llmroute.BadRequestError),
        (401, llmroute.AuthenticationError),
        (403, llmroute.PermissionDeniedError),
        (404, llmroute.NotFoundError),
        (408, llmroute.APITimeoutError),
        (409, llmroute.ConflictError),
        (413, llmroute.RequestTooLargeError),
        (422, llmroute.UnprocessableEntityError),
        (429, llmroute.RateLimitError),
        (500, llmroute.InternalServerError),
        (503, llmroute.ServiceUnavailableError),
    ],
)
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_failures(
    server: LlamaAPIEmulator, ask: Caller, status: int, error: type[Exception], stream: bool
) -> None:
    server.script(failure(status, "no", retry_after=7, headers={"x-request-id": "r1"}))
    with pytest.raises(error) as caught:
        ask.chunks() if stream else ask()
    failed = caught.value
    assert type(failed) is error
    assert isinstance(failed, llmroute.APIError)
    assert (failed.status_code, failed.retry_after, failed.request_id) == (status, 7.0, "r1")
    assert (failed.provider, failed.model) == ("meta_llama", MODEL)
    assert failed.url == server.url + server.requests[0].path
    assert failed.body["detail"] == "no"  # type: ignore[index]
    assert str(server.api_key) not in f"{failed!r} {failed} {vars(failed)}"
    assert type(pickle.loads(pickle.dumps(failed))) is error


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_retries(server: LlamaAPIEmulator, ask: Caller, stream: bool) -> None:
    server.script(failure(503, retry_after=0), failure(429, retry_after=0), "at last")
    answer = ask.chunks(num_retries=2)[-1] if stream else ask(num_retries=2)
    assert answer.text == "at last"
    assert len(server.requests) == 3
    assert len(answer.call_info.attempts) == 3


def test_exactly_n_plus_one_requests(server: LlamaAPIEmulator, ask: Caller) -> None:
    server.script(failure(429, retry_after=0), repeat=True)
    with pytest.raises(llmroute.RateLimitError) as caught:
        ask(num_retries=2)
    assert len(server.requests) == len(caught.value.attempts) == 3


def test_wrong_key(server: LlamaAPIEmulator, ask: Caller) -> None:
    with pytest.raises(llmroute.AuthenticationError):
        ask(api_key="wrong", num_retries=2)
    assert len(server.requests) == 1


PLAIN_FAULTS = {
    "cut": llmroute.APIConnectionError,
    "reset": llmroute.APIConnectionError,
    "truncated": llmroute.APIResponseValidationError,
    "invalid_json": llmroute.APIResponseValidationError,
}


@pytest.mark.parametrize("fault", PLAIN_FAULTS)
def test_broken_answers(server: LlamaAPIEmulator, ask: Caller, fault: Any) -> None:
    server.script(Reply("one two three", fault=fault))
    with pytest.raises(PLAIN_FAULTS[fault]):
        ask()


@pytest.mark.parametrize(
    "fault",
    [
        "cut",
        "truncated",
        "invalid_json",
        "no_end",
        "no_finish",
        "bare_error",
        "error_event",
    ],
)
def test_broken_streams(server: LlamaAPIEmulator, ask: Caller, fault: Any) -> None:
    server.script(Reply("one two three", fault=fault), repeat=True)
    with pytest.raises(llmroute.StreamInterruptedError) as caught:
        ask.chunks(num_retries=2)
    assert len(server.requests) == 1, "what was delivered in part is not tried again"
    failed = caught.value
    assert failed.provider == "meta_llama"
    assert failed.partial is not None
    assert failed.partial.text == ("one two three" if fault == "no_finish" else "one two")
    assert failed.partial.choices[0].finish_reason is None
    assert failed.status_code == (500 if "error" in fault else None)


def test_an_end_that_comes_twice_changes_nothing(server: LlamaAPIEmulator, ask: Caller) -> None:
    server.script(Reply("one two three", fault="second_end"))
    answer = ask.chunks()[-1]
    assert (answer.text, answer.choices[0].finish_reason) == ("one two three", "stop")


def test_a_reset_in_a_stream(server: LlamaAPIEmulator, ask: Caller) -> None:
    # The reset may overtake what was sent before it, so how much arrives is open.
    server.script(Reply("one two three", fault="reset"))
    with pytest.raises((llmroute.StreamInterruptedError, llmroute.APIConnectionError)):
        ask.chunks()


def test_disconnect(server: LlamaAPIEmulator, ask: Caller) -> None:
    server.script(Disconnect())
    with pytest.raises(llmroute.APIConnectionError):
        ask()


def test_a_disconnected_call_is_tried_again(server: LlamaAPIEmulator) -> None:
    server.script(Disconnect(), "at last")
    assert Sync(api_base=server.compat_url, api_key=server.api_key)(num_retries=1).text == "at last"


def test_timeouts(server: LlamaAPIEmulator, ask: Caller) -> None:
    server.script(Reply("late", delay=60), Reply("one two three", gap=60))
    with pytest.raises(llmroute.APITimeoutError):
        ask(timeout=TimeLimits(first_token=0.1))
    # The first event says only who speaks; the limit is about what is said.
    with pytest.raises(llmroute.APITimeoutError):
        ask.chunks(timeout=TimeLimits(first_token=0.1))
    assert all(request.done.wait(5) for request in server.requests)
    assert [request.outcome for request in server.requests] == ["abandoned"] * 2


def test_leaving_early_lets_go_of_the_connection(server: LlamaAPIEmulator, ask: Caller) -> None:
    server.script(Reply("word " * 1000, gap=0.05))
    ask.peek()
    assert server.requests[0].done.wait(5)
    assert server.requests[0].outcome == "abandoned"


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_a_redirect_within_the_server_is_followed_with_the_key(
    server: LlamaAPIEmulator, ask: Caller, stream: bool
) -> None:
    server.script(lambda request: redirect(request.path + "?again"), "after all")
    answer = ask.chunks()[-1] if stream else ask()
    assert answer.text == "after all"
    first, second = server.requests
    assert second.path == first.path + "?again"
    assert second.body == first.body
    assert second.headers["authorization"] == f"Bearer {server.api_key}"


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_a_redirect_elsewhere_is_refused(
    server: LlamaAPIEmulator, ask: Caller, stream: bool
) -> None:
    with LlamaAPIEmulator() as thief:
        server.script(redirect(f"{thief.compat_url}/chat/completions"))
        with pytest.raises(llmroute.APIStatusError) as caught:
            ask.chunks(num_retries=2) if stream else ask(num_retries=2)
        assert caught.value.status_code == 307
        assert thief.compat_url in caught.value.message
        assert str(server.api_key) not in str(caught.value)
        assert thief.requests == []
        assert len(server.requests) == 1


def test_what_metas_host_refused_is_asked_of_another_host(
    server: LlamaAPIEmulator, way: type[Sync]
) -> None:
    params: Any = {"tool_choice": "required", "tools": [WEATHER]}
    ask = way(**at(server, "compat"))
    with pytest.raises(llmroute.BadRequestError, match="tool_choice other than auto") as caught:
        ask(**params)
    assert caught.value.status_code == 400
    assert len(server.requests) == 1
    with pytest.raises(llmroute.UnsupportedParamsError, match="tool_choice"):
        way(api_base="https://api.llama.com/compat/v1", api_key="k")(**params)


def test_native_tool_choice(server: LlamaAPIEmulator, way: type[Sync]) -> None:
    ask = way(**at(server, "native"))
    answer = ask(tools=[WEATHER], tool_choice="required")
    assert answer.choices[0].finish_reason == "tool_calls"


@pytest.mark.parametrize("sunset", ["forbidden", "unreachable"])
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_the_retired_host(sunset: Any, stream: bool) -> None:
    """The emulator stands in for the retired host by being the proxy on the way to it."""
    ask = Sync(api_base="http://api.llama.com/compat/v1", api_key="old", num_retries=2)
    with LlamaAPIEmulator(sunset=sunset) as server, httpx.Client(proxy=server.url) as client:
        with pytest.raises(llmroute.ProviderRetiredError, match="2026-07-06") as caught:
            ask.chunks(client=client) if stream else ask(client=client)
        assert len(server.requests) == 1, "what is retired is not tried again"
    assert "LLAMA_API_BASE" in str(caught.value)
    assert len(caught.value.attempts) == 1


def test_the_retired_host_may_not_even_be_found(way: type[Sync]) -> None:
    with pytest.raises(llmroute.ProviderRetiredError):
        way(api_key="old", num_retries=2)()


def test_a_missing_key_names_its_variable(way: type[Sync]) -> None:
    with pytest.raises(llmroute.AuthenticationError, match="LLAMA_API_KEY"):
        way()()
