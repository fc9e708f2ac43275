"""Messages as the content blocks of Bedrock's Converse API.

Written from https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html
and the pages of its members (2026-11-28).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from ..errors import BadRequestError, UnsupportedOperationError
from ..types.request import JSON
from .bedrock_blocks import FORMAT, says_the_same
from .conversation import Call, Media, Part, Raw, Result, Text, Turn, conversation

Block = dict[str, JSON]

# The words for a file's format that are not the end of its media type.
_FORMATS = {
    "application/msword": "doc",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "audio/x-wav": "wav",
    "image/jpg": "jpeg",
    "text/markdown": "md",
    "text/plain": "txt",
    "video/3gpp": "three_gp",
    "video/quicktime": "mov",
    "video/x-flv": "flv",
    "video/x-matroska": "mkv",
    "video/x-ms-wmv": "wmv",
}
_STAND_INS = {"image": "png", "document": "pdf", "audio": "wav", "video": "mp4"}
# What a document's name may be made of; more than one blank in a row is refused too.
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9\s\-()\[\]]+|\s+")
_NOT_IN_IDS = re.compile(r"[^a-zA-Z0-9_.:-]")
_LONGEST_ID = 64
_LONGEST_NAME = 200


def converse_messages(messages: Sequence[Mapping[str, JSON]]) -> tuple[list[Block], list[Block]]:
    """The messages, and the blocks of the system. Turns of the same side become one."""
    content = _Content()
    turns: list[Block] = []
    system: list[Block] = []
    for turn, message in zip(conversation(messages), messages, strict=True):
        blocks = list(content.turn(turn, message))
        if turn.role == "system":
            system += blocks
            continue
        role = "assistant" if turn.role == "assistant" else "user"
        if blocks and turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        elif blocks:
            turns.append({"role": role, "content": blocks})
    if not turns:
        raise BadRequestError(
            "There is no message of a user with content: Bedrock needs at least one.",
            param="messages",
        )
    _strip_prefill(turns[-1])
    return turns, system


def cache_point(marker: JSON) -> Block:
    """Anthropic's `cache_control` as the block that ends the prefix to cache."""
    ttl = marker.get("ttl") if isinstance(marker, Mapping) else None
    return {"cachePoint": {"type": "default", **({"ttl": ttl} if ttl else {})}}


def _strip_prefill(turn: Block) -> None:
    """An answer to continue that ends in white space is refused."""
    last = turn["content"][-1]
    if turn["role"] == "assistant" and isinstance(last.get("text"), str):
        turn["content"][-1] = {"text": last["text"].rstrip()}


class _Content:
    """Makes blocks of turns, and remembers the names of documents, which must differ."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    def turn(self, turn: Turn, message: Mapping[str, JSON]) -> Iterator[Block]:
        """The blocks of a turn: those that came, if its message still says the same."""
        native = turn.native or {}
        blocks = native.get("blocks")
        if native.get("format") == FORMAT and says_the_same(blocks, turn.parts):
            yield from blocks or ()
            return
        if turn.role == "assistant":
            yield from _thinking(message.get("thinking_blocks") or ())
        for part in turn.parts:
            yield from self._blocks(part)

    def _blocks(self, part: Part) -> Iterator[Block]:
        match part:
            case Text(text=text):
                if text.strip():  # a blank text is refused
                    yield {"text": text}
            case Media():
                yield self._media(part)
            case Call():
                yield {
                    "toolUse": {
                        "toolUseId": _id(part.id),
                        "name": part.name,
                        "input": part.parsed(),
                    }
                }
            case Result():
                yield self._result(part)
            case Raw():
                yield dict(part.part)
        if isinstance(part, Text | Media | Call | Result) and part.cache_control:
            yield cache_point(part.cache_control)

    def _result(self, part: Result) -> Block:
        blocks = [block for piece in part.parts for block in self._blocks(piece)]
        # A point to cache up to stands behind the result, not in it.
        content = [block for block in blocks if "cachePoint" not in block]
        result: Block = {"toolUseId": _id(part.call_id), "content": content}
        return {"toolResult": {**result, "status": "error"} if part.is_error else result}

    def _media(self, part: Media) -> Block:
        block: Block = {"format": _format(part), "source": _source(part)}
        if part.kind == "document":
            block["name"] = self._name(part.name)
        return {part.kind: block}

    def _name(self, name: str | None) -> str:
        """A name that is allowed and that no other document has."""
        stem = _NOT_IN_NAMES.sub(" ", (name or "").rpartition(".")[0] or name or "").strip()
        stem = (stem or "document")[: _LONGEST_NAME - 8]
        unique, number = stem, 1
        while unique in self._names:
            number += 1
            unique = f"{stem} {number}"
        self._names.add(unique)
        return unique


def _thinking(blocks: Sequence[JSON]) -> Iterator[Block]:
    """LiteLLM's `thinking_blocks`, which are Anthropic's, as reasoning of Bedrock."""
    for block in blocks:
        match block:
            case {"type": "thinking", "thinking": str(text), **rest}:
                signature = {"signature": rest["signature"]} if rest.get("signature") else {}
                yield {"reasoningContent": {"reasoningText": {"text": text, **signature}}}
            case {"type": "redacted_thinking", "data": str(data)}:
                yield {"reasoningContent": {"redactedContent": data}}


def _source(part: Media) -> Block:
    if part.url is not None and part.url.startswith("s3://"):
        return {"s3Location": {"uri": part.url}}
    if part.data is None:
        where = "by a URL" if part.url is not None else "by the id of a file"
        raise UnsupportedOperationError(
            f"Bedrock takes no {part.kind} {where}: give its data as a data URI, or an s3:// URL."
        )
    return {"bytes": part.data}


def _format(part: Media) -> str:
    media_type = part.media_type or ""
    word = _FORMATS.get(media_type) or media_type.partition("/")[2]
    return word.removeprefix("x-") or _STAND_INS[part.kind]


def _id(text: str) -> str:
    """An id of a call as Bedrock takes it; another provider's may have other characters."""
    return _NOT_IN_IDS.sub("_", text)[:_LONGEST_ID]
