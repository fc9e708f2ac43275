"""`text_completion()` and `atext_completion()`: a model continues a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Unpack, overload

from ..errors import LLMRouteError
from ..prepare import CallOptions, prepare
from ..tracebacks import shorten
from ..transport import drive
from ..transport.drive import Job
from ..transport.streams import AsyncStream, Stream
from ..types.text import TEXT, TextCompletion, TextParams, TextRequest
from .inputs import checked_inputs
from .signature import shows


class TextArgs(TextParams, CallOptions, total=False):
    """The keyword arguments of `text_completion()`."""


@overload
def text_completion(
    model: str,
    prompt: str | Sequence[str] | Sequence[int],
    *,
    stream: Literal[False] = False,
    **given: Unpack[TextArgs],
) -> TextCompletion: ...
@overload
def text_completion(
    model: str,
    prompt: str | Sequence[str] | Sequence[int],
    *,
    stream: Literal[True],
    **given: Unpack[TextArgs],
) -> Stream[TextCompletion]: ...
@overload
def text_completion(
    model: str,
    prompt: str | Sequence[str] | Sequence[int],
    *,
    stream: bool,
    **given: Unpack[TextArgs],
) -> TextCompletion | Stream[TextCompletion]: ...
@shows(TextArgs)
def text_completion(
    model: str,
    prompt: str | Sequence[str] | Sequence[int],
    *,
    stream: bool = False,
    **given: Unpack[TextArgs],
) -> TextCompletion | Stream[TextCompletion]:
    """Continues a text, several texts, or a list of token ids.

    Most calls need `max_tokens` (16 at many servers if it is not given), `temperature`, `stop`,
    and perhaps `echo` or `suffix`; the options and errors are those of `completion()`. The text is
    `.text`.
    """
    try:
        job = text_job(model, prompt, stream, given)
        return drive.stream(job) if stream else drive.complete(job)
    except LLMRouteError as error:
        shorten(error)
        raise


@overload
async def atext_completion(
    model: str,
    prompt: str | Sequence[str] | Sequence[int],
    *,
    stream: Literal[False] = False,
    **given: Unpack[TextArgs],
) -> TextCompletion: ...
@overload
async def atext_completion(
    model: str,
    prompt: str | Sequence[str] | Sequence[int],
    *,
    stream: Literal[True],
    **given: Unpack[TextArgs],
) -> AsyncStream[TextCompletion]: ...
@overload
async def atext_completion(
    model: str,
    prompt: str | Sequence[str] | Sequence[int],
    *,
    stream: bool,
    **given: Unpack[TextArgs],
) -> TextCompletion | AsyncStream[TextCompletion]: ...
@shows(TextArgs)
async def atext_completion(
    model: str,
    prompt: str | Sequence[str] | Sequence[int],
    *,
    stream: bool = False,
    **given: Unpack[TextArgs],
) -> TextCompletion | AsyncStream[TextCompletion]:
    """The async twin of `text_completion()`."""
    try:
        job = text_job(model, prompt, stream, given)
        if stream:
            return await drive.astream(job)
        return await drive.acomplete(job)
    except LLMRouteError as error:
        shorten(error)
        raise


def text_job(
    model: str, prompt: object, stream: bool, given: Mapping[str, object]
) -> Job[TextCompletion, TextCompletion]:
    """The job of a text completion. Raises `BadRequestError` or a subclass for anything wrong."""
    inputs = checked_inputs(prompt, "prompt", model)
    prepared = prepare(TEXT, model, given)
    request = TextRequest(prompt=inputs, stream=bool(stream), **prepared.common)
    return prepared.job(TEXT, request)
