"""OpenAI's messages as turns of typed parts, for providers with a format of their own.

What a part is (a text, an image, a call, ...) is decided here once; each provider writes the parts
in its own form. A part of a type that is not known here is kept as it is (`Raw`): it may be the
provider's own.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from pydantic_core import from_json

from ..errors import BadRequestError
from ..types.request import JSON

PROVIDER_CONTENT = "provider_content"
"""The key of an answer's message that holds the content as its provider sent it:
`{"format": ..., "blocks": [...]}`. It goes back unchanged to a provider of the same format."""

CACHE_CONTROL = "cache_control"
_DATA_URI = re.compile(r"data:(?P<type>[^;,]*)(?P<params>(?:;[^;,]*)*),", re.ASCII)
_MEDIA_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "wav": "audio/wav",
}


@dataclass(frozen=True, slots=True)
class Text:
    """Words."""

    text: str
    cache_control: JSON = None
    """Anthropic's marker of a prefix to cache, as the caller wrote it; `None`: none."""


@dataclass(frozen=True, slots=True)
class Media:
    """An image, a document, a sound or a film: inline, at a URL, or uploaded before."""

    kind: Literal["image", "document", "audio", "video"]
    media_type: str | None
    """Such as `image/png`; `None` where nothing says it."""
    data: str | None = None
    """Base64."""
    url: str | None = None
    file_id: str | None = None
    """The provider's id of a file that was uploaded."""
    name: str | None = None
    """The name of the file."""
    detail: str | None = None
    """OpenAI's word for how closely to look: `low`, `high`, `auto`."""
    cache_control: JSON = None

    def content(self) -> bytes:
        """The bytes of inline data. Raises `BadRequestError` for what is not base64."""
        try:
            return base64.b64decode(self.data or "", validate=True)
        except (binascii.Error, ValueError):
            raise BadRequestError(
                f"The data of a message part ({self.media_type or self.kind}) is not base64."
            ) from None


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call that the model made in an earlier turn."""

    id: str
    name: str
    arguments: str
    """JSON text, as the model wrote it."""
    extra: Mapping[str, JSON] = field(default_factory=dict)
    """What else was on the call, such as a signature that must go back with it."""
    cache_control: JSON = None

    def parsed(self) -> Any:
        """The arguments as data; `{}` for none. Raises `BadRequestError` if they are not JSON."""
        if not self.arguments.strip():
            return {}
        try:
            return from_json(self.arguments)
        except ValueError as exc:
            raise BadRequestError(
                f"The arguments of the tool call {self.id!r} ({self.name}) are not JSON: {exc}.",
                param="messages",
            ) from None


@dataclass(frozen=True, slots=True)
class Result:
    """What a tool gave back for a call."""

    call_id: str
    parts: Sequence[Part]
    name: str | None = None
    """The tool; `None` where neither the message nor its call says it."""
    is_error: bool = False
    cache_control: JSON = None


@dataclass(frozen=True, slots=True)
class Thinking:
    """The model's thinking in an earlier turn, without what its provider would recognise it by."""

    text: str


@dataclass(frozen=True, slots=True)
class Raw:
    """A part of a type that is not known here, as the caller wrote it."""

    part: Mapping[str, JSON]


Part: TypeAlias = Text | Media | Call | Result | Thinking | Raw


@dataclass(frozen=True, slots=True)
class Turn:
    """One message."""

    role: Literal["system", "user", "assistant", "tool"]
    """`developer` is `system`, `function` is `tool`."""
    parts: Sequence[Part]
    native: Mapping[str, JSON] | None = None
    """An assistant's content as its provider sent it (`PROVIDER_CONTENT`). The caller may have
    changed the parts since: it is for the provider to compare both."""
    name: str | None = None


def conversation(messages: Sequence[Mapping[str, JSON]]) -> list[Turn]:
    """The turns of `messages`, in order.

    Raises `BadRequestError`, naming the message, for a role that is unknown and for parts that
    cannot be read.
    """
    names: dict[str, str] = {}
    turns = []
    for position, message in enumerate(messages):
        try:
            turn = _turn(message, names)
        except BadRequestError as error:
            error.message = f"messages[{position}]: {error.message}"
            error.args = (error.message,)
            error.param = f"messages[{position}]"
            raise
        names.update((part.id, part.name) for part in turn.parts if isinstance(part, Call))
        turns.append(turn)
    return turns


def leading_system(turns: Sequence[Turn]) -> tuple[list[Turn], list[Turn]]:
    """The system turns before the first other one, and the rest."""
    first = next((i for i, turn in enumerate(turns) if turn.role != "system"), len(turns))
    return list(turns[:first]), list(turns[first:])


def text_of(parts: Sequence[Part]) -> str:
    """The texts of `parts`, one after the other."""
    return "".join(part.text for part in parts if isinstance(part, Text))


def _turn(message: Mapping[str, JSON], names: Mapping[str, str]) -> Turn:
    role = message.get("role")
    if role in ("tool", "function"):
        return Turn("tool", (_result(message, names),))
    if role in ("system", "developer"):
        return Turn("system", _content(message), name=message.get("name"))
    if role == "user":
        return Turn("user", _content(message), name=message.get("name"))
    if role == "assistant":
        return _assistant(message)
    raise BadRequestError(f"the role {role!r} is unknown.")


def _assistant(message: Mapping[str, JSON]) -> Turn:
    parts: list[Part] = []
    if isinstance(thought := message.get("reasoning_content"), str) and thought:
        parts.append(Thinking(thought))
    parts += _content(message)
    parts += _calls(message)
    native = message.get(PROVIDER_CONTENT)
    return Turn("assistant", parts, native if isinstance(native, Mapping) else None)


def _calls(message: Mapping[str, JSON]) -> Iterator[Call]:
    for call in message.get("tool_calls") or ():
        function = call.get("function") if isinstance(call, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
            raise BadRequestError(f"a tool call must have a function with a name: {call!r:.200}.")
        arguments = function.get("arguments")
        yield Call(
            id=str(call.get("id") or ""),
            name=function["name"],
            arguments=arguments if isinstance(arguments, str) else "",
            extra={k: v for k, v in call.items() if k not in ("id", "type", "function", "index")},
            cache_control=call.get(CACHE_CONTROL),
        )


def _result(message: Mapping[str, JSON], names: Mapping[str, str]) -> Result:
    call_id = str(message.get("tool_call_id") or message.get("name") or "")
    return Result(
        call_id=call_id,
        parts=tuple(_content(message)),
        name=message.get("name") or names.get(call_id),
        is_error=message.get("is_error") is True,
        cache_control=message.get(CACHE_CONTROL),
    )


def _content(message: Mapping[str, JSON]) -> list[Part]:
    content = message.get("content")
    if isinstance(content, str):
        return [Text(content, message.get(CACHE_CONTROL))] if content else []
    if content is None:
        refusal = message.get("refusal")
        return [Text(refusal)] if isinstance(refusal, str) and refusal else []
    parts = content if isinstance(content, list | tuple) else [content]
    return [_part(part) for part in parts]


def _part(part: object) -> Part:
    if isinstance(part, str):
        return Text(part)
    if not isinstance(part, Mapping):
        raise BadRequestError(f"a message part must be a mapping, not {type(part).__name__}.")
    cache = part.get(CACHE_CONTROL)
    match part:
        case {"type": "text", "text": str(text)}:
            return Text(text, cache)
        case {"type": "refusal", "refusal": str(text)}:
            return Text(text, cache)
        case {"type": "image_url", "image_url": str(url)}:
            return _at(url, "image", cache_control=cache)
        case {"type": "image_url", "image_url": {"url": str(url), **more}}:
            detail = str(more["detail"]) if more.get("detail") else None
            return _at(url, "image", _said_type(more), detail=detail, cache_control=cache)
        case {"type": "video_url", "video_url": {"url": str(url), **more}}:
            return _at(url, "video", _said_type(more), cache_control=cache)
        case {"type": "input_audio", "input_audio": {"data": str(data), **more}}:
            kind = str(more.get("format") or "wav")
            return Media("audio", _media_type(kind), data=data, cache_control=cache)
        case {"type": "file", "file": Mapping() as file}:
            return _file(file, cache)
    return Raw(part)


def _file(file: Mapping[str, JSON], cache: JSON) -> Media:
    name, file_id, data = file.get("filename"), file.get("file_id"), file.get("file_data")
    media_type = _said_type(file)
    if isinstance(data, str) and data:
        if _DATA_URI.match(data) or data.startswith(("http://", "https://")):
            return _at(data, None, media_type, name=name, cache_control=cache)
        return Media(_kind(media_type), media_type, data=data, name=name, cache_control=cache)
    if isinstance(file_id, str) and file_id:
        # LiteLLM's users pass URLs here, as its documentation of files shows.
        if file_id.startswith(("http://", "https://", "gs://", "s3://", "data:")):
            return _at(file_id, None, media_type, name=name, cache_control=cache)
        return Media(_kind(media_type), media_type, file_id=file_id, name=name, cache_control=cache)
    raise BadRequestError("a file part must have file_data or file_id.")


def _at(
    url: str,
    kind: Literal["image", "document", "audio", "video"] | None,
    media_type: str | None = None,
    **facts: Any,
) -> Media:
    """Media at `url`, which may be a data URI."""
    data_uri = _DATA_URI.match(url)
    if data_uri is None:
        ending = url.partition("?")[0].partition("#")[0].rpartition(".")[2].lower()
        found = media_type or _MEDIA_TYPES.get(ending)
        return Media(kind or _kind(found), found, url=url, **facts)
    if ";base64" not in data_uri["params"]:
        raise BadRequestError("a data URI must be base64: data:<media type>;base64,<data>.")
    found = media_type or data_uri["type"] or None
    return Media(kind or _kind(found), found, data=url[data_uri.end() :], **facts)


def _said_type(facts: Mapping[Any, JSON]) -> str | None:
    said = facts.get("format")
    return _media_type(said) if isinstance(said, str) else None


def _media_type(word: str) -> str:
    return word if "/" in word else _MEDIA_TYPES.get(word.lower(), word)


def _kind(media_type: str | None) -> Literal["image", "document", "audio", "video"]:
    match (media_type or "").partition("/")[0]:
        case "image":
            return "image"
        case "audio":
            return "audio"
        case "video":
            return "video"
    return "document"
