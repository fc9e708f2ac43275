"""Carries out a plan: each attempt is built, sent and read here, and each pause is slept here.

The sync and the async form of every function stand next to each other; neither decides anything
that the plan, the provider or `StreamState` could decide for both.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ..errors import APIError
from ..providers.base import HTTPCall, MockCall
from ..routing.plan import Sleep
from ..types.operation import AnswerT, ChunkT
from . import http
from .pauses import pause
from .run import AttemptRun, Job, Run
from .sources import AsyncReady, AsyncSource, Ready, Source
from .streams import AsyncStream, Stream

T = TypeVar("T")


def complete(job: Job[AnswerT, ChunkT]) -> AnswerT:
    """The whole answer."""
    return _drive(job, _complete)


async def acomplete(job: Job[AnswerT, ChunkT]) -> AnswerT:
    """The async twin of `complete`."""
    return await _adrive(job, _acomplete)


def stream(job: Job[AnswerT, ChunkT]) -> Stream[ChunkT]:
    """The answer as a stream whose first chunk has come."""
    return _drive(job, _stream)


async def astream(job: Job[AnswerT, ChunkT]) -> AsyncStream[ChunkT]:
    """The async twin of `stream`."""
    return await _adrive(job, _astream)


def _drive(job: Job[AnswerT, ChunkT], carry_out: Callable[[AttemptRun[AnswerT, ChunkT]], T]) -> T:
    run = Run(job)
    step = run.first()
    while True:
        if isinstance(step, Sleep):
            time.sleep(step.seconds)
            step = run.slept(step)
            continue
        attempt = AttemptRun(run, step.deployment)
        try:
            return carry_out(attempt)
        except APIError as error:
            step = run.failed(error, attempt)


async def _adrive(
    job: Job[AnswerT, ChunkT], carry_out: Callable[[AttemptRun[AnswerT, ChunkT]], Awaitable[T]]
) -> T:
    run = Run(job)
    step = run.first()
    while True:
        if isinstance(step, Sleep):
            await pause(step.seconds)
            step = run.slept(step)
            continue
        attempt = AttemptRun(run, step.deployment)
        try:
            return await carry_out(attempt)
        except APIError as error:
            step = run.failed(error, attempt)


def _open(attempt: AttemptRun[AnswerT, ChunkT]) -> Source:
    """Sends the call: the source of its answer, once the head has arrived."""
    call, limits = attempt.build(), attempt.limits
    if isinstance(call, HTTPCall):
        response = http.transport(attempt.job.client).open(call, limits)
        response.max_bytes = attempt.job.row.max_bytes
        return response
    if isinstance(call, MockCall):
        return Ready(call.events)
    from . import local  # the engine is a dozen modules that a call over HTTP does not need

    return local.open_local(call, limits)


async def _aopen(attempt: AttemptRun[AnswerT, ChunkT]) -> AsyncSource:
    call, limits = attempt.build(), attempt.limits
    if isinstance(call, HTTPCall):
        response = await http.async_transport(attempt.job.client).open(call, limits)
        response.max_bytes = attempt.job.row.max_bytes
        return response
    if isinstance(call, MockCall):
        return AsyncReady(call.events)
    from . import local  # the engine is a dozen modules that a call over HTTP does not need

    return await local.open_local_async(call, limits)


def _complete(attempt: AttemptRun[AnswerT, ChunkT]) -> AnswerT:
    source = _open(attempt)
    if source.status >= 300:
        raise attempt.refusal(source, source.read_error())
    return attempt.answer(source, source.read())


async def _acomplete(attempt: AttemptRun[AnswerT, ChunkT]) -> AnswerT:
    source = await _aopen(attempt)
    if source.status >= 300:
        raise attempt.refusal(source, await source.read_error())
    return attempt.answer(source, await source.read())


def _stream(attempt: AttemptRun[AnswerT, ChunkT]) -> Stream[ChunkT]:
    source = _open(attempt)
    if source.status >= 300:
        raise attempt.refusal(source, source.read_error())
    chunks: Stream[ChunkT] = Stream(attempt.stream_state(source), source)
    chunks.prime()
    chunks.state.info = attempt.info(source.headers)
    return chunks


async def _astream(attempt: AttemptRun[AnswerT, ChunkT]) -> AsyncStream[ChunkT]:
    source = await _aopen(attempt)
    if source.status >= 300:
        raise attempt.refusal(source, await source.read_error())
    chunks: AsyncStream[ChunkT] = AsyncStream(attempt.stream_state(source), source)
    await chunks.prime()
    chunks.state.info = attempt.info(source.headers)
    return chunks
