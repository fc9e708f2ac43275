"""MetaLlamaChatGenerator: what it sends, and what it makes of the answers."""

from __future__ import annotations

import asyncio
import copy
import json

import pytest
from haystack.dataclasses import ChatMessage, ToolCall
from haystack.tools import Toolset
from haystack.utils import Secret
from pydantic import BaseModel

from llmroute.errors import (
    AuthenticationError,
    InternalServerError,
    ProviderRetiredError,
    RateLimitError,
    StreamInterruptedError,
)
from llmroute.integrations.haystack import MetaLlamaChatGenerator
from llmroute.schemas import response_format
from llmroute.testing.llama_api import Disconnect, HTTPAnswer, Reply, ToolUse, failure

SCOUT = "Llama-4-Scout-17B-16E-Instruct-FP8"


@pytest.fixture(params=["sync", "async"])
def run(request):
    """Runs a component, in a thread or in an event loop."""
    if request.param == "sync":
        return lambda component, *args, **options: component.run(*args, **options)
    return lambda component, *args, **options: asyncio.run(component.run_async(*args, **options))


def test_defaults():
    component = MetaLlamaChatGenerator()
    assert component.model == SCOUT
    assert component.api_base_url == "https://api.llama.com/compat/v1/"
    assert SCOUT in MetaLlamaChatGenerator.SUPPORTED_MODELS
    assert len(MetaLlamaChatGenerator.SUPPORTED_MODELS) == 4


def test_run_gives_the_answer(run, server, meta, conversation):
    server.script(Reply("Hi!", prompt_tokens=12, completion_tokens=2))
    (reply,) = run(meta(), conversation)["replies"]
    assert (reply.text, reply.role.value) == ("Hi!", "assistant")
    assert reply.meta["usage"] == {"prompt_tokens": 12, "completion_tokens": 2, "total_tokens": 14}
    assert type(reply.meta["usage"]) is dict
    assert (reply.meta["model"], reply.meta["index"]) == (SCOUT, 0)
    assert reply.meta["finish_reason"] == "stop"
    assert json.dumps(reply.to_dict())
    (request,) = server.requests
    assert request.path == "/compat/v1/chat/completions"
    assert request.json == {
        "model": SCOUT,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello?"},
        ],
    }


def test_surface_chooses_the_shape(run, server, meta, conversation):
    server.script("Hi!", repeat=True)
    native = meta(surface="native")
    assert run(native, conversation)["replies"][0].text == "Hi!"
    assert "surface" not in meta(api_key=None).to_dict()["init_parameters"]
    loaded = MetaLlamaChatGenerator.from_dict(meta(surface="native", api_key=None).to_dict())
    assert loaded.surface == "native"
    assert run(meta(api_base_url=server.compat_url), conversation)["replies"][0].text == "Hi!"
    assert [request.path for request in server.requests] == [
        "/v1/chat/completions",
        "/compat/v1/chat/completions",
    ]


def test_every_generation_kwarg_is_a_key_of_the_body(run, server, meta):
    given = {
        **{"max_tokens": 5, "temperature": 1, "top_p": 0.5, "stream": False, "safe_prompt": True},
        **{"random_seed": 7, "made_up": {"a": [1]}, "stop": ["x"], "response_format": None},
    }
    component = meta(generation_kwargs=given)
    before, at_run = copy.deepcopy(given), {"temperature": 0.25, "random_seed": 8, "top_k": 3}
    run(component, "Hi", generation_kwargs=at_run)
    sent = server.requests[0].json
    del sent["model"], sent["messages"]
    assert sent == {
        **{"max_tokens": 5, "temperature": 0.25, "top_p": 0.5, "stream": False, "top_k": 3},
        **{"safe_prompt": True, "random_seed": 8, "made_up": {"a": [1]}, "stop": ["x"]},
    }
    assert given == before == component.generation_kwargs
    assert at_run == {"temperature": 0.25, "random_seed": 8, "top_k": 3}


def test_stream_among_generation_kwargs_streams_without_a_callback(run, server, meta):
    (reply,) = run(meta(generation_kwargs={"stream": True}), "Hi")["replies"]
    assert server.requests[0].json["stream"] is True
    assert reply.text == "You said: Hi"
    assert reply.meta["usage"]["total_tokens"] > 0


def test_extra_body_headers_and_timeout_are_options_of_the_call(run, server, meta):
    options = {"extra_body": {"a": 1}, "extra_headers": {"x-team": "blue"}, "timeout": 30.0}
    run(meta(), "Hi", generation_kwargs={**options, "b": 2})
    (request,) = server.requests
    assert (request.json["a"], request.json["b"]) == (1, 2)
    assert "timeout" not in request.json
    assert request.headers["x-team"] == "blue"


class Prize(BaseModel):
    name: str
    year: int


@pytest.mark.parametrize("wanted", [Prize, response_format(Prize)], ids=["model", "dict"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("where", ["init", "run"])
def test_response_format(run, server, meta, recorder, wanted, stream, where):
    component = meta(generation_kwargs={"response_format": wanted} if where == "init" else None)
    (reply,) = run(
        component,
        "Who?",
        streaming_callback=recorder if stream else None,
        generation_kwargs={"response_format": wanted} if where == "run" else None,
    )["replies"]
    sent = server.requests[0].json["response_format"]
    assert sent == response_format(Prize)
    assert Prize.model_validate_json(reply.text)
    assert recorder.text == (reply.text if stream else "")


def test_tools_as_they_are_and_strict(run, server, meta, weather):
    spec = copy.deepcopy(weather.tool_spec)
    component = meta(tools=Toolset([weather]))
    run(component, "Hi")
    run(component, "Hi", tools_strict=True)
    run(component, "Hi", tools=[])
    plain, strict, none = (request.json for request in server.requests)
    assert plain["tools"] == [{"type": "function", "function": spec}]
    function = strict["tools"][0]["function"]
    assert function["strict"] is True
    parameters = function["parameters"]
    assert parameters["additionalProperties"] is False
    assert parameters["required"] == ["city", "options", "places"]
    assert parameters["properties"]["places"]["items"]["additionalProperties"] is False
    inner = parameters["properties"]["options"]
    assert inner["additionalProperties"] is False
    assert inner["required"] == ["units"]
    assert "tools" not in none
    assert weather.tool_spec == spec


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_tool_calls(run, server, meta, weather, recorder, stream):
    uses = [ToolUse("weather", {"city": "Bogotá"}), ToolUse("weather", {"city": "Oslo"})]
    server.script(Reply(tool_calls=uses))
    component = meta(tools=[weather], streaming_callback=recorder if stream else None)
    (reply,) = run(component, "Weather?")["replies"]
    assert reply.text is None
    assert [(call.tool_name, call.arguments) for call in reply.tool_calls] == [
        ("weather", {"city": "Bogotá"}),
        ("weather", {"city": "Oslo"}),
    ]
    assert reply.tool_calls[0].id != reply.tool_calls[1].id
    assert reply.meta["finish_reason"] == "tool_calls"


def test_the_second_turn_of_a_tool_loop(run, server, meta, weather):
    call = ToolCall(id="call-1", tool_name="weather", arguments={"city": "Bogotá"})
    messages = [
        ChatMessage.from_user("Weather?"),
        ChatMessage.from_assistant(tool_calls=[call]),
        ChatMessage.from_tool("Sunny", origin=call),
    ]
    run(meta(tools=[weather]), messages)
    assert server.requests[0].json["messages"][1:] == [
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {
                    "id": "call-1",
                    "type": "function",
                    "function": {"name": "weather", "arguments": '{"city": "Bogotá"}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "call-1", "content": "Sunny"},
    ]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("arguments", ['{"city": ', "[1]", '"text"'])
def test_tool_calls_without_an_object_are_left_out(
    run, server, meta, weather, caplog, stream, arguments
):
    good = ToolUse("weather", {"city": "Oslo"})
    server.script(Reply(tool_calls=[ToolUse("weather", arguments, id="bad-one"), good]))
    callback = (lambda chunk: None) if stream else None
    (reply,) = run(meta(tools=[weather]), "Hi", streaming_callback=callback)["replies"]
    assert [call.arguments for call in reply.tool_calls] == [{"city": "Oslo"}]
    assert "bad-one" in caplog.text


def _choice(index, key, text, reason="stop"):
    return {"index": index, key: {"role": "assistant", "content": text}, "finish_reason": reason}


def _shell(kind, *choices):
    return {"id": "1", "object": kind, "created": 1, "model": SCOUT, "choices": choices}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_n_gives_n_replies(run, server, meta, recorder, stream):
    if stream:
        pieces = [
            _choice(0, "delta", "on", None),
            _choice(1, "delta", "tw", None),
            _choice(0, "delta", "e"),
            _choice(1, "delta", "o"),
        ]
        events = [json.dumps(_shell("chat.completion.chunk", piece)) for piece in pieces]
        body = "".join(f"data: {event}\n\n" for event in [*events, "[DONE]"])
        server.script(HTTPAnswer(200, body.encode(), {"content-type": "text/event-stream"}))
    else:
        choices = [_choice(0, "message", "one"), _choice(1, "message", "two")]
        body = json.dumps(_shell("chat.completion", *choices))
        server.script(HTTPAnswer(200, body.encode(), {"content-type": "application/json"}))
    callback = recorder if stream else None
    result = run(meta(), "Hi", generation_kwargs={"n": 2}, streaming_callback=callback)
    assert server.requests[0].json["n"] == 2
    assert [(reply.text, reply.meta["index"]) for reply in result["replies"]] == [
        ("one", 0),
        ("two", 1),
    ]
    assert result["replies"][0].meta["usage"] == {}
    assert [(chunk.content, chunk.index, chunk.start) for chunk in recorder.chunks] == (
        [("on", 0, True), ("tw", 1, True), ("e", 0, False), ("o", 1, False)] if stream else []
    )


@pytest.mark.parametrize(
    ("step", "error"),
    [
        (failure(401), AuthenticationError),
        (failure(429, retry_after=3), RateLimitError),
        (failure(500), InternalServerError),
        (Reply("a b c d", fault="cut"), StreamInterruptedError),
    ],
)
def test_errors_are_llmroutes(run, server, meta, recorder, step, error):
    server.script(step)
    with pytest.raises(error) as caught:
        run(meta(), "Hi", streaming_callback=recorder)
    assert server.api_key not in f"{caught.value!s}{caught.value!r}{vars(caught.value)}"


def test_retries_are_counted(run, server, meta):
    server.script(failure(500, retry_after=0), Disconnect(), "Third time")
    (reply,) = run(meta(max_retries=2), "Hi")["replies"]
    assert reply.text == "Third time"
    assert len(server.requests) == 3


def test_default_url_is_retired():
    """Here no network is reached, which is one of the ways the retired host fails."""
    component = MetaLlamaChatGenerator(api_key=Secret.from_token("sk"), max_retries=0)
    with pytest.raises(ProviderRetiredError, match="2026-07-06"):
        component.run("Hi")
