"""OpenAI's own client as the judge of answers and events: it refuses what its types do not have."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import openai
from openai.types.responses import Response as OpenAIResponse, ResponseStreamEvent

from llmroute import Response, ResponseEvent
from llmroute.testing.loopback import Exchange, LoopbackServer, RecordedRequest


class Served(LoopbackServer):
    """Serves one answer or the events of one, as `/responses` does."""

    def __init__(self, body: bytes, kind: str) -> None:
        super().__init__()
        self._body, self._kind = body, kind

    def respond(self, request: RecordedRequest, exchange: Exchange) -> None:
        exchange.answer(200, self._body, {"content-type": self._kind})


def judged(response: Response) -> OpenAIResponse:
    """The answer as OpenAI's client reads it. Raises if it is not what the protocol says."""
    with Served(response.to_json().encode(), "application/json") as server, _client(server) as sdk:
        return sdk.responses.create(model="m", input="hi")


def judged_events(events: Iterable[ResponseEvent]) -> list[ResponseStreamEvent]:
    """The events as OpenAI's client reads them."""
    body = "".join(f"event: {e.type}\ndata: {json.dumps(e.to_dict())}\n\n" for e in events)
    with Served(body.encode(), "text/event-stream") as server, _client(server) as sdk:
        return list(sdk.responses.create(model="m", input="hi", stream=True))


def check_order(events: Sequence[ResponseEvent]) -> None:
    """The order that the protocol fixes, for every item and part."""
    assert [event.sequence_number for event in events] == list(range(len(events)))
    types = [event.type for event in events]
    assert types[:2] == ["response.created", "response.in_progress"]
    assert types[-1] in ("response.completed", "response.incomplete", "response.failed")
    opened: dict[int, str] = {}
    done: set[int] = set()
    parts: set[tuple[str, int]] = set()
    for event in events[2:-1]:
        index = event.output_index
        assert index is not None
        if event.type == "response.output_item.added":
            assert index == len(opened)
            opened[index] = _item_id(event)
            continue
        assert index in opened
        assert index not in done
        if event.type == "response.output_item.done":
            assert _item_id(event) == opened[index]
            done.add(index)
            continue
        assert event.item_id == opened[index]
        _check_part(event, parts)
    if types[-1] != "response.failed":
        assert not parts
        assert done == set(opened)


def _item_id(event: ResponseEvent) -> str:
    identity: Any = event.item and event.item["id"]
    assert isinstance(identity, str)
    return identity


def _check_part(event: ResponseEvent, parts: set[tuple[str, int]]) -> None:
    number = event.content_index if event.summary_index is None else event.summary_index
    if number is None:
        return
    part = (event.item_id or "", number)
    if event.type.endswith("part.added"):
        assert part not in parts
        parts.add(part)
        return
    assert part in parts
    if event.type.endswith("part.done"):
        parts.remove(part)


def _client(server: Served) -> openai.OpenAI:
    return openai.OpenAI(
        api_key="k", base_url=server.url, max_retries=0, _strict_response_validation=True
    )
