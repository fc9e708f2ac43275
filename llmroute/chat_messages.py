"""The messages of a chat call as plain dicts, whatever objects the caller passed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from .errors import BadRequestError
from .providers.message_keys import AnsweredMessage
from .types.base import Model

# How keys begin that we put into an answer: the original of a field that was repaired.
_OUR_NOTES = "native_"
_PLAIN_KEYS = frozenset({"role", "content", "name", "tool_call_id"})
_CONTENT_TYPES = (str, list, tuple, Mapping)


def plain_messages(messages: object, model: str) -> Sequence[Mapping[str, Any]]:
    """`messages` as dicts; a text is one message of the user. Raises `BadRequestError`."""
    if isinstance(messages, str):
        return [{"role": "user", "content": messages}]
    if not isinstance(messages, Sequence) or not messages:
        raise BadRequestError(
            "messages must be a text or a list of at least one message, such as "
            f'[{{"role": "user", "content": "Hello"}}], not {messages!r:.100}.',
            model=model,
            param="messages",
        )
    plain = [_plain(message, model) for message in messages]
    for position, message in enumerate(plain):
        _check_message(position, message, model)
    return plain


def _plain(message: object, model: str) -> dict[str, Any]:
    """A message as a dict that can be sent, of plain data and without nulls."""
    if type(message) is dict and _is_plain(message):
        return message
    if isinstance(message, Mapping):
        return _tidy(dict(message))
    if isinstance(message, Model):
        return AnsweredMessage(_tidy({"content": None, **message.to_dict()}))
    if isinstance(message, BaseModel):  # OpenAI's own, or one with the same fields
        return AnsweredMessage(_tidy(message.model_dump(mode="json", warnings=False)))
    raise BadRequestError(
        f"A message must be a dict or a message object, not {type(message).__name__}.",
        model=model,
        param="messages",
    )


def _is_plain(message: dict[str, Any]) -> bool:
    """Whether there is nothing to tidy, as in most messages; found out in 0.2 µs."""
    return (
        _PLAIN_KEYS.issuperset(message)
        and type(message.get("content")) is str
        and None not in message.values()
    )


def _tidy(message: dict[str, Any]) -> dict[str, Any]:
    """`message` without what says nothing, as an answer's fields dumped one and all do.

    A null is left out at the top and in tool calls only; `content` may be null beside them. What
    is deeper is a provider's own, which it gets back unchanged.
    """
    tidy = {
        key: _data(value) for key, value in message.items() if value is not None or key == "content"
    }
    if tidy.get("role") != "assistant":
        return tidy
    for note in [key for key in tidy if str(key).startswith(_OUR_NOTES)]:
        del tidy[note]
    calls = tidy.get("tool_calls")
    if isinstance(calls, list):
        tidy["tool_calls"] = [_tidy_call(call) for call in calls]
        if not calls:
            del tidy["tool_calls"]  # OpenAI refuses an empty list
    audio = tidy.get("audio")
    if isinstance(audio, Mapping) and "id" in audio:  # it takes what it said by its id
        tidy["audio"] = {"id": audio["id"]}
        if not audio["id"]:
            del tidy["audio"]
    return tidy


def _tidy_call(call: object) -> object:
    """`call` without nulls, and without the form of another type than its own, which a gateway
    may have filled with empty texts."""
    if not isinstance(call, Mapping):
        return call
    other = {"function": "custom", "custom": "function"}.get(str(call.get("type")))
    return {key: value for key, value in call.items() if value is not None and key != other}


def _data(value: Any, depth: int = 3) -> Any:
    """`value` with the pydantic objects in it as data; a call's function is three levels deep."""
    if isinstance(value, str) or not depth:
        return value
    if isinstance(value, Model):
        return value.to_dict()
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True)
    if isinstance(value, list | tuple):
        return [_data(item, depth - 1) for item in value]
    if isinstance(value, Mapping):
        return {key: _data(item, depth - 1) for key, item in value.items()}
    return value


def _check_message(position: int, message: Mapping[str, Any], model: str) -> None:
    role, content = message.get("role"), message.get("content")
    if not isinstance(role, str) or not role:
        what = f' has no "role", such as "user": {message!r:.200}'
    elif content is not None and not isinstance(content, _CONTENT_TYPES):
        what = f'["content"] must be a text or a list of parts, not {content!r:.100}'
    elif content is None and role in ("user", "system", "developer", "tool"):
        what = f' of role "{role}" has no "content"'
    else:
        return
    where = f"messages[{position}]"
    raise BadRequestError(f"{where}{what}.", model=model, param=where)
