"""Answers of Gemini's generateContent in OpenAI's shape.

The API is described at https://ai.google.dev/api/generate-content; its fields are those of Google's
SDK, google-genai 3.6.1 (2026-11-28).
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import to_json

from ..errors import APIResponseValidationError
from ..types.base import Model
from ..types.chat import ChatCompletion
from ..types.lenient import validate_leniently
from ..types.request import JSON, Request
from .conversation import PROVIDER_CONTENT, Call, Part, text_of
from .openai_answers import problem

ModelT = TypeVar("ModelT", bound=Model)

FORMAT = "gemini"
"""What `provider_content` calls the parts of this protocol."""

FINISH_REASONS = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    **dict.fromkeys(
        [
            "BLOCKLIST",
            "IMAGE_PROHIBITED_CONTENT",
            "IMAGE_RECITATION",
            "IMAGE_SAFETY",
            "LANGUAGE",
            "MODEL_ARMOR",
            "PROHIBITED_CONTENT",
            "RECITATION",
            "SAFETY",
            "SPII",
        ],
        "content_filter",
    ),
}
"""Other reasons (`MALFORMED_FUNCTION_CALL`, ...) have no word in OpenAI's protocol."""

_PLAIN_TEXT = frozenset({"text", "thought"})
_DETAILS = {
    "AUDIO": "audio_tokens",
    "DOCUMENT": "document_tokens",
    "IMAGE": "image_tokens",
    "TEXT": "text_tokens",
    "VIDEO": "video_tokens",
}
_USUAL = frozenset({"content", "index"})
_TOLD = _USUAL | {"finishReason", "logprobsResult"}
_COUNTED = frozenset({"candidatesTokenCount", "promptTokenCount", "totalTokenCount"})


def completion(payload: Mapping[str, JSON], request: Request) -> ChatCompletion:
    """The whole answer. Raises `APIResponseValidationError` for what is none."""
    candidates = list(candidates_of(payload))
    choices = [_choice(position, item, request) for position, item in enumerate(candidates)]
    if not choices:
        if (blocked := blocked_choice(payload, "message")) is None:
            raise APIResponseValidationError(
                "The answer of Gemini has no candidates.", model=request.model, body=payload
            )
        choices = [blocked]
    answer = {**head(payload, request), **beside(payload), "choices": choices}
    if (counts := usage(payload.get("usageMetadata"))) is not None:
        answer["usage"] = counts
    return validated(ChatCompletion, answer, request)


def validated(model: type[ModelT], answer: JSON, request: Request) -> ModelT:
    """`answer` as `model`. Raises `APIResponseValidationError` if it cannot be one."""
    try:
        return validate_leniently(model, answer)
    except ValidationError as exc:
        raise APIResponseValidationError(
            f"The answer of Gemini has an unknown form: {problem(exc)}.",
            model=request.model,
            body=answer,
        ) from None


def head(payload: Mapping[str, JSON], request: Request) -> dict[str, JSON]:
    """The fields that answers and chunks begin with."""
    named, model = payload.get("responseId"), payload.get("modelVersion")
    return {
        "id": named if isinstance(named, str) and named else f"chatcmpl-{request.call_id}",
        "created": request.created,
        "model": model if isinstance(model, str) and model else request.model,
    }


def beside(payload: Mapping[str, JSON]) -> dict[str, JSON]:
    """What else an answer says: the tier that served it, what the filter says of the prompt."""
    said: dict[str, JSON] = {}
    counts = payload.get("usageMetadata")
    if isinstance(counts, dict) and isinstance(tier := counts.get("serviceTier"), str):
        said["service_tier"] = "default" if tier == "standard" else tier
    if feedback := payload.get("promptFeedback"):
        said["promptFeedback"] = feedback
    return said


def candidates_of(payload: Mapping[str, JSON]) -> Iterator[Mapping[str, JSON]]:
    """The candidates of an answer or of an event."""
    return _mappings(payload.get("candidates"))


def index_of(candidate: Mapping[str, JSON], position: int) -> int:
    """The number of a candidate: its own, or its position in the answer."""
    found = candidate.get("index")
    return found if isinstance(found, int) else position


def parts_of(candidate: Mapping[str, JSON]) -> list[dict[str, JSON]]:
    """The parts of a candidate's content; a filtered one has none."""
    content = candidate.get("content")
    parts = content.get("parts") if isinstance(content, dict) else None
    return [dict(part) for part in _mappings(parts)]


def blocked_choice(payload: Mapping[str, JSON], kind: str) -> dict[str, JSON] | None:
    """The choice that stands for a prompt which was refused; `None` if it was not.

    `kind` is `"message"` or `"delta"`.
    """
    feedback = payload.get("promptFeedback")
    reason = feedback.get("blockReason") if isinstance(feedback, dict) else None
    if not reason:
        return None
    return {
        "index": 0,
        kind: {"role": "assistant", "content": None},
        "finish_reason": "content_filter",
        "native_finish_reason": reason,
    }


def finish(candidate: Mapping[str, JSON], calls: bool) -> dict[str, JSON]:
    """The fields of a choice beside what was said: why it ended, sources, safety, logprobs."""
    if candidate.keys() <= _USUAL:  # as most pieces of a stream
        return {}
    said = {key: value for key, value in candidate.items() if key not in _TOLD}
    reason = candidate.get("finishReason")
    if isinstance(reason, str):
        ours = FINISH_REASONS.get(reason)
        said["finish_reason"] = "tool_calls" if calls and ours == "stop" else ours
        said["native_finish_reason"] = reason
    if (found := logprobs(candidate.get("logprobsResult"))) is not None:
        said["logprobs"] = found
    return said


def words(parts: Sequence[Mapping[str, JSON]], *, thought: bool) -> str | None:
    """The text of the answer, or of the thinking; `None` if no part has any."""
    texts = [
        part["text"]
        for part in parts
        if isinstance(part.get("text"), str) and bool(part.get("thought")) is thought
    ]
    return "".join(texts) if texts else None


def call(part: Mapping[str, JSON], stand_in: str) -> dict[str, JSON] | None:
    """The tool call in a part; `None` if it has none. `stand_in` is its id where it has no own.

    A call that Google runs itself (`toolCall`, `executableCode`) is none of the client's.
    """
    function = part.get("functionCall")
    if not isinstance(function, dict):
        return None
    own = function.get("id")
    said: dict[str, JSON] = {
        "id": own if isinstance(own, str) and own else stand_in,
        "type": "function",
        "function": {
            "name": str(function.get("name")),
            "arguments": to_json(function.get("args") or {}).decode(),
        },
    }
    if signature := part.get("thoughtSignature"):
        # Where OpenAI's protocol at Google's own host has it, and where LiteLLM does.
        said["extra_content"] = {"google": {"thought_signature": signature}}
        said["provider_specific_fields"] = {"thought_signature": signature}
    return said


def image(part: Mapping[str, JSON], index: int) -> dict[str, JSON] | None:
    """The picture in a part, as LiteLLM and OpenRouter show it; `None` if it has none."""
    data = _inline(part, "image/")
    if data is None:
        return None
    url = f"data:{data['mimeType']};base64,{data.get('data') or ''}"
    return {"type": "image_url", "image_url": {"url": url}, "index": index}


def native(parts: Sequence[Mapping[str, JSON]]) -> dict[str, JSON]:
    """The parts as they came, to go back byte for byte in the next turn."""
    return {PROVIDER_CONTENT: {"format": FORMAT, "blocks": list(parts)}}


def sound(parts: Sequence[Mapping[str, JSON]]) -> dict[str, JSON] | None:
    """The spoken answer; `None` if there is none. It may come in pieces."""
    pieces = [data for part in parts if (data := _inline(part, "audio/")) is not None]
    if not pieces:
        return None
    texts = [str(piece.get("data") or "") for piece in pieces]
    try:
        whole = b64encode(b"".join(map(b64decode, texts))).decode()
    except ValueError:  # no base64 at all: as it came
        whole = "".join(texts)
    return {"data": whole, "mime_type": pieces[0]["mimeType"]}


def citations(candidate: Mapping[str, JSON], text: str) -> list[dict[str, JSON]]:
    """The pages that support a stretch of the text.

    Google counts the stretch in bytes of UTF-8.
    """
    grounding = candidate.get("groundingMetadata")
    if not isinstance(grounding, dict):
        return []
    chunks = list(_mappings(grounding.get("groundingChunks")))
    notes = []
    for support in _mappings(grounding.get("groundingSupports")):
        indexes = support.get("groundingChunkIndices")
        for index in indexes if isinstance(indexes, list) else ():
            page = chunks[index].get("web") if index in range(len(chunks)) else None
            if isinstance(page, dict) and page.get("uri"):
                notes.append(_citation(page, support.get("segment"), text))
    return notes


def logprobs(result: JSON) -> dict[str, JSON] | None:
    """Log probabilities as OpenAI has them; `None` if there are none."""
    if not isinstance(result, dict) or not result.get("chosenCandidates"):
        return None
    tops = list(_mappings(result.get("topCandidates")))
    content = []
    for position, token in enumerate(_mappings(result["chosenCandidates"])):
        others = _mappings(tops[position].get("candidates")) if position < len(tops) else ()
        content.append({**_token(token), "top_logprobs": [_token(other) for other in others]})
    return {"content": content}


def usage(counts: JSON) -> dict[str, JSON] | None:
    """Token counts as OpenAI has them; `None` where Google did not count.

    Thinking is counted apart from the candidates, and what Google's own tools read apart from the
    prompt (https://ai.google.dev/api/generate-content#UsageMetadata): OpenAI's two sums include
    them. What was read from a cache is part of the prompt in both.
    """
    if not isinstance(counts, dict) or not isinstance(counts.get("promptTokenCount"), int):
        return None
    thought = _count(counts, "thoughtsTokenCount")
    prompt = counts["promptTokenCount"] + _count(counts, "toolUsePromptTokenCount")
    # A count that is zero is left out.
    answered = _count(counts, "candidatesTokenCount") + thought
    answer: dict[str, JSON] = {
        "prompt_tokens": prompt,
        "completion_tokens": answered,
        "total_tokens": _count(counts, "totalTokenCount") or prompt + answered,
    }
    asked = _by_kind(counts.get("promptTokensDetails"))
    for kind, number in _by_kind(counts.get("toolUsePromptTokensDetails")).items():
        asked[kind] = asked.get(kind, 0) + number
    if (cached := counts.get("cachedContentTokenCount")) is not None:
        asked["cached_tokens"] = cached
    written = _by_kind(counts.get("candidatesTokensDetails"))
    if "thoughtsTokenCount" in counts:
        written["reasoning_tokens"] = thought
    if asked:
        answer["prompt_tokens_details"] = asked
    if written:
        answer["completion_tokens_details"] = written
    return {**{k: v for k, v in counts.items() if k not in _COUNTED}, **answer}


def says_the_same(blocks: JSON, parts: Sequence[Part]) -> bool:
    """Whether the parts of an answer, as Google sent them, say what its message says now."""
    if not isinstance(blocks, list) or not all(isinstance(block, Mapping) for block in blocks):
        return False
    found = [b["functionCall"] for b in blocks if isinstance(b.get("functionCall"), Mapping)]
    theirs = [(str(function.get("name")), function.get("args") or {}) for function in found]
    ours = [(part.name, part.parsed()) for part in parts if isinstance(part, Call)]
    return (words(blocks, thought=False) or "") == text_of(parts) and theirs == ours


def joined(parts: list[dict[str, JSON]], part: dict[str, JSON]) -> None:
    """Adds `part` of a stream to `parts`. Text goes on in the part before it, if neither holds
    more than text: a signature belongs to exactly the part it came with."""
    before = parts[-1] if parts else {}
    same = before.keys() == part.keys() and before.get("thought") == part.get("thought")
    text, more = before.get("text"), part.get("text")
    if same and _PLAIN_TEXT.issuperset(part) and isinstance(text, str) and isinstance(more, str):
        parts[-1] = {**before, "text": text + more}
    else:
        parts.append(part)


def _choice(position: int, candidate: Mapping[str, JSON], request: Request) -> dict[str, JSON]:
    parts = parts_of(candidate)
    index = index_of(candidate, position)
    calls: list[dict[str, JSON]] = []
    for part in parts:
        if (said := call(part, f"call_{request.call_id}_{index}_{len(calls)}")) is not None:
            calls.append(said)
    text = words(parts, thought=False)
    message: dict[str, JSON] = {"role": "assistant", "content": text, **native(parts)}
    if thought := words(parts, thought=True):
        message["reasoning_content"] = thought
    if calls:
        message["tool_calls"] = calls
    pictures = [part for part in parts if image(part, 0) is not None]
    if pictures:
        message["images"] = [image(part, number) for number, part in enumerate(pictures)]
    if (audio := sound(parts)) is not None:
        message["audio"] = audio
    if notes := citations(candidate, text or ""):
        message["annotations"] = notes
    return {"index": index, "message": message, **finish(candidate, bool(calls))}


def _inline(part: Mapping[str, JSON], kind: str) -> Mapping[str, Any] | None:
    data = part.get("inlineData")
    if not isinstance(data, dict) or part.get("thought"):
        return None
    return data if str(data.get("mimeType")).startswith(kind) else None


def _citation(page: Mapping[str, JSON], segment: JSON, text: str) -> dict[str, JSON]:
    cited: dict[str, JSON] = {"url": page["uri"], "title": page.get("title")}
    found = segment if isinstance(segment, dict) else {}
    begin, end = found.get("startIndex") or 0, found.get("endIndex")
    if isinstance(begin, int) and isinstance(end, int):
        raw = text.encode()
        before = len(raw[:begin].decode("utf-8", "ignore"))
        length = len(raw[begin:end].decode("utf-8", "ignore"))
        cited |= {"start_index": before, "end_index": before + length}
    return {"type": "url_citation", "url_citation": cited}


def _token(token: Mapping[str, JSON]) -> dict[str, JSON]:
    text = str(token.get("token") or "")
    return {
        "token": text,
        "bytes": list(text.encode()),
        "logprob": token.get("logProbability") or 0.0,
    }


def _by_kind(details: JSON) -> dict[str, int]:
    return {
        _DETAILS[item["modality"]]: _count(item, "tokenCount")
        for item in _mappings(details)
        if isinstance(item.get("modality"), str) and item["modality"] in _DETAILS
    }


def _count(counts: Mapping[str, JSON], name: str) -> int:
    found = counts.get(name)
    return found if isinstance(found, int) else 0


def _mappings(items: JSON) -> Iterator[Mapping[str, Any]]:
    """The objects in a list; none in anything else."""
    return (
        (item for item in items if isinstance(item, dict)) if isinstance(items, list) else iter(())
    )
