"""OpenAI's protocol: what goes out, what comes in, and the nearly right answers of servers."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, strategies as st

import llmroute
from llmroute.deployments import Deployment
from llmroute.errors import (
    APIError,
    APIResponseValidationError,
    BadRequestError,
    InternalServerError,
    RateLimitError,
    UnsupportedOperationError,
    UnsupportedParamsError,
)
from llmroute.providers.base import Chunk
from llmroute.providers.openai_answers import OpenAIDecoder
from llmroute.providers.openai_like import OpenAILike
from llmroute.providers.params import DroppedParamsWarning
from llmroute.runtime import Runtime, use
from llmroute.sse import SSEDecoder
from llmroute.types.chat import ChatCompletion
from llmroute.types.chat_chunk import ChatCompletionChunk
from llmroute.types.chat_request import ChatRequest
from llmroute.types.embedding import EmbeddingRequest, EmbeddingResponse
from llmroute.types.request import Request, Unsupported
from llmroute.types.text import TextCompletion, TextRequest

HELLO = [{"role": "user", "content": "Hello"}]
TOOLS = [{"type": "function", "function": {"name": "look_up"}}]
PROVIDER = OpenAILike(name="acme", base_url="http://acme/v1", key_env=("ACME_API_KEY",))
PLACE = Deployment(provider="acme", model="m", api_base="http://acme/v1", api_key="sk-1")


def chat(**fields: Any) -> ChatRequest:
    return ChatRequest(
        model="acme/m", messages=HELLO, call_id="c0ffee", created=1_700_000_000, **fields
    )


def sent(request: Request, provider: OpenAILike = PROVIDER) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(provider.build(request, PLACE).body)
    return body


# What goes out.


def test_a_chat_call() -> None:
    call = PROVIDER.build(chat(params={"temperature": 0.5}), PLACE)
    assert (call.method, call.url) == ("POST", "http://acme/v1/chat/completions")
    assert call.headers == {
        "content-type": "application/json",
        "accept": "application/json",
        "authorization": "Bearer sk-1",
    }
    assert call.body == b'{"model":"m","messages":[{"role":"user","content":"Hello"}],' + (
        b'"temperature":0.5}'
    )


def test_a_text_call_and_an_embedding_call() -> None:
    text = PROVIDER.build(TextRequest(model="acme/m", prompt="Once", params={"echo": True}), PLACE)
    assert text.url == "http://acme/v1/completions"
    assert json.loads(text.body) == {"model": "m", "prompt": "Once", "echo": True}
    vector = PROVIDER.build(EmbeddingRequest(model="acme/m", input=["a", "b"]), PLACE)
    assert vector.url == "http://acme/v1/embeddings"
    assert json.loads(vector.body) == {"model": "m", "input": ["a", "b"]}


def test_a_stream_asks_for_its_usage_unless_told_otherwise() -> None:
    assert sent(chat(stream=True))["stream_options"] == {"include_usage": True}
    told = chat(stream=True, params={"stream_options": {"include_obfuscation": False}})
    assert sent(told)["stream_options"] == {"include_usage": True, "include_obfuscation": False}
    both = {"include_usage": False, "include_obfuscation": False}
    assert sent(chat(stream=True, params={"stream_options": both}))["stream_options"] == both
    without = OpenAILike(name="acme", stream_usage=False)
    assert sent(chat(stream=True), without) == {"model": "m", "messages": HELLO, "stream": True}
    assert PROVIDER.build(chat(stream=True), PLACE).headers["accept"] == "text/event-stream"


@pytest.mark.parametrize("options", [{}, {"include_usage": False}])
def test_stream_options_that_ask_for_nothing_are_not_sent(options: dict[str, bool]) -> None:
    request = chat(stream=True, params={"stream_options": options})
    assert sent(request) == {"model": "m", "messages": HELLO, "stream": True}


def test_stream_options_without_a_stream_are_not_sent() -> None:
    options = {"stream_options": {"include_usage": True}}
    assert sent(chat(params=options)) == {"model": "m", "messages": HELLO}


def test_extra_headers_and_body_win() -> None:
    request = chat(
        params={"temperature": 0.5},
        extra_body={"temperature": 1, "mine": [1]},
        extra_headers={"X-Mine": "1", "Authorization": "Basic x"},
    )
    call = PROVIDER.build(request, PLACE)
    assert json.loads(call.body)["temperature"] == 1
    assert json.loads(call.body)["mine"] == [1]
    assert call.headers["x-mine"] == "1"
    assert call.headers["authorization"] == "Basic x"


def test_no_key_sends_no_authorization() -> None:
    keyless = Deployment(provider="acme", model="m", api_base="http://acme/v1")
    assert "authorization" not in PROVIDER.build(chat(), keyless).headers


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("http://localhost:11434", "http://localhost:11434/v1/chat/completions"),
        ("http://localhost:11434/v1", "http://localhost:11434/v1/chat/completions"),
        ("https://host/behind/it", "https://host/behind/it/chat/completions"),
        ("https://host/v1/chat/completions", "https://host/v1/chat/completions"),
        ("https://host/chat/completions/?v=1", "https://host/chat/completions?v=1"),
        ("https://host/v1/embeddings", "https://host/v1/chat/completions"),
    ],
)
def test_a_base_path_is_put_behind_a_bare_host_only(base: str, url: str) -> None:
    local = OpenAILike(name="acme", base_path="/v1")
    place = Deployment(provider="acme", model="m", api_base=base)
    assert local.build(chat(), place).url == url


def test_the_address_of_chat_completions_leads_to_the_other_operations_too() -> None:
    place = Deployment(provider="acme", model="m", api_base="https://host/v1/chat/completions")
    vector = PROVIDER.build(EmbeddingRequest(model="acme/m", input="a"), place)
    assert vector.url == "https://host/v1/embeddings"


@pytest.mark.parametrize("base", ["http://host/v1#there", "http://host/v1?a=b#there"])
def test_a_fragment_in_a_base_url_is_refused(base: str) -> None:
    with pytest.raises(BadRequestError, match="api_base has a fragment") as caught:
        PROVIDER.build(chat(), Deployment(provider="acme", model="m", api_base=base))
    assert caught.value.param == "api_base"


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("place", ["extra_body", "params"])
def test_numbers_that_json_does_not_have_are_refused(number: float, place: str) -> None:
    holding: dict[str, Any] = {place: {"metadata": {"list": [1, number]}}}
    with pytest.raises(BadRequestError, match="NaN or an infinite number"):
        PROVIDER.build(chat(**holding), PLACE)


def test_the_names_of_such_numbers_in_a_text_are_sent() -> None:
    text = 'x:[NaN,-Infinity]":NaN,'
    assert sent(chat(extra_body={"text": text}))["text"] == text


def test_idempotency_header_is_the_same_for_every_try_and_new_for_another_body() -> None:
    provider = OpenAILike(name="acme", idempotency_header="Idempotency-Key")

    def key(request: ChatRequest, place: Deployment = PLACE) -> str:
        return provider.build(request, place).headers["idempotency-key"]

    request = chat()
    assert key(request) == key(request)
    assert key(request) != key(replace(request, call_id="another"))
    assert key(request) != key(request, replace(PLACE, model="fallback"))
    assert key(replace(request, extra_headers={"Idempotency-Key": "mine"})) == "mine"
    assert "idempotency-key" not in PROVIDER.build(request, PLACE).headers


def test_what_json_cannot_carry_is_the_callers_error() -> None:
    with pytest.raises(BadRequestError, match="cannot be written as JSON"):
        PROVIDER.build(chat(extra_body={"x": object()}), PLACE)


def test_an_operation_it_does_not_have() -> None:
    with use(Runtime()):
        llmroute.register_provider("acme", OpenAILike(name="acme", operations=("chat",)))
        with pytest.raises(UnsupportedOperationError, match="acme has no embedding operation"):
            llmroute.embedding("acme/m", "a", api_base="http://127.0.0.1:1")


def test_an_option_of_a_local_model_is_not_dropped_in_silence() -> None:
    place = replace(PLACE, model_kwargs={"n_ctx": 512})
    with pytest.raises(UnsupportedParamsError, match="'n_ctx' in model_kwargs") as caught:
        PROVIDER.build(chat(), place)
    assert caught.value.param == "model_kwargs"


# Parameters it does not take.

PICKY = OpenAILike(
    name="acme",
    unsupported_params=frozenset({"logit_bias"}),
    extra_params=frozenset({"top_k"}),
    renamed_params={"seed": "random_seed"},
)
PARAMS = {"logit_bias": {"1": 2.0}, "top_k": 5, "seed": 7, "min_p": 0.1}


def test_an_unsupported_parameter_is_refused() -> None:
    with pytest.raises(UnsupportedParamsError, match="'logit_bias', 'min_p'") as caught:
        PICKY.build(chat(params=PARAMS), PLACE)
    assert (caught.value.provider, caught.value.param) == ("acme", "logit_bias")


def test_an_unsupported_parameter_is_dropped_with_a_warning_and_a_record() -> None:
    with pytest.warns(DroppedParamsWarning, match="acme does not take 'logit_bias', 'min_p'"):
        call = PICKY.build(chat(params=PARAMS, unsupported="drop"), PLACE)
    assert call.dropped_params == ("logit_bias", "min_p")
    assert json.loads(call.body) == {
        "model": "m",
        "messages": HELLO,
        "top_k": 5,
        "random_seed": 7,
    }


def test_an_unsupported_parameter_is_passed() -> None:
    call = PICKY.build(chat(params=PARAMS, unsupported="pass"), PLACE)
    assert call.dropped_params == ()
    assert json.loads(call.body).keys() >= {"logit_bias", "min_p", "top_k", "random_seed"}


@pytest.mark.parametrize(
    ("name", "nothing", "something"),
    [("n", 1, 2), ("tool_choice", "auto", "required"), ("logprobs", False, True)],
)
def test_a_value_that_asks_for_nothing_is_no_reason_to_refuse(
    name: str, nothing: object, something: object
) -> None:
    provider = OpenAILike(name="acme", unsupported_params=frozenset({name}))
    assert name not in sent(chat(params={name: nothing, "tools": TOOLS}), provider)
    assert sent(chat(params={name: nothing, "tools": TOOLS}))[name] == nothing
    with pytest.raises(UnsupportedParamsError, match=name):
        provider.build(chat(params={name: something}), PLACE)


@pytest.mark.parametrize("unsupported", ["raise", "drop", "pass"])
@pytest.mark.parametrize(
    "nothing",
    [
        {"tools": []},
        {"tools": [], "tool_choice": "auto", "parallel_tool_calls": True},
        {"tool_choice": "none"},
        {"functions": []},
        {"stop": []},
        {"logit_bias": {}},
        {"modalities": []},
        {"metadata": {}},
    ],
)
def test_parameters_that_ask_for_nothing_are_not_sent(
    nothing: dict[str, Any], unsupported: Unsupported
) -> None:
    request = chat(params=nothing, unsupported=unsupported)
    assert sent(request) == {"model": "m", "messages": HELLO}
    picky = OpenAILike(name="acme", unsupported_params=frozenset(nothing))
    assert sent(request, picky) == {"model": "m", "messages": HELLO}


def test_an_empty_value_that_asks_for_something_is_sent() -> None:
    # OpenAI searches the web when it is asked with no options.
    assert sent(chat(params={"web_search_options": {}}))["web_search_options"] == {}


# What comes in.

ANSWER: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m-0613",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi"}}
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}


def parsed(answer: Mapping[str, Any], provider: OpenAILike = PROVIDER) -> ChatCompletion:
    completion = provider.parse(json.dumps(answer).encode(), chat())
    assert isinstance(completion, ChatCompletion)
    return completion


def choice(**fields: Any) -> dict[str, Any]:
    return {**ANSWER, "choices": [{**ANSWER["choices"][0], **fields}]}


def test_a_proper_answer_is_kept_as_it_is() -> None:
    extra = {**ANSWER, "x_acme": {"queue": 0.1}}
    assert parsed(extra).to_dict() == extra


def test_missing_bookkeeping_is_filled_in_and_nothing_else() -> None:
    completion = parsed({"choices": [{"message": {"content": "Hi"}}]})
    assert completion.id == "chatcmpl-c0ffee"
    assert completion.created == 1_700_000_000
    assert completion.model == "m"
    assert completion.choices[0].finish_reason is None
    assert completion.usage is None


@pytest.mark.parametrize(
    ("told", "counts"),
    [
        ({"prompt_tokens": 1, "completion_tokens": 2}, (1, 2, 3)),
        ({"prompt_tokens": 1, "total_tokens": 3, "x": 7}, (1, 2, 3)),
        ({"completion_tokens": 2, "total_tokens": 3}, (1, 2, 3)),
        ({"prompt_tokens": 5, "total_tokens": 3}, None),
        ({"total_tokens": 3}, None),
        ({}, None),
        ("3 tokens", None),
    ],
    ids=repr,
)
def test_a_usage_that_lacks_a_count_costs_no_answer(
    told: Any, counts: tuple[int, int, int] | None
) -> None:
    completion = parsed({**ANSWER, "usage": told})
    assert completion.text == "Hi"
    if counts is None:
        assert completion.usage is None
        assert completion["native_usage"] == told
        return
    usage = completion.usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == counts
    assert all(usage[name] == value for name, value in told.items())


@pytest.mark.parametrize(
    ("word", "ours", "native"),
    [
        ("eos", "stop", "eos"),
        ("end_turn", "stop", "end_turn"),
        ("STOP", "stop", "STOP"),
        ("LENGTH", "length", "LENGTH"),
        ("Max_Tokens", "length", "Max_Tokens"),
        ("null", None, None),
        (["stop"], None, ["stop"]),
        (7, None, 7),
        ("max_tokens", "length", "max_tokens"),
        ("model_length", "length", "model_length"),
        ("tired", None, "tired"),
        ("", None, None),
        (None, None, None),
        ("length", "length", None),
    ],
)
def test_finish_reasons_are_translated_and_never_invented(
    word: str | None, ours: str | None, native: str | None
) -> None:
    provider = OpenAILike(name="acme", finish_reasons={"model_length": "length"})
    done = parsed(choice(finish_reason=word), provider).choices[0]
    assert done.finish_reason == ours
    assert done.get("native_finish_reason") == native


def test_tool_calls_without_id_get_one_each() -> None:
    calls = [{"function": {"name": name, "arguments": "{}"}} for name in ("a", "b")]
    message = parsed(choice(message={"content": None, "tool_calls": calls})).choices[0].message
    assert [call.id for call in message.tool_calls or ()] == ["call_c0ffee_0", "call_c0ffee_1"]
    assert [call.type for call in message.tool_calls or ()] == ["function", "function"]


def test_a_content_in_parts_becomes_a_text() -> None:
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
        {"type": "text", "text": "Yes"},
        {"type": "text", "text": "!"},
    ]
    message = parsed(choice(message={"role": "assistant", "content": parts})).choices[0].message
    assert (message.content, message.reasoning_content) == ("Yes!", "Hm.")


def test_thinking_has_one_name() -> None:
    said = {"role": "assistant", "content": "Yes", "reasoning": "Hm."}
    message = parsed(choice(message=said)).choices[0].message
    assert (message.reasoning_content, message["reasoning"]) == ("Hm.", "Hm.")
    (chunk,) = decoded(stream(delta(reasoning="Hm.")))
    assert isinstance(chunk, ChatCompletionChunk)
    assert chunk.choices[0].delta.reasoning_content == "Hm."


@pytest.mark.parametrize("part", [{"type": "image"}, {"type": "text"}, {"type": []}, 7])
def test_a_part_that_is_no_text_is_not_dropped_in_silence(part: object) -> None:
    with pytest.raises(APIResponseValidationError, match=r"choices\.0\.message\.content"):
        parsed(choice(message={"role": "assistant", "content": [part]}))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "is not JSON"),
        (b"<html>", "is not JSON"),
        (b"[]", "does not follow the protocol"),
        (b"{}", r"does not follow the protocol \(choices"),
        (b'{"choices": []}', "has no choices"),
        (b'{"choices": [{"message": {"content": 1}}]}', "choices.0.message.content"),
    ],
)
def test_an_answer_that_is_none(body: bytes, message: str) -> None:
    with pytest.raises(APIResponseValidationError, match=message) as caught:
        PROVIDER.parse(body, chat())
    assert (caught.value.provider, caught.value.model) == ("acme", "acme/m")


def test_an_error_sent_with_status_200() -> None:
    with pytest.raises(RateLimitError, match="slow down"):
        PROVIDER.parse(b'{"error": {"message": "slow down", "code": 429}}', chat())


def test_text_and_embedding_answers() -> None:
    text = PROVIDER.parse(b'{"choices": [{"text": "x"}]}', TextRequest(model="a/m", prompt="p"))
    assert isinstance(text, TextCompletion)
    assert text.text == "x"
    body = b'{"model": "m", "data": [{"index": 0, "embedding": [0.5]}]}'
    vector = PROVIDER.parse(body, EmbeddingRequest(model="a/m", input="p"))
    assert isinstance(vector, EmbeddingResponse)
    assert vector.data[0].embedding == [0.5]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "choices",
                    "message",
                    "delta",
                    "content",
                    "tool_calls",
                    "function",
                    "index",
                    "role",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


REQUESTS = [
    chat(),
    TextRequest(model="acme/m", prompt="p"),
    EmbeddingRequest(model="acme/m", input="p"),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: request.operation)
@given(
    JSON
    | st.fixed_dictionaries({"choices": st.lists(JSON, max_size=3)})
    | st.fixed_dictionaries({"data": st.lists(JSON, max_size=3)})
)
def test_any_answer_is_one_or_an_error_of_ours(request_: Request, answer: Any) -> None:
    with contextlib.suppress(APIError):
        PROVIDER.parse(json.dumps(answer).encode(), request_)


# Streams.


def stream(*payloads: Any, done: bool = True) -> bytes:
    events = [p if isinstance(p, bytes) else b"data: " + json.dumps(p).encode() for p in payloads]
    return b"".join(event + b"\n\n" for event in [*events, *([b"data: [DONE]"] * done)])


def delta(finish_reason: str | None = None, **fields: Any) -> dict[str, Any]:
    return {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": fields, "finish_reason": finish_reason}],
    }


def decoded(*pieces: bytes) -> list[Chunk]:
    events, decoder = SSEDecoder(), PROVIDER.decoder(chat())
    chunks = [c for piece in pieces for event in events.feed(piece) for c in decoder.feed(event)]
    chunks += [c for event in events.flush() for c in decoder.feed(event)]
    assert decoder.done
    return chunks


def test_a_proper_stream() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    payloads = [
        delta(role="assistant", content=""),
        delta(content="Hi"),
        delta("stop"),
        {**delta(), "choices": [], "usage": usage},
    ]
    assert [chunk.to_dict() for chunk in decoded(stream(*payloads))] == payloads


def test_missing_bookkeeping_of_chunks_is_filled_in() -> None:
    first, second = decoded(stream({"choices": [{"delta": {"content": "a"}}]}, {"usage": None}))
    assert (first.id, first.created, first.model) == ("chatcmpl-c0ffee", 1_700_000_000, "m")
    assert first.text == "a"
    assert second.choices == []


def test_roles_and_reasons_of_chunks_are_repaired() -> None:
    chunks = decoded(stream(delta(role="", content="a"), delta("eos")))
    assert isinstance(chunks[0], ChatCompletionChunk)
    assert chunks[0].choices[0].delta.role is None
    assert chunks[1].choices[0].finish_reason == "stop"


def tool(arguments: str = "", /, **fields: Any) -> dict[str, Any]:
    name = fields.pop("name", None)
    function = {"arguments": arguments} | ({"name": name} if name else {})
    return {**fields, "function": function}


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param(
            [
                [tool(index=0, id="a", name="f")],
                [tool('{"x":', index=0)],
                [tool("1}", index=0)],
                [tool(index=1, id="b", name="g")],
                [tool("{}", index=1)],
            ],
            id="as OpenAI sends them",
        ),
        pytest.param(
            [
                [tool(index=0, id="a", name="f")],
                [tool('{"x":', index=0)],
                [tool("1}", index=0)],
                [tool(index=0, id="b", name="g")],
                [tool("{}", index=0)],
            ],
            id="every index is 0",
        ),
        pytest.param(
            [
                [tool('{"x":', index=0, id="a", name="f"), tool(index=0, id="b", name="g")],
                [tool("1}", index=0, id="a"), tool("{}", index=0, id="b")],
            ],
            id="every index is 0, mixed",
        ),
        pytest.param(
            [
                [tool('{"x":1}', id="a", name="f")],
                [tool("{}", id="b", name="g")],
            ],
            id="no index",
        ),
        pytest.param(
            [[tool('{"x":1}', id="a", name="f"), tool("{}", id="b", name="g")]],
            id="no index, in one chunk",
        ),
        pytest.param(
            [
                [tool(id="a", name="f")],
                [tool('{"x":1}')],
                [tool(id="b", name="g")],
                [tool("{}")],
            ],
            id="no index, in pieces",
        ),
        pytest.param(
            [[tool('{"x":1}', name="f"), tool("{}", name="g")]],
            id="no index and no id",
        ),
        pytest.param(
            [
                [tool('{"x":', index=0, name="f")],
                [tool("1}", index=0)],
                [tool("{}", index=1, name="g")],
            ],
            id="no id",
        ),
        pytest.param(
            [
                [tool('{"x":', index=0, name="f", id="")],
                [tool("1}", index=0, id="")],
                [tool("{}", index=1, name="g", id="")],
            ],
            id="empty id",
        ),
    ],
)
def test_tool_calls_are_kept_apart_and_named(pieces: list[list[dict[str, Any]]]) -> None:
    chunks = decoded(stream(*[delta(tool_calls=calls) for calls in pieces]))
    found: dict[int, list[str]] = {}
    for chunk in chunks:
        assert isinstance(chunk, ChatCompletionChunk)
        for call in chunk.choices[0].delta.tool_calls or ():
            entry = found.setdefault(call.index, ["", "", ""])
            entry[0] = entry[0] or call.id or ""
            assert call.function
            entry[1] += call.function.name or ""
            entry[2] += call.function.arguments or ""
    assert [found[index][1:] for index in sorted(found)] == [["f", '{"x":1}'], ["g", "{}"]]
    ids = [found[index][0] for index in sorted(found)]
    assert ids in (["a", "b"], ["call_c0ffee_0_0", "call_c0ffee_0_1"])


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (b'event: error\ndata: {"error": {"message": "full", "code": 429}}', RateLimitError),
        (b'data: {"error": {"message": "full", "code": "server_error"}}', InternalServerError),
        (b'data: {"error": "full", "choices": []}', InternalServerError),
        (b'{"title": "Full", "detail": "full", "status": 429}', RateLimitError),
        (b'data: {"object": "error", "message": "full", "code": 429}', RateLimitError),
        (b"event: error\ndata: {}", InternalServerError),
        (b"event: error\ndata: full", InternalServerError),
        (b"event: error\ndata:", InternalServerError),
        (b'data: {"detail": "full"}', InternalServerError),
        (b'data: {"success": false}', InternalServerError),
        (b"data: the worker died", APIResponseValidationError),
        (b'data: {"choi', APIResponseValidationError),
        (b"data: 1", APIResponseValidationError),
        (b'data: {"choices": 1}', APIResponseValidationError),
    ],
)
def test_an_error_within_a_stream_is_raised(event: bytes, expected: type[APIError]) -> None:
    events, decoder = SSEDecoder(), PROVIDER.decoder(chat())
    first, second = events.feed(stream(delta(content="Hi"), event + b"\n", done=False))
    decoder.feed(first)
    with pytest.raises(expected):
        decoder.feed(second)
    assert not decoder.done


LATE = [
    delta(content="more"),
    delta("length"),
    {"error": {"message": "late"}},
    b"data: [DONE]",
    b"data: no JSON",
    b"event: ping\ndata: {}",
]


@pytest.mark.parametrize("late", LATE, ids=str)
def test_decoder_ignores_what_follows_the_end(late: Any) -> None:
    whole = stream(delta("stop", content="x"))
    assert decoded(whole + stream(late, done=False)) == decoded(whole)


HARMLESS = [
    b"data:",
    b"data: ",
    b"data:  \ndata:",
    b"data: {}",
    b"data: null",
    b'data: {"type": "ping"}',
    b'data: {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}',
    b'event: ping\ndata: {"type": "ping"}',
    b'event: progress\ndata: {"message": "still loading"}',
    b"event: heartbeat\ndata: tick",
    b"event: keep-alive\ndata:",
    b": comment",
    b"retry: 1000",
]


@pytest.mark.parametrize("event", HARMLESS, ids=str)
def test_decoder_ignores_what_keeps_a_connection_alive(event: bytes) -> None:
    calm = [delta(content="a"), delta("stop", content="b")]
    assert decoded(stream(calm[0], event, calm[1])) == decoded(stream(*calm))
    assert decoded(stream(event, *calm)) == decoded(stream(*calm))


@pytest.mark.parametrize("name", [b"chunk", b"completion", b"message"])
def test_decoder_takes_chunks_and_errors_of_any_event_name(name: bytes) -> None:
    event = b"event: " + name + b"\ndata: " + json.dumps(delta(content="a")).encode()
    (chunk,) = decoded(stream(event))
    assert chunk.text == "a"
    with pytest.raises(RateLimitError, match="full"):
        decoded(stream(b"event: " + name + b'\ndata: {"error": {"message": "full", "code": 429}}'))


@pytest.mark.parametrize("mark", [b"[DONE] ", b" [DONE]", b"[DONE]\r"])
def test_decoder_takes_blanks_around_the_end_mark(mark: bytes) -> None:
    assert decoded(stream(delta("stop"), b"data: " + mark, done=False))


WHOLE = stream(
    b": comment",
    delta(role="assistant", content="Žluť "),
    delta(tool_calls=[tool("{}", id="a", name="f"), tool("{}", id="b", name="g")]),
    {**delta("eos"), "created": 1.5},
)
EXPECTED = decoded(WHOLE)


def test_every_border_gives_the_same_chunks() -> None:
    for border in range(len(WHOLE)):
        assert decoded(WHOLE[:border], WHOLE[border:]) == EXPECTED


@given(st.lists(st.integers(0, len(WHOLE)), max_size=8))
def test_any_pieces_give_the_same_chunks(cuts: list[int]) -> None:
    borders = [0, *sorted(cuts), len(WHOLE)]
    pieces = [WHOLE[borders[i] : borders[i + 1]] for i in range(len(borders) - 1)]
    assert decoded(*pieces) == EXPECTED


@pytest.mark.parametrize("request_", REQUESTS[:2], ids=lambda request: request.operation)
@given(st.lists(JSON | st.fixed_dictionaries({"choices": st.lists(JSON, max_size=2)}), max_size=4))
def test_any_stream_is_chunks_or_an_error_of_ours(request_: Request, payloads: list[Any]) -> None:
    decoder: OpenAIDecoder = PROVIDER.decoder(request_)
    with contextlib.suppress(APIError):
        for event in SSEDecoder().feed(stream(*payloads)):
            decoder.feed(event)


# What is said about failures.


@pytest.mark.parametrize(
    ("to_any_host", "hint"), [(False, " (which goes to http://acme/v1 only)."), (True, ".")]
)
def test_a_refusal_without_a_key_names_the_variable(to_any_host: bool, hint: str) -> None:
    provider = OpenAILike(
        name="acme",
        base_url="http://acme/v1",
        key_env=("ACME_API_KEY",),
        key_to_any_host=to_any_host,
    )
    refused = provider.error(401, {}, b'{"error": {"message": "Unauthorized."}}')
    keyless = Deployment(provider="acme", model="m", api_base="http://elsewhere/v1")
    told = provider.explain(refused, keyless).message
    said = "401: Unauthorized. No key was sent: pass api_key=, or set ACME_API_KEY"
    assert told == said + hint


def test_a_refused_key_is_left_at_what_the_provider_says() -> None:
    refused = PROVIDER.error(401, {}, b'{"error": {"message": "Wrong key."}}')
    assert PROVIDER.explain(refused, PLACE).message == "401: Wrong key."


@pytest.mark.parametrize("size", [10, 200_000])
@pytest.mark.parametrize("number", [float("nan"), float("-inf")])
def test_encode_refuses_what_is_no_number_in_bodies_of_any_size(size: int, number: float) -> None:
    message = {"role": "user", "content": "NaN, Infinity " + "x" * size}
    request = replace(chat(), messages=[message])
    assert b"Infinity" in PROVIDER.build(request, PLACE).body
    for wrong in (
        replace(request, extra_body={"a": [{"b": number}]}),
        replace(request, messages=[{**message, "odd": number}]),
    ):
        with pytest.raises(BadRequestError, match="NaN or an infinite number"):
            PROVIDER.build(wrong, PLACE)
