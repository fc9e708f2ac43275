"""The policy for parameters a provider does not take, and near matches for mistyped names."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ..call_site import callers_level
from ..errors import UnsupportedParamsError
from ..types.request import Request

_NONE: Mapping[str, str] = {}

# Values that ask for nothing: what OpenAI does without the parameter.
_DEFAULTS = {
    "best_of": 1,
    "echo": False,
    "frequency_penalty": 0,
    "logit_bias": {},
    "logprobs": False,
    "n": 1,
    "presence_penalty": 0,
    "store": False,
    "tool_choice": "auto",
}
# Empty, they ask for nothing, and most endpoints answer 400. `web_search_options={}` does ask.
_REFUSED_EMPTY = frozenset({"functions", "logit_bias", "metadata", "modalities", "stop", "tools"})
_ABOUT_TOOLS = frozenset({"tool_choice", "parallel_tool_calls"})


class DroppedParamsWarning(UserWarning):
    """A parameter was left out of a call, as `unsupported="drop"` asked."""


def select_params(
    request: Request,
    accepted: Collection[str],
    provider: str,
    reasons: Mapping[str, str] = _NONE,
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The parameters to send, and the names of those left out.

    What is not `accepted`, or has a value that is not taken for one of the `reasons`, follows
    `request.unsupported`: `"raise"` gives `UnsupportedParamsError`, `"drop"` warns and leaves it
    out, `"pass"` sends it. A value that asks for no more than leaving it out is left out quietly.
    """
    params = asked_for(request)
    if request.unsupported == "pass":
        return params, ()
    params = {
        name: value
        for name, value in params.items()
        if name in accepted or name not in _DEFAULTS or value != _DEFAULTS[name]
    }
    refused = tuple(name for name in params if name not in accepted or name in reasons)
    if not refused:
        return params, ()
    if request.unsupported == "raise":
        raise refuse(request, refused, provider, reasons)
    warnings.warn(
        f"{provider} does not take {_quoted(refused, reasons)}: left out of the call to "
        f"{request.model}.",
        DroppedParamsWarning,
        stacklevel=callers_level(),
    )
    return without(params, *refused), refused


def asked_for(request: Request) -> dict[str, Any]:
    """The parameters without those that ask for nothing, such as `tools=[]`."""
    params = {
        name: value for name, value in request.params.items() if value or name not in _REFUSED_EMPTY
    }
    if "tools" not in params:
        for name in _ABOUT_TOOLS & params.keys():
            if params[name] in ("auto", "none", True, False):
                del params[name]
    none_given = "functions" in request.params and "functions" not in params
    if none_given and params.get("function_call") in ("auto", "none"):
        del params["function_call"]
    if "stream_options" in params and not _asks(params["stream_options"], request):
        del params["stream_options"]
    return params


def refuse(
    request: Request, names: Iterable[str], provider: str, reasons: Mapping[str, str] = _NONE
) -> UnsupportedParamsError:
    """The error for parameters that `provider` does not take, or not with their value."""
    names = tuple(names)
    return UnsupportedParamsError(
        f"{provider} does not take {_quoted(names, reasons)}. Leave it out, or "
        'decide with unsupported="drop" (leave it out with a warning) or unsupported="pass" '
        "(send it anyway).",
        provider=provider,
        model=request.model,
        param=names[0],
    )


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`" Did you mean 'x'?"` for the nearest known names, or nothing."""
    known = list(known)
    # A name that is hardly different is the one; several are named only when none is.
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.85)
    near = near or difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""


def _asks(options: Mapping[str, Any], request: Request) -> bool:
    """Whether `stream_options` ask for anything: not without a stream, and not by a plain no."""
    return request.stream and any(name != "include_usage" or options[name] for name in options)


def without(params: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """A copy of `params` without `names`."""
    return {name: value for name, value in params.items() if name not in names}


def _quoted(names: Iterable[str], reasons: Mapping[str, str]) -> str:
    return ", ".join(
        f"{name!r} ({reasons[name]})" if name in reasons else repr(name) for name in names
    )
