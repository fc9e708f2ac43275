"""Content blocks of Bedrock's Converse API, and what they say in OpenAI's shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pydantic_core import to_json

from ..types.request import JSON
from .conversation import PROVIDER_CONTENT, Call, Part, text_of

FORMAT = "bedrock"
"""What `provider_content` calls the content blocks of this protocol."""
ANSWER_TOOL = "json_tool_call"
"""The tool whose input is the answer, for models that enforce no schema. LiteLLM's name."""


def asks_for_schema(params: Mapping[str, JSON]) -> bool:
    """Whether an answer by a schema is asked for."""
    wanted = params.get("response_format")
    return isinstance(wanted, Mapping) and wanted.get("type", "json_schema") == "json_schema"


def message(blocks: Sequence[Mapping[str, JSON]], *, as_schema: bool) -> dict[str, JSON]:
    """What the blocks say as OpenAI's message, with the blocks themselves beside it.

    With `as_schema` the input of `ANSWER_TOOL` is the content.
    """
    answers = [block["toolUse"] for block in blocks if as_schema and _is_answer(block)]
    text: str | None = text_in(blocks)
    if answers:
        text = to_json(answers[0].get("input")).decode()
    said: dict[str, JSON] = {"role": "assistant", "content": text}
    if thought := "".join(_thoughts(blocks)):
        said["reasoning_content"] = thought
    calls = [_call(b["toolUse"]) for b in blocks if is_call(b) and not (answers and _is_answer(b))]
    if calls:
        said["tool_calls"] = calls
    if notes := list(cited_pages(blocks)):
        said["annotations"] = notes
    return {**said, **native(blocks)}


def native(blocks: Sequence[Mapping[str, JSON]]) -> dict[str, JSON]:
    """The fields that carry the blocks back, byte for byte, in the next turn."""
    kept: dict[str, JSON] = {PROVIDER_CONTENT: {"format": FORMAT, "blocks": list(blocks)}}
    thoughts = list(_thinking_blocks(blocks))
    return {**kept, "thinking_blocks": thoughts} if thoughts else kept


def says_the_same(blocks: JSON, parts: Sequence[Part]) -> bool:
    """Whether the blocks of an answer say what its message says now.

    Raises `BadRequestError` for a call whose arguments are not JSON.
    """
    if not isinstance(blocks, list) or not all(isinstance(block, Mapping) for block in blocks):
        return False
    uses = [block["toolUse"] for block in blocks if is_call(block)]
    theirs = [(use.get("toolUseId"), use.get("name"), use.get("input")) for use in uses]
    ours = [(part.id, part.name, part.parsed()) for part in parts if isinstance(part, Call)]
    return (text_in(blocks) or "") == text_of(parts) and theirs == ours


def text_in(blocks: Sequence[Mapping[str, JSON]]) -> str | None:
    """All text, also the text of blocks with citations; `None` if there is no such block."""
    texts = [text for block in blocks if (text := _text(block)) is not None]
    return "".join(texts) if texts else None


def is_call(block: Mapping[str, JSON]) -> bool:
    """Whether the block is a call for the caller to carry out: one without a type."""
    use = block.get("toolUse")
    return isinstance(use, Mapping) and use.get("type") is None


def cited_pages(blocks: Sequence[Mapping[str, JSON]]) -> Iterator[dict[str, JSON]]:
    """The pages that a text cites, for the characters of the block that cites them."""
    start = 0
    for block in blocks:
        end = start + len(_text(block) or "")
        cited = block.get("citationsContent")
        for citation in (cited.get("citations") or ()) if isinstance(cited, Mapping) else ():
            if url := _cited_url(citation):
                page = {"url": url, "title": citation.get("title") or ""}
                page |= {"start_index": start, "end_index": end}
                yield {"type": "url_citation", "url_citation": page}
        start = end


def _cited_url(citation: JSON) -> str | None:
    match citation:
        case {"location": {"web": {"url": str(url)}}}:
            return url
    return None


def _text(block: Mapping[str, JSON]) -> str | None:
    match block:
        case {"text": str(text)}:
            return text
        case {"citationsContent": {"content": list(parts)}}:
            return "".join(str(p.get("text") or "") for p in parts if isinstance(p, Mapping))
    return None


def _is_answer(block: Mapping[str, JSON]) -> bool:
    return is_call(block) and block["toolUse"].get("name") == ANSWER_TOOL


def _call(use: Mapping[str, JSON]) -> dict[str, JSON]:
    arguments = to_json(use.get("input") if use.get("input") is not None else {}).decode()
    function = {"name": str(use.get("name")), "arguments": arguments}
    return {"id": str(use.get("toolUseId")), "type": "function", "function": function}


def _thoughts(blocks: Sequence[Mapping[str, JSON]]) -> Iterator[str]:
    for block in blocks:
        match block:
            case {"reasoningContent": {"reasoningText": {"text": str(text)}}}:
                yield text


def _thinking_blocks(blocks: Sequence[Mapping[str, JSON]]) -> Iterator[dict[str, JSON]]:
    """Reasoning in the form of LiteLLM's `thinking_blocks`, which is Anthropic's."""
    for block in blocks:
        match block:
            case {"reasoningContent": {"reasoningText": {"text": str(text), "signature": signed}}}:
                yield {"type": "thinking", "thinking": text, "signature": signed}
            case {"reasoningContent": {"reasoningText": {"text": str(text)}}}:
                yield {"type": "thinking", "thinking": text}
            case {"reasoningContent": {"redactedContent": data}}:
                yield {"type": "redacted_thinking", "data": data}
