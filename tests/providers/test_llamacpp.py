"""The llamacpp provider: the call it builds, the chunks it makes of the engine's events."""

from __future__ import annotations

import asyncio
import json
import math

import pytest

from llmroute import (
    acompletion,
    atext_completion,
    completion,
    register_local_model,
    text_completion,
    token_counter,
)
from llmroute.deployments import Deployment
from llmroute.errors import (
    BadRequestError,
    ContextWindowExceededError,
    ModelFileError,
    NotFoundError,
    UnsupportedOperationError,
    UnsupportedParamsError,
)
from llmroute.providers import get_provider
from llmroute.providers.base import HTTPCall, LocalCall, LocalLogprob, LocalToken, LocalUsage
from llmroute.providers.params import DroppedParamsWarning
from llmroute.sse import Event
from llmroute.types.chat_request import ChatRequest
from llmroute.types.embedding import EmbeddingRequest
from llmroute.types.text import TextCompletion, TextRequest

HERE = Deployment(provider="llamacpp", model="/models/m.gguf", model_kwargs={"n_ctx": 512})
THERE = Deployment(provider="llamacpp", model="m", api_base="http://localhost:8080", api_key="k")
MESSAGES = [{"role": "user", "content": "Hi"}]
MODEL = "llamacpp//models/m.gguf"


def _chat(messages=MESSAGES, unsupported="raise", extra_body=None, **params) -> ChatRequest:
    return ChatRequest(
        model=MODEL,
        messages=messages,
        params=params,
        unsupported=unsupported,
        extra_body=extra_body or {},
    )


def _text(prompt="Once", **params) -> TextRequest:
    return TextRequest(model=MODEL, prompt=prompt, params=params)


def _build(request, deployment=HERE) -> LocalCall | HTTPCall:
    return get_provider("llamacpp").build(request, deployment)


def test_a_chat_in_this_process():
    call = _build(_chat(temperature=0.5, stop="x", chat_template="plain", extra_body={"top_k": 3}))
    params = {"temperature": 0.5, "stop": "x", "chat_template": "plain", "top_k": 3}
    assert call == LocalCall("/models/m.gguf", "chat", MESSAGES, params, {"n_ctx": 512})


@pytest.mark.parametrize("prompt", ["Once", ["a", "b"], [1, 2, 3]])
def test_a_text_in_this_process(prompt):
    call = _build(_text(prompt, echo=True, best_of=1, logprobs=2))
    params = {"echo": True, "best_of": 1, "logprobs": 2}
    assert call == LocalCall("/models/m.gguf", "text", prompt, params, {"n_ctx": 512})


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"max_completion_tokens": 5}, {"max_tokens": 5}),
        ({"max_completion_tokens": 5, "max_tokens": 9}, {"max_tokens": 5}),
        ({"repetition_penalty": 1.1}, {"repeat_penalty": 1.1}),
        ({"stream_options": {"include_usage": True}}, {}),
        ({"user": "u", "safety_identifier": "s", "prompt_cache_key": "k"}, {}),
        ({"tools": [], "tool_choice": "none", "parallel_tool_calls": True}, {}),
        ({"response_format": {"type": "text"}, "modalities": ["text"], "store": False}, {}),
        ({"top_logprobs": 2, "logprobs": True}, {"top_logprobs": 2, "logprobs": True}),
        ({"reasoning_effort": "low"}, {"reasoning_effort": "low"}),
    ],
)
def test_names_and_values_that_ask_for_nothing(given, sent):
    assert _build(_chat(**given)).params == sent


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"functions": [{}]}, "use tools"),
        ({"function_call": "auto"}, "use tools"),
        ({"audio": {"voice": "x"}}, "'audio'"),
        ({"modalities": ["text", "audio"]}, "'modalities'"),
        ({"store": True}, "'store'"),
        ({"web_search_options": {}}, "'web_search_options'"),
        ({"verbosity": "low"}, "'verbosity'"),
    ],
)
def test_what_the_engine_cannot_do_is_never_dropped_in_silence(params, said):
    with pytest.raises(UnsupportedParamsError) as caught:
        _build(_chat(**params))
    assert said in caught.value.message
    assert caught.value.param in params
    with pytest.warns(DroppedParamsWarning, match=next(iter(params))):
        call = _build(_chat(unsupported="drop", **params))
    assert call.dropped_params == tuple(params)
    assert call.params == {}
    assert _build(_chat(unsupported="pass", **params)).params == params


def test_filling_in_the_middle():
    assert _build(_text(suffix="end")).params == {"suffix": "end"}
    assert _build(_text(suffix="")).params == {}
    with pytest.raises(UnsupportedParamsError, match="suffix"):
        _build(_chat(suffix="end"))


def test_the_best_of_several_answers_cannot_be_streamed():
    params = {"best_of": 3, "n": 2}
    assert _build(_text(**params)).params == params
    streamed = TextRequest(model=MODEL, prompt="Once", params=params, stream=True)
    with pytest.raises(BadRequestError, match="cannot stream the best of 3") as caught:
        _build(streamed)
    assert (caught.value.param, caught.value.model) == ("best_of", MODEL)
    as_many = TextRequest(model=MODEL, prompt="", params={"best_of": 2, "n": 2}, stream=True)
    assert _build(as_many).params == {"best_of": 2, "n": 2}


def test_a_prompt_s_log_probabilities_begin_with_a_null():
    told = [
        LocalLogprob("On", b"On", None),
        LocalLogprob("ce", b"ce", -1.5, [("ce", b"ce", -1.5), ("\ufffd", b"\xe6", -2.0)]),
        LocalLogprob(
            "\ufffd", b"\xe6", -math.inf, [("\ufffd", b"\xe7", -3.0), ("\ufffd", b"", -4.0)]
        ),
    ]
    answer = [LocalLogprob("!", b"!", -0.5)]
    chunks, _ = _decode(
        _text(), LocalToken(0, "Once\ufffd", told), LocalToken(0, "!", answer, "stop")
    )
    assert chunks[0].choices[0].logprobs.to_dict() == {
        "text_offset": [0, 2, 4],
        "token_logprobs": [None, -1.5, -9999.0],
        "tokens": ["On", "ce", "\ufffd"],
        "top_logprobs": [None, {"ce": -1.5, "\ufffd": -2.0}, {"\ufffd": -3.0}],
    }
    assert chunks[1].choices[0].logprobs.text_offset == [5]


def test_texts_for_vectors_load_the_model_for_that():
    call = _build(EmbeddingRequest(model=MODEL, input=["a"], params={"encoding_format": "base64"}))
    assert (call.operation, call.prompt, call.params) == ("embedding", ["a"], {})
    assert call.load == {"n_ctx": 512, "embeddings": True}
    with pytest.raises(UnsupportedParamsError, match="cut and normalise them yourself"):
        _build(EmbeddingRequest(model=MODEL, input="a", params={"dimensions": 2}))


def test_sounds_are_refused():
    sound = {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}
    with pytest.raises(UnsupportedOperationError, match="input_audio") as caught:
        _build(_chat([{"role": "user", "content": [{"type": "text", "text": "a"}, sound]}]))
    assert caught.value.model == MODEL


def test_a_server_is_called_over_http():
    call = _build(
        _chat(
            temperature=0.5,
            repetition_penalty=1.1,
            top_k=3,
            grammar="root ::= 'a'",
            tools=[{"type": "function"}],
        ),
        THERE,
    )
    assert isinstance(call, HTTPCall)
    assert call.url == "http://localhost:8080/v1/chat/completions"
    assert call.headers["authorization"] == "Bearer k"
    assert json.loads(call.body) == {
        "model": "m",
        "messages": MESSAGES,
        "temperature": 0.5,
        "repeat_penalty": 1.1,
        "top_k": 3,
        "grammar": "root ::= 'a'",
        "tools": [{"type": "function"}],
    }
    assert _build(EmbeddingRequest(model=MODEL, input="a"), THERE).url.endswith("/v1/embeddings")
    with pytest.raises(UnsupportedParamsError, match="chat_template"):
        _build(_chat(chat_template="plain"), THERE)


def _decode(request, *events):
    decoder = get_provider("llamacpp").event_decoder(request)
    chunks = [chunk for event in events for chunk in decoder.feed(event)]
    return chunks, decoder.done


def test_chat_events_become_chunks():
    request = _chat()
    token = LocalLogprob("a", b"a", -0.5, [("a", b"a", -0.5), ("�", b"\xe6", -math.inf)])
    chunks, done = _decode(
        request,
        LocalToken(0, "a", [token]),
        LocalToken(1, ""),
        LocalToken(1, "b"),
        LocalToken(0, "", (), "stop"),
        LocalToken(1, "c", (), "length"),
        LocalUsage(7, 5, 3),
    )
    assert done
    assert {chunk.id for chunk in chunks} == {f"chatcmpl-{request.call_id}"}
    assert {(chunk.model, chunk.created) for chunk in chunks} == {(MODEL, request.created)}
    logprob = {
        "token": "a",
        "bytes": [97],
        "logprob": -0.5,
        "top_logprobs": [
            {"token": "a", "bytes": [97], "logprob": -0.5},
            {"token": "�", "bytes": [0xE6], "logprob": -9999.0},
        ],
    }
    assert [chunk.to_dict()["choices"] for chunk in chunks] == [
        [
            {
                "index": 0,
                "delta": {"role": "assistant", "content": "a"},
                "finish_reason": None,
                "logprobs": {"content": [logprob]},
            }
        ],
        [
            {
                "index": 1,
                "delta": {"role": "assistant", "content": "b"},
                "finish_reason": None,
            }
        ],
        [{"index": 0, "delta": {}, "finish_reason": "stop"}],
        [{"index": 1, "delta": {"content": "c"}, "finish_reason": "length"}],
        [],
    ]
    assert chunks[-1].usage.to_dict() == {
        "prompt_tokens": 7,
        "completion_tokens": 5,
        "total_tokens": 12,
        "prompt_tokens_details": {"cached_tokens": 3},
    }
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_text_events_become_chunks_with_offsets_in_characters():
    tokens = [
        LocalLogprob("é", "é".encode(), -1.0),
        LocalLogprob("�", b"\xe6\x97", -2.0, [("�", b"\xe6\x97", -2.0)]),
        LocalLogprob("�", b"\xa5", -3.0),
        LocalLogprob("!", b"!", -4.0),
    ]
    chunks, done = _decode(
        _text(),
        LocalToken(0, "é", tokens[:1]),
        LocalToken(0, "日", tokens[1:3]),
        LocalToken(0, "!", tokens[3:], "stop"),
        LocalUsage(1, 4),
    )
    assert done
    assert all(isinstance(chunk, TextCompletion) for chunk in chunks)
    assert [chunk.text for chunk in chunks] == ["é", "日", "!", ""]
    offsets = [chunk.choices[0].logprobs.text_offset for chunk in chunks[:3]]
    assert offsets == [[0], [1, 1], [2]]
    assert chunks[1].choices[0].logprobs.top_logprobs == [{"�": -2.0}, {}]
    assert chunks[3].usage.total_tokens == 5


def test_decoder_takes_a_server_s_events():
    payload = {
        "id": "x",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": None}],
    }
    decoder = get_provider("llamacpp").decoder(_chat())
    (chunk,) = decoder.feed(Event("message", json.dumps(payload).encode()))
    assert (chunk.text, decoder.done) == ("a", False)
    assert not decoder.feed(Event("message", b"[DONE]"))
    assert decoder.done


# With the real engine


@pytest.mark.native
@pytest.mark.parametrize("script", ["Hello, world!", "", "日本語 👧\u200d👧", "{}\n"])
def test_a_model_says_its_text_in_every_form(scripted, script):
    model = f"llamacpp/{scripted(script)}"
    answer = completion(model, "Hi")
    assert (answer.text, answer.choices[0].finish_reason) == (script, "stop")
    assert answer.model == model
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert "".join(chunk.text for chunk in completion(model, "Hi", stream=True)) == script
    assert text_completion(model, "Hi").text == script

    async def the_same():
        chunks = [chunk.text async for chunk in await acompletion(model, "Hi", stream=True)]
        return (await acompletion(model, "Hi")).text, "".join(chunks)

    assert asyncio.run(the_same()) == (script, script)
    assert asyncio.run(atext_completion(model, "Hi")).text == script


@pytest.mark.native
def test_usage_in_streams(scripted):
    model = f"llamacpp/{scripted('a b c', pieces=['a ', 'b ', 'c'])}"
    completion(model, "Hi")  # from here on the prompt is in the cache
    usage = completion(model, "Hi").usage
    options = {"include_usage": True}
    chunks = list(completion(model, "Hi", stream=True, stream_options=options))
    assert chunks[-1].choices == []
    assert chunks[-1].usage == usage
    stream = completion(model, "Hi", stream=True)
    assert stream.get_final_completion().usage == usage


@pytest.mark.native
def test_a_control_token_in_user_text_stays_text(tiny_random):
    model = f"llamacpp/{tiny_random}"

    def count(content: str) -> int:
        return completion(model, content, max_tokens=1).usage.prompt_tokens

    assert count("<|im_end|>") == count("") + len("<|im_end|>")


@pytest.mark.native
def test_models_that_cannot_chat(tmp_path, monkeypatch):
    from llmroute.testing.tiny_gguf import write_scripted

    path = write_scripted(tmp_path / "base.gguf", "and so on", chat_template=None)
    with pytest.raises(BadRequestError, match='chat_template="plain"') as caught:
        completion(f"llamacpp/{path}", "Hi")
    assert caught.value.model == f"llamacpp/{path}"
    assert completion(f"llamacpp/{path}", "Hi", chat_template="plain").text == "and so on"
    monkeypatch.setenv("LLMROUTE_MODELS_DIR", str(tmp_path))
    assert text_completion("llamacpp/base", "Hi").text == "and so on"
    with pytest.raises(NotFoundError, match="Did you mean 'base'"):
        completion("llamacpp/bsae", "Hi")
    (tmp_path / "empty.gguf").touch()
    with pytest.raises(ModelFileError, match="is empty"):
        completion("llamacpp/empty", "Hi")


@pytest.mark.native
def test_an_alias_brings_its_load_options(tiny_random):
    register_local_model("small-window", tiny_random, n_ctx=256)
    prompt = "x" * 300
    with pytest.raises(ContextWindowExceededError, match="256"):
        text_completion("llamacpp/small-window", prompt)
    wider = {"n_ctx": 512}
    answer = text_completion("llamacpp/small-window", prompt, model_kwargs=wider, max_tokens=2)
    assert answer.usage.prompt_tokens == 300


@pytest.mark.native
@pytest.mark.parametrize("content", ["", "Hi", "<|im_end|> the inner 日本"])
def test_the_counter_agrees_with_the_engine(tiny_random, content):
    model = f"llamacpp/{tiny_random}"
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": content}]
    used = completion(model, messages, max_tokens=1).usage
    counted = token_counter(model, messages=messages)
    assert (counted.tokens, counted.exact) == (used.prompt_tokens, True)
    tools = [{"type": "function", "function": {"name": "find"}}]
    assert token_counter(model, messages=messages, tools=tools).tokens > counted.tokens
