"""Carries out a plan: each attempt is built, sent and read here, and each pause is slept here.

First the values: a job, its run, an attempt of it; they never wait. Then the functions that do, the
sync and the async form next to each other.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from ..chunks import assembler, expected_choices, warn_of_missing
from ..deployments import Deployment, shown
from ..errors import APIError, LLMRouteError
from ..providers import MOCK, get_provider
from ..providers.base import Call, HTTPCall, LocalCall, MockCall
from ..providers.failures import tell_redirect
from ..redaction import Secrets, redact
from ..routing.plan import Plan, Sleep, Step, plan
from ..types.call_info import AttemptRecord, CallInfo
from ..types.operation import AnswerT, ChunkT, Operation
from ..types.request import Request, TimeLimits
from . import http
from .limits import Limits
from .pauses import pause
from .sources import AsIs, AsyncReady, AsyncSource, Body, Head, Ready, Source
from .streams import AsyncStream, Stream, StreamState

T = TypeVar("T")

logger = logging.getLogger("llmroute")
"""DEBUG says what is sent and answered, INFO what is tried again after which error."""


@dataclass(slots=True)
class Job(Generic[AnswerT, ChunkT]):
    """A request, where it may go, and how long and how often to try."""

    row: Operation[AnswerT, ChunkT]
    """The operation; says what comes out."""
    request: Request
    deployments: Sequence[Deployment]
    retries: int
    time_limits: TimeLimits
    client: Any = None
    """The caller's own `httpx.Client` or `httpx.AsyncClient`; `None` for ours."""


class Run(Generic[AnswerT, ChunkT]):
    """One job being carried out: its plan, its limits, and the record of its attempts."""

    def __init__(self, job: Job[AnswerT, ChunkT]) -> None:
        self.job = job
        self.limits = Limits.begin(job.time_limits)
        self.records: list[AttemptRecord] = []
        self.waited = 0.0
        """Seconds slept since the last attempt."""
        self.plan: Plan = plan(job.deployments, retries=job.retries, deadline=self.limits.deadline)

    def slept(self, step: Sleep) -> Step:
        """What to do after a pause."""
        self.waited = step.seconds
        return next(self.plan)

    def failed(self, error: APIError, attempt: AttemptRun[AnswerT, ChunkT]) -> Step:
        """What to do after `error`. Raises the last error when nothing is left to try."""
        error = attempt.locate(error)
        attempt.record(error)
        error.attempts = tuple(self.records)
        step = self.plan.send(error)
        pause = step.seconds if isinstance(step, Sleep) else 0.0
        logger.info("Trying again in %.1f s after %s: %s", pause, type(error).__name__, error)
        return step


class AttemptRun(Generic[AnswerT, ChunkT]):
    """One attempt of a run: the deployment, its provider, and what becomes of the call."""

    def __init__(self, run: Run[AnswerT, ChunkT], deployment: Deployment) -> None:
        self.job = run.job
        self.request = run.job.request
        if deployment.params:  # defaults: what the request says itself goes first
            params = {**deployment.params, **self.request.params}
            self.request = replace(self.request, params=params)
        self.limits = run.limits.attempt(deployment.time_limits)
        self._run = run
        self._deployment = deployment
        self._provider = get_provider(deployment.provider if deployment.mock is None else MOCK)
        self._started = time.monotonic()
        self._dropped: tuple[str, ...] = ()
        self._sent: tuple[str | None, Mapping[str, str]] = (None, {})
        self._url = shown(deployment.api_base or "") or None
        self._located: APIError | None = None

    def build(self) -> Call:
        """The call to make, signed if its provider signs calls."""
        call = self._provider.build(self.request, self._deployment)
        if isinstance(call, MockCall):
            return call
        self._dropped = call.dropped_params
        if isinstance(call, LocalCall):
            self._url = call.path
            logger.debug("%s in this process: %s", call.operation, self._deployment.name)
            return call
        call = call if call.sign is None else call.sign(call, time.time())
        self._sent = call.url, call.headers
        self._url = shown(call.url)
        if (key := self._deployment.api_key) and key in self._url:  # as a gateway may have it
            self._url = self._secrets().hide(self._url)
        logger.debug(
            "%s %s: %s, %d bytes", call.method, self._url, self._deployment.name, len(call.body)
        )
        return call

    def refusal(self, head: Head, body: bytes) -> APIError:
        """The error that an answer with an error's status stands for."""
        return self._provider.error(head.status, head.headers, body)

    def answer(self, head: Head, body: Body) -> AnswerT:
        """The whole answer from all that its source held."""
        if isinstance(body, bytes):
            answer = self._provider.parse(body, self.request)
        else:
            answer = self._provider.collect(body, self.request)
        if not isinstance(answer, self.job.row.answer):
            raise LLMRouteError(
                f"The provider {self._provider.name!r} gave a {type(answer).__name__}, not a "
                f"{self.job.row.answer.__name__}."
            )
        if "n" in self.request.params or "n" in self.request.extra_body:
            warn_of_missing(answer, expected_choices(self.request, self._dropped))
        answer._call_info = self.info(head.headers)
        return answer

    def stream_state(self, head: Head) -> StreamState[ChunkT]:
        """The state of a stream of this attempt."""
        provider, request = self._provider, self.request
        collected = assembler(request, self._dropped)
        state: StreamState[ChunkT]
        if head.gives_events:
            decoder = provider.event_decoder(request)
            state = StreamState(collected, decoder, AsIs(), self.limits)
        else:
            splitter = provider.splitter(head.headers)
            state = StreamState(collected, provider.decoder(request), splitter, self.limits)
        state.locate = self.locate
        return state

    def locate(self, error: APIError) -> APIError:
        """`error` with provider, model and URL, and with what the provider adds to it.

        A server may repeat the key it refuses; here it goes no further. An error that was located
        before is returned as it is.
        """
        if error is self._located:
            return error
        deployment = self._deployment
        redact(error, self._secrets())
        error.provider = error.provider or deployment.provider
        error.model = error.model or deployment.name
        error.url = error.url or self._url
        tell_redirect(error)
        self._located = self._provider.explain(error, deployment)
        return self._located

    def info(self, headers: Mapping[str, str]) -> CallInfo:
        """The facts about this attempt, which has succeeded."""
        self.record(None)
        logger.debug("%s answered", self._deployment.name)
        headers = self._secrets().hide_in_headers(headers) if headers else headers
        return CallInfo(
            provider=self._deployment.provider,
            model=self._deployment.name,
            url=self._url,
            headers=headers,
            deployment_id=self._deployment.id,
            dropped_params=self._dropped,
            attempts=tuple(self._run.records),
        )

    def _secrets(self) -> Secrets:
        url, headers = self._sent
        proxy = http.proxy_url(url) if url and self.job.client is None else None
        return Secrets.of_call(
            api_key=self._deployment.api_key,
            urls=(self._deployment.api_base, url, proxy),
            extra_headers=self.request.extra_headers,
            headers=headers,
        )

    def record(self, error: APIError | None) -> None:
        """Writes down how this attempt ended."""
        self._run.records.append(
            AttemptRecord(
                provider=self._deployment.provider,
                model=self._deployment.model,
                url=error.url if error else self._url,
                seconds=time.monotonic() - self._started,
                status_code=error.status_code if error else None,
                error=f"{type(error).__name__}: {error.message}" if error else None,
                waited=self._run.waited,
                deployment_id=self._deployment.id,
            )
        )
        self._run.waited = 0.0


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
    step = next(run.plan)
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
    step = next(run.plan)
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
