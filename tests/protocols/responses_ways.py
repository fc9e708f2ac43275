"""The ways to ask: whole and streamed, sync and async, each with its answer judged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import llmroute
from llmroute import Response
from tests.protocols.responses_judge import check_order, judged, judged_events

Ask = Callable[..., Response]


def plain(model: str, given: Any, **more: Any) -> Response:
    return checked(llmroute.responses(model, given, **more))


def plain_async(model: str, given: Any, **more: Any) -> Response:
    answer: Response = asyncio.run(llmroute.aresponses(model, given, **more))
    return checked(answer)


def streamed(model: str, given: Any, **more: Any) -> Response:
    with llmroute.responses(model, given, stream=True, **more) as stream:
        events = list(stream)
        return checked_stream(events, stream.get_final_response())


def streamed_async(model: str, given: Any, **more: Any) -> Response:
    async def run() -> Response:
        async with await llmroute.aresponses(model, given, stream=True, **more) as stream:
            events = [event async for event in stream]
            return checked_stream(events, await stream.get_final_response())

    return asyncio.run(run())


def checked(response: Response) -> Response:
    assert judged(response).output_text == response.output_text
    assert response.call_info is not None
    return response


def checked_stream(events: list[Any], response: Response) -> Response:
    check_order(events)
    seen = judged_events(events)
    assert [event.type for event in seen] == [event.type for event in events]
    assert events[-1].response == response
    deltas = [e.delta for e in events if e.type == "response.output_text.delta"]
    assert "".join(deltas) == response.output_text
    done = [e.item for e in events if e.type == "response.output_item.done"]
    assert done == response.output
    return checked(response)


ways = pytest.mark.parametrize("ask", [plain, plain_async, streamed, streamed_async])
