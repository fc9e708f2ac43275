"""What `repr` and `print` show of answers: what is there, on one short line."""

from __future__ import annotations

import pytest

import llmroute
from llmroute import ChatCompletion, ChatCompletionChunk, EmbeddingResponse, TextCompletion


def _answer(**message: object) -> ChatCompletion:
    said = {"role": "assistant", "content": "Hello", **message}
    choice = {"index": 0, "finish_reason": "stop", "message": said}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    shell = {"id": "c-1", "object": "chat.completion", "created": 1, "model": "m"}
    return ChatCompletion.model_validate({**shell, "choices": [choice], "usage": usage})


def test_repr_of_a_plain_answer_begins_with_its_text() -> None:
    assert repr(_answer()) == (
        "ChatCompletion(text='Hello', finish_reason='stop', id='c-1', model='m', "
        "usage=Usage(prompt_tokens=3, completion_tokens=2, total_tokens=5))"
    )
    assert str(_answer()).startswith("text='Hello' finish_reason='stop'")


def test_repr_shows_what_is_more_than_text() -> None:
    function = {"name": "weather", "arguments": '{"city": "Rome"}'}
    call = {"id": "call-1", "type": "function", "function": function}
    shown = repr(_answer(content=None, tool_calls=[call]))
    assert "name='weather'" in shown
    assert '{"city": "Rome"}' in shown
    assert "None" not in shown
    assert "reasoning_content='because'" in repr(_answer(reasoning_content="because"))
    assert "refusal='no'" in repr(_answer(content=None, refusal="no"))


def test_repr_shows_every_choice() -> None:
    choices = [{"index": i, "message": {"content": word}} for i, word in enumerate(["one", "two"])]
    shell = {"id": "c", "created": 1, "model": "m"}
    shown = repr(ChatCompletion.model_validate({**shell, "choices": choices}))
    assert "content='one'" in shown
    assert "content='two'" in shown


def test_repr_cuts_what_is_long() -> None:
    assert len(repr(_answer(content="word " * 1000))) < 700
    vector = {"index": 0, "embedding": [0.25] * 4096}
    many = EmbeddingResponse.model_validate({"data": [vector] * 50, "model": "m"})
    assert len(repr(many)) < 2500
    assert "model='m'" in repr(many)


def test_repr_of_chunks_leaves_out_what_did_not_come() -> None:
    shell = {"id": "c", "created": 1, "model": "m"}
    piece = {"index": 0, "delta": {"content": "Hel"}}
    assert "delta=Delta(content='Hel')" in repr(
        ChatCompletionChunk.model_validate({**shell, "choices": [piece]})
    )
    text = TextCompletion.model_validate({**shell, "choices": [{"text": "lo"}]})
    assert "TextChoice(index=0, text='lo')" in repr(text)


def test_repr_of_a_stream_says_how_far_it_is() -> None:
    stream = llmroute.completion("mock/m", "Hi", mock_response="Hello there", stream=True)
    assert repr(stream) == "<Stream of mock/m, open>"
    stream.get_final_completion()
    assert repr(stream) == "<Stream of mock/m, closed>"


def test_getattr_of_a_stream_says_where_the_answer_is() -> None:
    with llmroute.completion("mock/m", "Hi", mock_response="Hello", stream=True) as stream:
        for name in ("text", "choices", "usage"):
            assert not hasattr(stream, name)
            with pytest.raises(AttributeError, match=f"{name}.*get_final_completion"):
                getattr(stream, name)
