"""Content blocks of Anthropic's Messages as parts of a chat message."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..errors import BadRequestError
from ..types.request import JSON
from .messages_chat import CACHE_CONTROL, Chat

Block = Mapping[str, JSON]


def parts(blocks: Sequence[Block], made: Chat) -> list[dict[str, JSON]]:
    """What blocks of a user or of a tool say.

    Raises `BadRequestError` for a block of a type that other providers have nothing for.
    """
    found: list[dict[str, JSON]] = []
    for block in blocks:
        if not isinstance(block, Mapping):
            raise BadRequestError(f"a block must be a mapping, not {type(block).__name__}.")
        said, mark = list(_parts(block)), made.mark(block)
        if said and mark:
            said[-1] |= mark
        found += said
    return found


def system_content(blocks: Sequence[Block], made: Chat) -> str | list[dict[str, JSON]]:
    """The texts of a system prompt, apart only where one is marked for a cache.

    Blocks of other types are left out.
    """
    for block in blocks:
        if block.get("type") != "text":
            made.drop(str(block.get("type")))
    texts = parts([block for block in blocks if block.get("type") == "text"], made)
    if any(CACHE_CONTROL in text for text in texts):
        return texts
    return "\n\n".join(text["text"] for text in texts)


def thinking(blocks: Sequence[Block]) -> str:
    """The thinking that can be read in an earlier answer."""
    return "".join(str(b.get("thinking") or "") for b in blocks if b.get("type") == "thinking")


def _parts(block: Block) -> Iterator[dict[str, JSON]]:
    match block.get("type"):
        case "text":
            if text := str(block.get("text") or ""):
                yield _text(text)
        case "image":
            yield {"type": "image_url", "image_url": {"url": _url(block)}}
        case "tool_reference":  # what a search among tools found; all of them are sent
            yield _text(f"The tool {block.get('tool_name')}.")
        case "document":
            yield from _document(block)
        case "search_result":
            found = [str(piece.get("text") or "") for piece in block.get("content") or ()]
            head = (str(block.get("title") or ""), str(block.get("source") or ""))
            yield _text("\n".join(filter(None, (*head, *found))))
        case kind:
            raise BadRequestError(f"other providers than Anthropic take no block of type {kind!r}.")


def _document(block: Block) -> Iterator[dict[str, JSON]]:
    source, title = _source(block), str(block.get("title") or "")
    notes = [str(block[key]) for key in ("title", "context") if block.get(key)]
    match source.get("type"):
        case "text":
            yield _text("\n".join([*notes, str(source.get("data") or "")]))
        case "content":
            inside = source.get("content")
            yield from map(_text, notes)
            if isinstance(inside, str):
                yield _text(inside)
            else:
                for piece in inside or ():
                    yield from _parts(piece)
        case _:
            name = title if title.lower().endswith(".pdf") else f"{title or 'document'}.pdf"
            yield {"type": "file", "file": {"filename": name, "file_data": _url(block)}}
            yield from map(_text, notes[bool(title) :])


def _url(block: Block) -> str:
    """Where an image or a document is: a URL, or its data as one."""
    source = _source(block)
    match source.get("type"):
        case "base64":
            return f"data:{source.get('media_type')};base64,{source.get('data')}"
        case "url":
            return str(source.get("url"))
    raise BadRequestError(
        f"the source of a block of type {block.get('type')!r} must be base64 or url: files of "
        f"{source.get('type')!r} are at Anthropic, where other providers cannot read them."
    )


def _source(block: Block) -> Block:
    source = block.get("source")
    if not isinstance(source, Mapping):
        raise BadRequestError(f"a block of type {block.get('type')!r} must have a source.")
    return source


def _text(text: str) -> dict[str, JSON]:
    return {"type": "text", "text": text}
