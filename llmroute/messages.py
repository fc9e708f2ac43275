"""The messages of a chat call as plain dicts, whatever objects the caller passed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from .errors import BadRequestError
from .types.base import Model

# What a message from an answer carries that a provider takes back.
_MESSAGE_KEYS = ("role", "content", "refusal", "tool_calls", "function_call", "reasoning_content")
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
    plain = [m if type(m) is dict else _plain(m, model) for m in messages]
    for position, message in enumerate(plain):
        _check_message(position, message, model)
    return plain


def _plain(message: object, model: str) -> dict[str, Any]:
    """A message object as a dict that can be sent: ours, OpenAI's, or any mapping."""
    if isinstance(message, Model):
        carried = message.to_dict()
        kept = {k: carried[k] for k in _MESSAGE_KEYS if carried.get(k) is not None}
        if "id" in (carried.get("audio") or ()):  # OpenAI takes what it said by its id
            kept["audio"] = {"id": carried["audio"]["id"]}
        return kept | {"content": carried.get("content")}
    if isinstance(message, Mapping):
        return dict(message)
    if isinstance(message, BaseModel):
        return message.model_dump(mode="json", exclude_none=True)
    raise BadRequestError(
        f"A message must be a dict or a message object, not {type(message).__name__}.",
        model=model,
        param="messages",
    )


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
