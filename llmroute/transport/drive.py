"""Carries out a plan: each attempt is built, sent and read here, and each pause is slept here.

The sync and the async form of every function stand next to each other; neither decides anything
that the plan, the provider or `StreamState` could decide for both.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

from ..chunks import as_chunk
from ..deployments import Deployment, shown
from ..errors import APIError
from ..providers import get_provider
from ..providers.base import (
    Call,
    Completion,
    Decoder,
    HTTPCall,
    LocalCall,
    MockCall,
    Provider,
)
from ..providers.failures import request_id
from ..routing.plan import Plan, Sleep, Step, plan
from ..sse import SSEDecoder
from ..types.call_info import AttemptRecord, CallInfo
from ..types.request import Request, TimeLimits
from ..types.rerank import RerankResponse
from . import http
from .limits import Limits
from .streams import AsChunks, AsyncStream, Ready, Splitter, Stream, StreamState, Whole

T = TypeVar("T")

STREAMED = ("chat", "text")
"""Operations whose answer is text, made of chunks also where it is wanted whole."""


_SHORTEST_SECRET = 8
"""Characters; a shorter key may be part of any text."""


class Response(Protocol):
    """The head of an HTTP answer."""

    status: int
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Job:
    """A request, where it may go, and how long and how often to try."""

    request: Request
    deployments: Sequence[Deployment]
    retries: int
    timeout: TimeLimits
    client: Any = None
    """The caller's own `httpx.Client` or `httpx.AsyncClient`; `None` for ours."""


class Run:
    """One job being carried out: its clock, its plan, and the record of its attempts."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.limits = Limits.begin(job.timeout)
        self._plan: Plan = plan(job.deployments, retries=job.retries, deadline=self.limits.deadline)
        self._records: list[AttemptRecord] = []
        self._waited = 0.0
        self._started = 0.0
        self._url: str | None = None
        self._dropped: tuple[str, ...] = ()

    def first(self) -> Step:
        """What to do first."""
        return next(self._plan)

    def slept(self, step: Sleep) -> Step:
        """What to do after a pause."""
        self._waited = step.seconds
        return next(self._plan)

    def begin(self, deployment: Deployment) -> tuple[Provider, Call]:
        """Builds the call of an attempt."""
        self._started, self._url = time.monotonic(), shown(deployment.api_base or "") or None
        provider = get_provider(deployment.provider)
        call = provider.build(self.job.request, deployment)
        self._dropped = () if isinstance(call, MockCall) else call.dropped_params
        if isinstance(call, HTTPCall):
            self._url = shown(call.url)
        elif isinstance(call, LocalCall):
            self._url = call.path
        return provider, call

    def failed(self, error: APIError, deployment: Deployment) -> Step:
        """What to do after `error`. Raises the last error when nothing is left to try."""
        error = self.locate(error, deployment)
        self._record(deployment, error)
        error.attempts = tuple(self._records)
        return self._plan.send(error)

    def locate(self, error: APIError, deployment: Deployment) -> APIError:
        """`error` with provider, model and URL, and with what the provider adds to it.

        A server may repeat the key it refuses; here it goes no further.
        """
        if deployment.api_key and len(deployment.api_key) >= _SHORTEST_SECRET:
            error.hide(deployment.api_key)
        error.provider = error.provider or deployment.provider
        error.model = error.model or self.job.request.model
        error.url = error.url or self._url
        return get_provider(deployment.provider).explain(error, deployment)

    def info(self, deployment: Deployment, headers: dict[str, str] | None = None) -> CallInfo:
        """The facts about the attempt that just succeeded."""
        self._record(deployment, None)
        headers = headers or {}
        return CallInfo(
            provider=deployment.provider,
            model=self.job.request.model,
            url=self._url,
            request_id=request_id(headers),
            headers=headers,
            dropped_params=self._dropped,
            attempts=tuple(self._records),
        )

    def _record(self, deployment: Deployment, error: APIError | None) -> None:
        self._records.append(
            AttemptRecord(
                provider=deployment.provider,
                model=deployment.model,
                url=self._url,
                seconds=time.monotonic() - self._started,
                status_code=error.status_code if error else None,
                error=f"{type(error).__name__}: {error.message}" if error else None,
                waited=self._waited,
            )
        )
        self._waited = 0.0

    def state(
        self, deployment: Deployment, decoder: Decoder, splitter: Splitter, limits: Limits
    ) -> StreamState:
        """The state of a stream of this attempt."""
        state = StreamState(self.job.request, decoder, splitter, limits)
        state.locate = lambda error: self.locate(error, deployment)
        return state


def complete(job: Job) -> Completion | RerankResponse:
    """The whole answer."""
    return _drive(job, _complete)


async def acomplete(job: Job) -> Completion | RerankResponse:
    """The async twin of `complete`."""
    return await _adrive(job, _acomplete)


def stream(job: Job) -> Stream[Any]:
    """The answer as a stream whose first chunk has come."""
    return _drive(job, _stream)


async def astream(job: Job) -> AsyncStream[Any]:
    """The async twin of `stream`."""
    return await _adrive(job, _astream)


def _drive(job: Job, attempt: Callable[[Run, Deployment], T]) -> T:
    run = Run(job)
    step = run.first()
    while True:
        if isinstance(step, Sleep):
            time.sleep(step.seconds)
            step = run.slept(step)
            continue
        try:
            return attempt(run, step.deployment)
        except APIError as error:
            step = run.failed(error, step.deployment)


async def _adrive(job: Job, attempt: Callable[[Run, Deployment], Awaitable[T]]) -> T:
    run = Run(job)
    step = run.first()
    while True:
        if isinstance(step, Sleep):
            # Here, because asyncio takes 10 MB and 30 ms: callers that never await need not pay.
            from asyncio import sleep

            await sleep(step.seconds)
            step = run.slept(step)
            continue
        try:
            return await attempt(run, step.deployment)
        except APIError as error:
            step = run.failed(error, step.deployment)


def _complete(run: Run, deployment: Deployment) -> Completion | RerankResponse:
    provider, call = run.begin(deployment)
    if isinstance(call, HTTPCall):
        response = http.transport(run.job.client).open(call, run.limits)
        return _answer(run, deployment, provider, response, response.read())
    if isinstance(call, MockCall) and run.job.request.operation not in STREAMED:
        return _collected(run, deployment, provider, call.chunks)
    if isinstance(call, LocalCall) and call.operation not in STREAMED:
        from . import local  # see _stream_here

        with local.open_local(call, run.job.timeout, run.limits.deadline) as source:
            return _collected(run, deployment, provider, list(source))
    with _stream_here(run, deployment, provider, call) as events:
        events.prime()
        completion = events.get_final_completion()
    completion._call_info = run.info(deployment)
    return completion


async def _acomplete(run: Run, deployment: Deployment) -> Completion | RerankResponse:
    provider, call = run.begin(deployment)
    if isinstance(call, HTTPCall):
        response = await http.async_transport(run.job.client).open(call, run.limits)
        return _answer(run, deployment, provider, response, await response.read())
    if isinstance(call, MockCall) and run.job.request.operation not in STREAMED:
        return _collected(run, deployment, provider, call.chunks)
    if isinstance(call, LocalCall) and call.operation not in STREAMED:
        from . import local  # see _stream_here

        async with await local.open_local_async(
            call, run.job.timeout, run.limits.deadline
        ) as source:
            collected = [event async for event in source]
        return _collected(run, deployment, provider, collected)
    async with await _astream_here(run, deployment, provider, call) as events:
        await events.prime()
        completion = await events.get_final_completion()
    completion._call_info = run.info(deployment)
    return completion


def _collected(
    run: Run, deployment: Deployment, provider: Provider, events: Sequence[Any]
) -> Completion | RerankResponse:
    answer = provider.collect(events, run.job.request)
    answer._call_info = run.info(deployment)
    return answer


def _answer(
    run: Run, deployment: Deployment, provider: Provider, response: Response, body: bytes
) -> Completion:
    if response.status >= 300:
        raise provider.error(response.status, response.headers, body)
    answer = provider.parse(body, run.job.request)
    answer._call_info = run.info(deployment, response.headers)
    return answer


def _stream(run: Run, deployment: Deployment) -> Stream[Any]:
    provider, call = run.begin(deployment)
    if not isinstance(call, HTTPCall):
        chunks = _stream_here(run, deployment, provider, call)
        chunks.prime()
        chunks.state.info = run.info(deployment)
        return chunks
    limits = replace(run.limits)  # a stream's end shortens its own, not those of the next try
    response = http.transport(run.job.client).open(call, limits)
    if not _is_event_stream(response):
        answer = _answer(run, deployment, provider, response, response.read())
        return Stream(_whole(run, deployment, answer, limits), Ready([as_chunk(answer)]))
    decoder = provider.decoder(run.job.request)
    chunks = Stream(run.state(deployment, decoder, SSEDecoder(), limits), response)
    chunks.prime()
    chunks.state.info = run.info(deployment, response.headers)
    return chunks


async def _astream(run: Run, deployment: Deployment) -> AsyncStream[Any]:
    provider, call = run.begin(deployment)
    if not isinstance(call, HTTPCall):
        chunks = await _astream_here(run, deployment, provider, call)
        await chunks.prime()
        chunks.state.info = run.info(deployment)
        return chunks
    limits = replace(run.limits)
    response = await http.async_transport(run.job.client).open(call, limits)
    if not _is_event_stream(response):
        answer = _answer(run, deployment, provider, response, await response.read())
        return AsyncStream(_whole(run, deployment, answer, limits), Ready([as_chunk(answer)]))
    decoder = provider.decoder(run.job.request)
    chunks = AsyncStream(run.state(deployment, decoder, SSEDecoder(), limits), response)
    await chunks.prime()
    chunks.state.info = run.info(deployment, response.headers)
    return chunks


def _is_event_stream(response: Response) -> bool:
    """Whether the answer is a stream: no error, and not one JSON body, as a server sends that
    knows no streaming."""
    kind = response.headers.get("content-type", "")
    return response.status < 300 and not kind.startswith("application/json")


def _whole(run: Run, deployment: Deployment, answer: Completion, limits: Limits) -> StreamState:
    state = run.state(deployment, AsChunks(), Whole(), limits)
    state.info = answer.call_info
    return state


def _stream_here(
    run: Run, deployment: Deployment, provider: Provider, call: LocalCall | MockCall
) -> Stream[Any]:
    """A stream that no server is asked for."""
    if isinstance(call, MockCall):
        return Stream(run.state(deployment, AsChunks(), Whole(), run.limits), Ready(call.chunks))
    from . import local  # the engine is a dozen modules that a call over HTTP does not need

    source = local.open_local(call, run.job.timeout, run.limits.deadline)
    decoder = provider.decoder(run.job.request)
    return Stream(run.state(deployment, decoder, Whole(), run.limits), source)


async def _astream_here(
    run: Run, deployment: Deployment, provider: Provider, call: LocalCall | MockCall
) -> AsyncStream[Any]:
    if isinstance(call, MockCall):
        state = run.state(deployment, AsChunks(), Whole(), run.limits)
        return AsyncStream(state, Ready(call.chunks))
    from . import local  # see _stream_here

    source = await local.open_local_async(call, run.job.timeout, run.limits.deadline)
    decoder = provider.decoder(run.job.request)
    return AsyncStream(run.state(deployment, decoder, Whole(), run.limits), source)
