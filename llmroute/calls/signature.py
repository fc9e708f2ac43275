"""The signature that `help()`, IPython and editors show for a call: every parameter by its name.

The functions take their parameters as `**given: Unpack[...]`, which type checkers read and Python's
own tools do not.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, ForwardRef, TypeVar

from ..prepare import OPTION_DEFAULTS

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


def shows(arguments: type[Mapping[str, object]]) -> Callable[[FunctionT], FunctionT]:
    """Gives a function the signature that names the keys of the `TypedDict` `arguments`.

    They are shown in alphabetical order. The function itself stays as it is, and its `**given` last
    in the signature: some providers take more.
    """

    def show(function: FunctionT) -> FunctionT:
        signature = inspect.signature(function)
        *first, others = signature.parameters.values()
        named = [_parameter(name, kind) for name, kind in sorted(arguments.__annotations__.items())]
        rest = others.replace(annotation=inspect.Parameter.empty)
        shown = signature.replace(parameters=[*first, *named, rest])
        vars(function)["__signature__"] = shown
        return function

    return show


def _parameter(name: str, kind: object) -> inspect.Parameter:
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=OPTION_DEFAULTS.get(name),
        annotation=kind.__forward_arg__ if isinstance(kind, ForwardRef) else kind,
    )
