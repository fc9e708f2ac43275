"""OpenAI's messages as the contents of Gemini's generateContent.

The API is described at https://ai.google.dev/api/caching#Content; its fields are those of Google's
SDK, google-genai 3.6.1 (2026-11-28).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from pydantic_core import from_json

from ..errors import BadRequestError
from ..types.request import JSON
from .conversation import Call, Media, Part, Raw, Result, Text, Turn, conversation, text_of
from .gemini_answer import FORMAT, says_the_same

UNSIGNED = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="
"""Stands for the signature of a call that another model made: "skip_thought_signature_validator" in
base64. Without one, Gemini 3 answers 400
(https://ai.google.dev/gemini-api/docs/thought-signatures, "FAQs")."""

_VERSION = re.compile(r"gemini-(?:live-)?(\d+)(?:\.(\d+))?")
_FILES = "https://generativelanguage.googleapis.com/v1beta/"
_DEFAULT_TYPES = {
    "image": "image/png",
    "document": "application/pdf",
    "audio": "audio/wav",
    "video": "video/mp4",
}
_RESOLUTIONS = frozenset({"low", "medium", "high", "ultra_high"})


def is_newer(model: str, version: tuple[int, int]) -> bool:
    """Whether `model` is a Gemini of at least `version`; one without a number counts as newest."""
    found = _VERSION.search(model)
    return found is None or (int(found[1]), int(found[2] or 0)) >= version


def contents(messages: Sequence[Mapping[str, JSON]], model: str) -> dict[str, JSON]:
    """`contents`, and `systemInstruction` where there is one: all that systems say, in one place.

    Raises `BadRequestError` for what cannot be said to Gemini.
    """
    turns = conversation(messages)
    writer = _Writer(model)
    for turn in _in_call_order([turn for turn in turns if turn.role != "system"]):
        writer.add(turn)
    system = [text for turn in turns if turn.role == "system" if (text := _system(turn))]
    # There must be a content; one that says nothing will do.
    body: dict[str, JSON] = {
        "contents": writer.contents or [{"role": "user", "parts": [{"text": ""}]}]
    }
    if system:
        body["systemInstruction"] = {"parts": [{"text": text} for text in system]}
    return body


class _Writer:
    """Writes the turns, one after the other; those of the same side become one content."""

    def __init__(self, model: str) -> None:
        self.contents: list[dict[str, JSON]] = []
        self._is_3 = is_newer(model, (3, 0))
        self._ids: dict[str, JSON] = {}
        """The id under which a call goes to Google, by its id in the messages; `None`: it came
        without one, and results find it by their order."""

    def add(self, turn: Turn) -> None:
        """Writes one turn; one that says nothing is left out."""
        if turn.role == "assistant":
            parts, role = self._model_parts(turn), "model"
        else:
            parts, role = [p for part in turn.parts for p in self._part(part)], "user"
        if not parts:
            return
        if self.contents and self.contents[-1]["role"] == role:
            self.contents[-1]["parts"] += parts
        else:
            self.contents.append({"role": role, "parts": parts})

    def _model_parts(self, turn: Turn) -> list[dict[str, JSON]]:
        native = turn.native
        calls = [part for part in turn.parts if isinstance(part, Call)]
        if native and native.get("format") == FORMAT:
            blocks = native.get("blocks")
            if isinstance(blocks, list) and says_the_same(blocks, turn.parts):
                found = [b["functionCall"].get("id") for b in blocks if "functionCall" in b]
                self._ids = dict(zip((call.id for call in calls), found, strict=True))
                return list(blocks)
        self._ids = {call.id: call.id or None for call in calls}
        parts = [written for part in turn.parts for written in self._part(part)]
        first = next((part for part in parts if "functionCall" in part), None)
        if self._is_3 and first is not None and "thoughtSignature" not in first:
            first["thoughtSignature"] = UNSIGNED
        return parts

    def _part(self, part: Part) -> Iterator[dict[str, JSON]]:
        match part:
            case Text(text=text):
                if text:
                    yield {"text": text}
            case Media():
                yield self._media(part)
            case Call():
                yield _call(part)
            case Result():
                yield from self._result(part)
            case Raw():
                yield _raw(part)

    def _result(self, part: Result) -> Iterator[dict[str, JSON]]:
        if part.name is None:
            raise BadRequestError(
                f"The result of the tool call {part.call_id!r} needs the name of its function: "
                'give the tool message a "name", or keep the message with the call before it.',
                param="messages",
            )
        said: dict[str, JSON] = {"name": part.name, "response": _response(part)}
        if (found := self._ids.get(part.call_id, part.call_id)) is not None:
            said["id"] = found
        media = [self._media(piece) for piece in part.parts if isinstance(piece, Media)]
        if media and self._is_3:
            said["parts"] = media
        yield {"functionResponse": said}
        if not self._is_3:  # older models see pictures only beside the result
            yield from media

    def _media(self, part: Media) -> dict[str, JSON]:
        if part.data is not None:
            media_type = part.media_type or _DEFAULT_TYPES[part.kind]
            said: dict[str, JSON] = {"inlineData": {"mimeType": media_type, "data": part.data}}
        else:
            uri = part.url or str(part.file_id)
            if uri.startswith("files/"):
                uri = _FILES + uri
            said = {"fileData": {"fileUri": uri}}
            if part.media_type is not None:
                said["fileData"]["mimeType"] = part.media_type
        if self._is_3 and part.detail in _RESOLUTIONS:
            said["mediaResolution"] = {"level": f"MEDIA_RESOLUTION_{part.detail.upper()}"}
        return said


def _in_call_order(turns: Sequence[Turn]) -> Iterator[Turn]:
    """The turns, with results in the order of their calls: one without an id is matched by it."""
    calls: dict[str, int] = {}
    for are_results, run in groupby(turns, lambda turn: turn.role == "tool"):
        group = list(run)
        parts = [part for turn in group for part in turn.parts]
        if are_results:
            group.sort(key=lambda turn: calls.get(_call_id(turn), len(calls)))
        else:
            ids = [part.id for part in parts if isinstance(part, Call)]
            calls = {call_id: place for place, call_id in enumerate(ids)}
        yield from group


def _call_id(turn: Turn) -> str:
    return next((part.call_id for part in turn.parts if isinstance(part, Result)), "")


def _call(part: Call) -> dict[str, JSON]:
    function: dict[str, JSON] = {"name": part.name, "args": part.parsed()}
    if not isinstance(function["args"], Mapping):
        raise BadRequestError(
            f"The arguments of the tool call {part.id!r} ({part.name}) must be a JSON object.",
            param="messages",
        )
    if part.id:
        function["id"] = part.id
    said: dict[str, JSON] = {"functionCall": function}
    if (signature := _signature(part.extra)) is not None:
        said["thoughtSignature"] = signature
    return said


def _signature(extra: Mapping[str, JSON]) -> str | None:
    """The signature of a call where OpenAI's protocol at Google's host has it, or LiteLLM."""
    google = (extra.get("extra_content") or {}).get("google") or {}
    fields = extra.get("provider_specific_fields") or {}
    found = google.get("thought_signature") or fields.get("thought_signature")
    return found if isinstance(found, str) else None


def _response(part: Result) -> dict[str, JSON]:
    """A result as the object that Gemini wants: the tool's own, or its words under Google's key."""
    text = text_of(part.parts)
    if part.is_error:
        return {"error": text}
    if text.lstrip().startswith("{"):
        try:
            found = from_json(text)
        except ValueError:
            found = None
        if isinstance(found, dict):
            return found
    return {"output": text}


def _raw(part: Raw) -> dict[str, JSON]:
    if "type" in part.part:
        raise BadRequestError(
            f"Gemini has no message part of type {part.part['type']!r}; a part of its own has no "
            '"type", such as {"fileData": {...}}.',
            param="messages",
        )
    return dict(part.part)


def _system(turn: Turn) -> str:
    if any(not isinstance(part, Text) for part in turn.parts):
        raise BadRequestError(
            "A system message for Gemini must be text; put files into a message of the user.",
            param="messages",
        )
    return text_of(turn.parts)
