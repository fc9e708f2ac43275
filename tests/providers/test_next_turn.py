"""The next turn: an answer's message goes back as the provider it goes to takes it."""

from __future__ import annotations

import json
from typing import Any

import openai.types.chat
import pytest

import llmroute
from llmroute.providers.gateways import GATEWAYS
from llmroute.types.chat import Message
from tests.servers import Answer, ScriptedServer

CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "look_up", "arguments": '{"q": "sky"}'},
}
SIGNED = {"extra_content": {"google": {"thought_signature": "c2ln"}}}
THOUGHT = {"reasoning": "Hm, the sky."}
THOUGHT_CONTENT = {"reasoning_content": "Hm, the sky."}
# A null within it is the provider's own and must come back too.
DETAILS = {
    "reasoning_details": [
        {"type": "reasoning.text", "text": "Hm.", "signature": "c2ln", "id": None, "index": 0}
    ]
}
SEEN = {"annotations": [{"type": "file", "file": {"hash": "h", "name": None, "content": []}}]}
DRAWN = {"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]}

# By row: what its answers carry beside text and calls, and what of it goes back.
NEXT_TURN: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "cerebras": (THOUGHT, THOUGHT),
    "deepinfra": (THOUGHT_CONTENT, THOUGHT_CONTENT),
    "deepseek": (THOUGHT_CONTENT, THOUGHT_CONTENT),
    "fireworks_ai": (THOUGHT_CONTENT, THOUGHT_CONTENT),
    "gemini_openai": (SIGNED, SIGNED),
    "groq": ({**THOUGHT, "executed_tools": []}, THOUGHT),
    "hosted_vllm": (THOUGHT, THOUGHT),
    "huggingface": (THOUGHT, THOUGHT),
    "litellm_proxy": (
        {**THOUGHT_CONTENT, "thinking_blocks": [{"type": "thinking", "signature": "c2ln"}]},
        {**THOUGHT_CONTENT, "thinking_blocks": [{"type": "thinking", "signature": "c2ln"}]},
    ),
    "llamafile": (THOUGHT_CONTENT, THOUGHT_CONTENT),
    "llmroute_proxy": ({**THOUGHT_CONTENT, **DETAILS}, {**THOUGHT_CONTENT, **DETAILS}),
    "lm_studio": (THOUGHT, THOUGHT),
    "mistral": ({**THOUGHT_CONTENT, "prefix": False}, {"prefix": False}),
    "moonshot": (THOUGHT_CONTENT, THOUGHT_CONTENT),
    "nebius": (THOUGHT_CONTENT, THOUGHT_CONTENT),
    "novita": ({**THOUGHT_CONTENT, **DETAILS}, {**THOUGHT_CONTENT, **DETAILS}),
    "nvidia_nim": (THOUGHT_CONTENT, THOUGHT_CONTENT),
    "ollama": (THOUGHT, THOUGHT),
    "openai": ({**THOUGHT_CONTENT}, THOUGHT_CONTENT),  # at another host than OpenAI's
    "openrouter": (
        {**THOUGHT, **DETAILS, **SEEN, **DRAWN},
        {**THOUGHT, **DETAILS, **SEEN, **DRAWN},
    ),
    "perplexity": ({}, {}),
    "sambanova": ({**THOUGHT, "channel": "final"}, {**THOUGHT, "channel": "final"}),
    "together_ai": (THOUGHT, THOUGHT),
    "vercel_ai_gateway": ({**THOUGHT, **DETAILS}, {**THOUGHT, **DETAILS}),
    "xai": (THOUGHT_CONTENT, {}),
    "zai": (THOUGHT_CONTENT, THOUGHT_CONTENT),
}

# What each service takes of a message that another one answered; the others take all of it.
FOREIGN = {**THOUGHT, **THOUGHT_CONTENT, **DETAILS, **SEEN, **DRAWN, **SIGNED, "refusal": "No."}
TAKES: dict[str, set[str]] = {
    "cerebras": {"reasoning"},
    "deepseek": {"reasoning_content"},
    "fireworks_ai": {"reasoning_content"},
    "gemini_openai": {"extra_content"},
    "groq": {"reasoning"},
    "mistral": set(),
    "moonshot": {"reasoning_content"},
    "novita": {"reasoning_content", "reasoning_details"},
    "ollama": {"reasoning"},
    "sambanova": {"reasoning"},
    "xai": set(),
    "zai": {"reasoning_content"},
}


def answer(message: dict[str, Any]) -> Answer:
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    body = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    return http("application/json", json.dumps(body).encode())


def stream(*deltas: dict[str, Any]) -> Answer:
    chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": "tool_calls"})
    events = [json.dumps({**chunk, "choices": [choice]}) for choice in choices]
    body = "".join(f"data: {event}\n\n" for event in [*events, "[DONE]"])
    return http("text/event-stream", body.encode())


def http(kind: str, body: bytes) -> Answer:
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
    return [head.encode() + body]


def sent(model: str, message: Any, **call: Any) -> dict[str, Any]:
    """The second message of a call, as it came to the server."""
    with ScriptedServer(answer({"role": "assistant", "content": "ok"})) as server:
        result = {"role": "tool", "tool_call_id": "call_1", "content": "blue"}
        messages = [{"role": "user", "content": "q"}, message, result]
        llmroute.completion(model, messages, api_base=f"{server.url}/v1", api_key="k-1", **call)
        back: dict[str, Any] = json.loads(server.requests[0].body)["messages"][1]
        return back


def test_next_turn_table_names_every_row() -> None:
    assert set(NEXT_TURN) == set(GATEWAYS)
    assert {name for name, row in GATEWAYS.items() if row.message_keys is not None} == (
        set(TAKES) | {"openai"}
    )


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("name", NEXT_TURN)
def test_next_turn_goes_back_as_the_row_says(name: str, streamed: bool) -> None:
    came, expected = NEXT_TURN[name]
    on_calls = {key: value for key, value in came.items() if key == "extra_content"}
    on_message = {key: value for key, value in came.items() if key not in on_calls}
    call = {**CALL, **on_calls}
    whole = {"role": "assistant", "content": None, **on_message, "tool_calls": [call]}
    first = {"role": "assistant", "content": None, **on_message}
    told = stream(first, {"tool_calls": [{"index": 0, **call}]}) if streamed else answer(whole)
    with ScriptedServer(told) as server:
        place: dict[str, Any] = {"api_base": f"{server.url}/v1", "api_key": "k-1"}
        if streamed:
            with llmroute.completion(f"{name}/m", "q", stream=True, **place) as chunks:
                message = chunks.get_final_completion().choices[0].message
        else:
            message = llmroute.completion(f"{name}/m", "q", **place).choices[0].message
    back = {key: value for key, value in expected.items() if key not in on_calls}
    calls = [{**CALL, **{key: value for key, value in expected.items() if key in on_calls}}]
    assert sent(f"{name}/m", message) == {
        "role": "assistant",
        "content": None,
        "tool_calls": calls,
        **back,
    }


@pytest.mark.parametrize("as_dict", [False, True], ids=["object", "dict"])
@pytest.mark.parametrize("name", TAKES)
def test_next_turn_leaves_out_what_a_provider_refuses(name: str, as_dict: bool) -> None:
    call = {**CALL, **SIGNED}
    message: Any = Message.model_validate(
        {"role": "assistant", "content": "Blue.", "tool_calls": [call], **FOREIGN}
    )
    back = sent(f"{name}/m", message.model_dump() if as_dict else message)
    assert set(back) == {"role", "content", "tool_calls"} | TAKES[name]
    assert all(back[key] == FOREIGN[key] for key in TAKES[name])
    assert set(back["tool_calls"][0]) - set(CALL) == TAKES[name] & {"extra_content"}


def test_next_turn_at_openais_own_host_takes_openais_keys_only() -> None:
    from llmroute.deployments import Deployment

    row = GATEWAYS["openai"]
    message = {"role": "assistant", "content": "x", "refusal": "No.", **THOUGHT_CONTENT}
    own = Deployment(provider="openai", model="m", api_base="https://api.openai.com/v1")
    assert set(row.message(message, own)) == {"role", "content", "refusal"}
    other = Deployment(provider="openai", model="m", api_base="http://localhost:8000/v1")
    assert row.message(message, other) == message


@pytest.mark.parametrize("as_dict", [False, True], ids=["object", "dict"])
@pytest.mark.parametrize("name", NEXT_TURN)
def test_next_turn_native_content_goes_to_no_other_protocol(name: str, as_dict: bool) -> None:
    blocks = [{"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}]
    native = {
        "provider_content": {"format": "anthropic", "blocks": blocks},
        "thinking_blocks": blocks,
    }
    message: Any = Message.model_validate({"content": "Blue.", **native})
    back = sent(f"{name}/m", message.to_dict() if as_dict else message)
    expected = native if name == "llmroute_proxy" else {}
    assert back == {"role": "assistant", "content": "Blue.", **expected}


def test_next_turn_does_not_repeat_the_thinking_under_our_name() -> None:
    message = Message.model_validate({"content": "x", "reasoning": "Hm."})
    message.reasoning_content = "Hm."
    assert sent("hosted_vllm/m", message) == {"role": "assistant", "content": "x", **THOUGHT} | {
        "reasoning": "Hm."
    }


@pytest.mark.parametrize("name", ["mistral", "groq", "openrouter"])
def test_keys_written_by_hand_are_sent(name: str) -> None:
    message = {"role": "assistant", "content": "Dear", "prefix": True, "my_key": [None]}
    assert sent(f"{name}/m", message) == message


def test_keys_of_other_roles_are_sent() -> None:
    message = {"role": "user", "content": "Hi", "reasoning": "mine", "name": "Ann"}
    assert sent("groq/m", message) == message


@pytest.mark.parametrize("kind", ["object", "dump", "calls in a dict", "functions in a dict"])
def test_messages_with_calls_go_out_without_nulls(kind: str) -> None:
    message = Message.model_validate({"content": None, "tool_calls": [CALL], "refusal": None})
    assert message.tool_calls
    by_kind: dict[str, Any] = {
        "object": message,
        "dump": message.model_dump(),
        "calls in a dict": {
            "role": "assistant",
            "content": None,
            "tool_calls": tuple(message.tool_calls),
        },
        "functions in a dict": {
            "role": "assistant",
            "content": None,
            "tool_calls": [{**CALL, "function": message.tool_calls[0].function, "custom": None}],
        },
    }
    expected = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    assert sent("openai/m", by_kind[kind]) == expected
    assert sent("mistral/m", by_kind[kind]) == expected


def test_messages_of_openais_client_keep_a_providers_nulls() -> None:
    message = openai.types.chat.ChatCompletionMessage.model_validate(
        {"role": "assistant", "content": "x", "tool_calls": [CALL], **DETAILS}
    )
    expected = {"role": "assistant", "content": "x", "tool_calls": [CALL], **DETAILS}
    assert sent("openrouter/m", message) == expected


def test_an_empty_list_of_calls_is_not_sent() -> None:
    message = {"role": "assistant", "content": "x", "tool_calls": []}
    assert sent("openai/m", message) == {"role": "assistant", "content": "x"}


def test_notes_of_a_repair_are_not_sent() -> None:
    message = Message.model_validate({"content": "x", "native_annotations": "odd"})
    assert sent("openrouter/m", message) == {"role": "assistant", "content": "x"}


@pytest.mark.parametrize("dumped", [False, True])
def test_a_spoken_answer_goes_back_by_its_id(dumped: bool) -> None:
    spoken = Message.model_validate({"audio": {"id": "a1", "data": "aGk=", "transcript": "hi"}})
    message: Any = spoken.model_dump() if dumped else spoken
    assert sent("openai/m", message) == {
        "role": "assistant",
        "content": None,
        "audio": {"id": "a1"},
    }
