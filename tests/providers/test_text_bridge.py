"""`text_completion()` at providers that only chat."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import llmroute
from llmroute import BadRequestError, StreamInterruptedError, UnsupportedParamsError
from llmroute.providers.params import DroppedParamsWarning
from llmroute.testing.llama_api import MODELS, HTTPAnswer, LlamaAPIEmulator, Reply
from llmroute.types.text import TextCompletion
from tests.servers import ScriptedServer

LLAMA = f"meta_llama/{MODELS[0]}"
TEXT = {
    "id": "cmpl-1",
    "object": "text_completion",
    "created": 1,
    "model": MODELS[0],
    "choices": [{"index": 0, "text": " there", "finish_reason": "stop", "logprobs": None}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}
Ask = Callable[..., TextCompletion]


def plain(model: str, prompt: Any, **given: Any) -> TextCompletion:
    answer: TextCompletion = llmroute.text_completion(model, prompt, **given)
    return answer


def streamed(model: str, prompt: Any, **given: Any) -> TextCompletion:
    with llmroute.text_completion(model, prompt, stream=True, **given) as stream:
        chunks = list(stream)
        whole: TextCompletion = stream.get_final_completion()
    assert "".join(chunk.text for chunk in chunks) == whole.text
    assert all(chunk.object == "text_completion" for chunk in chunks)
    return whole


def plain_async(model: str, prompt: Any, **given: Any) -> TextCompletion:
    answer: TextCompletion = asyncio.run(llmroute.atext_completion(model, prompt, **given))
    return answer


def streamed_async(model: str, prompt: Any, **given: Any) -> TextCompletion:
    async def run() -> TextCompletion:
        async with await llmroute.atext_completion(model, prompt, stream=True, **given) as stream:
            async for _ in stream:
                pass
            answer: TextCompletion = await stream.get_final_completion()
            return answer

    return asyncio.run(run())


ways = pytest.mark.parametrize("ask", [plain, streamed, plain_async, streamed_async])


@pytest.fixture
def llama() -> Iterator[LlamaAPIEmulator]:
    with LlamaAPIEmulator() as emulator:
        yield emulator


def place(server: LlamaAPIEmulator, **options: Any) -> dict[str, Any]:
    base = server.native_url if options.get("surface") == "native" else server.compat_url
    return {"api_base": base, "api_key": server.api_key, "model_kwargs": options or None}


@ways
@pytest.mark.parametrize("surface", ["compat", "native"])
def test_text_completion_asks_the_chat(ask: Ask, surface: str, llama: LlamaAPIEmulator) -> None:
    llama.script(Reply("Once upon a time", prompt_tokens=3, completion_tokens=4))
    answer = ask(LLAMA, "Tell me", max_tokens=9, temperature=0.5, **place(llama, surface=surface))
    assert isinstance(answer, TextCompletion)
    assert (answer.object, answer.text) == ("text_completion", "Once upon a time")
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (3, 4)
    (request,) = llama.requests
    assert request.path.endswith("/chat/completions")
    assert request.json["messages"] == [{"role": "user", "content": "Tell me"}]
    assert request.json["temperature"] == 0.5


def test_text_completion_takes_a_list_of_one_prompt(llama: LlamaAPIEmulator) -> None:
    assert plain(LLAMA, ["Hi"], **place(llama)).text == "You said: Hi"


@pytest.mark.parametrize("prompt", [["one", "two"], [1, 2, 3]])
def test_text_completion_refuses_prompts_that_are_no_message(
    prompt: Any, llama: LlamaAPIEmulator
) -> None:
    with pytest.raises(BadRequestError, match="only chats") as caught:
        plain(LLAMA, prompt, **place(llama))
    assert caught.value.param == "prompt"
    assert not llama.requests


@pytest.mark.parametrize("param", [{"echo": True}, {"suffix": "end"}, {"best_of": 2}])
def test_text_completion_refuses_by_name(param: Any, llama: LlamaAPIEmulator) -> None:
    (name,) = param
    with pytest.raises(UnsupportedParamsError, match=f"'{name}'"):
        plain(LLAMA, "Hi", **param, **place(llama))
    with pytest.warns(DroppedParamsWarning, match=name):
        answer = plain(LLAMA, "Hi", unsupported="drop", **param, **place(llama))
    assert answer.call_info is not None
    assert answer.call_info.dropped_params == (name,)
    assert name not in llama.requests[0].json


def test_text_completion_cut_stream_is_an_error(llama: LlamaAPIEmulator) -> None:
    llama.script(Reply("one two three four", fault="no_end"))
    with pytest.raises(StreamInterruptedError) as caught:
        streamed(LLAMA, "Hi", num_retries=0, **place(llama))
    partial = caught.value.partial
    assert isinstance(partial, TextCompletion)
    assert "one two three four".startswith(partial.text)
    assert partial.text


def test_text_completion_gives_log_probabilities(llama: LlamaAPIEmulator) -> None:
    likely = [{"token": "Hi", "logprob": -0.1}, {"token": "Ho", "logprob": -2.5}]
    tokens = [
        {"token": "Hi", "logprob": -0.1, "top_logprobs": likely},
        {"token": " you", "logprob": -0.2, "top_logprobs": []},
    ]
    message = {"role": "assistant", "content": "Hi you"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = {"id": "1", "object": "chat.completion", "created": 1, "model": "m"}
    body["choices"] = [{**choice, "logprobs": {"content": tokens}}]
    llama.script(HTTPAnswer(200, json.dumps(body).encode(), {"content-type": "application/json"}))
    answer = plain(LLAMA, "Hi", logprobs=2, **place(llama))
    assert llama.requests[0].json["logprobs"] is True
    assert llama.requests[0].json["top_logprobs"] == 2
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.to_dict() == {
        "text_offset": [0, 2],
        "token_logprobs": [-0.1, -0.2],
        "tokens": ["Hi", " you"],
        "top_logprobs": [{"Hi": -0.1, "Ho": -2.5}, {}],
    }


@ways
def test_text_completion_calls_completions_where_a_server_has_them(ask: Ask) -> None:
    is_stream = ask in (streamed, streamed_async)
    body = json.dumps(TEXT).encode()
    kind = "text/event-stream" if is_stream else "application/json"
    if is_stream:
        body = b"data: " + body + b"\n\ndata: [DONE]\n\n"
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
    with ScriptedServer([head.encode() + body]) as server:
        answer = ask(
            LLAMA,
            ["Hi", "Ho"][:1],
            echo=False,
            suffix="!",
            api_base=f"{server.url}/compat/v1",
            api_key="k",
            model_kwargs={"completions": True},
        )
        assert answer.text == " there"
        assert answer.usage is not None
        request = server.requests[0]
    assert request.line == "POST /compat/v1/completions HTTP/1.1"
    sent = json.loads(request.body)
    assert (sent["prompt"], sent["suffix"]) == (["Hi"], "!")


@pytest.mark.parametrize(
    "options", [{"completions": "yes"}, {"completions": True, "surface": "native"}]
)
def test_meta_llama_refuses_a_wrong_completions_option(options: Any) -> None:
    with pytest.raises(BadRequestError, match="completions"):
        plain(LLAMA, "Hi", api_base="http://127.0.0.1:9", api_key="k", model_kwargs=options)
