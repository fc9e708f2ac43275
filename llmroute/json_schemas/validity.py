"""Whether a finished value is valid under a schema."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, TypeAlias

from ..errors import MissingExtraError
from .matching import has_match
from .modern import modern

_MAX_STEPS = 100_000
"""Keywords looked at for one value, so that no schema takes forever: about a second."""

Keyword: TypeAlias = Callable[[Any, Any, Any, Any], Iterator[Any] | None]


class _TooLongError(Exception):
    """A check that takes more steps than any schema needs."""


def problem_of(value: Any, schema: Any) -> str | None:
    """What is wrong with `value`, in words; `None` if nothing is.

    `schema` is one of any draft. A value that cannot be checked within a bounded time is not
    called wrong. Raises `GrammarError` for what is no schema.
    """
    document = modern(schema).document()
    try:
        error = next(_validator()(document).iter_errors(value), None)
    except _TooLongError:
        return None
    except RecursionError:
        return "it is nested too deep"
    return None if error is None else f"{error.message:.300} at {error.json_path}"


def _validator() -> Any:
    """A class of validators whose checks are counted, and none of which runs away."""
    try:
        # Takes 0.1 s, and is needed for structured output only.
        from jsonschema import Draft202012Validator, exceptions, validators
    except ImportError as exc:
        raise MissingExtraError("llamacpp", "Structured output of a local model") from exc
    steps = iter(range(_MAX_STEPS))

    def counted(check: Keyword) -> Keyword:
        def run(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any] | None:
            if next(steps, None) is None:
                raise _TooLongError
            return check(validator, value, instance, schema)

        return run

    ours = _own_keywords(exceptions.ValidationError)
    keywords = {**Draft202012Validator.VALIDATORS, **ours}
    checks = {name: counted(check) for name, check in keywords.items()}
    return validators.extend(Draft202012Validator, checks)


@functools.cache
def _own_keywords(failed: Callable[[str], Any]) -> dict[str, Keyword]:
    """Keywords that are checked otherwise than `jsonschema` does.

    It takes patterns as Python's `re`, which may take forever, and 0.3 for no multiple of 0.1.
    """

    def pattern(validator: Any, wanted: str, instance: Any, schema: Any) -> Iterator[Any]:
        if isinstance(instance, str) and not has_match(wanted, instance):
            yield failed(f"{instance!r} does not match {wanted!r}")

    def pattern_properties(
        validator: Any, wanted: dict[str, Any], instance: Any, schema: Any
    ) -> Iterator[Any]:
        for name, value in instance.items() if isinstance(instance, dict) else ():
            for expression, inner in wanted.items():
                if has_match(expression, name):
                    yield from validator.descend(value, inner, path=name, schema_path=expression)

    def additional_properties(
        validator: Any, wanted: Any, instance: Any, schema: Any
    ) -> Iterator[Any]:
        for name, value in instance.items() if isinstance(instance, dict) else ():
            listed = name in schema.get("properties", ()) or any(
                has_match(expression, name) for expression in schema.get("patternProperties", ())
            )
            if not listed and wanted is False:
                yield failed(f"the property {name!r} is not allowed")
            elif not listed:
                yield from validator.descend(value, wanted, path=name)

    def multiple_of(validator: Any, wanted: Any, instance: Any, schema: Any) -> Iterator[Any]:
        if isinstance(instance, bool) or not isinstance(instance, int | float):
            return
        if not _is_multiple(instance, wanted):
            yield failed(f"{instance!r} is not a multiple of {wanted!r}")

    return {
        "additionalProperties": additional_properties,
        "multipleOf": multiple_of,
        "pattern": pattern,
        "patternProperties": pattern_properties,
    }


def _is_multiple(number: float, of: float) -> bool:
    """As the decimals are written, not as they are rounded to binary."""
    exact, step = Decimal(repr(number)), Decimal(repr(of))
    if not exact.is_finite() or exact.adjusted() - step.adjusted() > 1000:
        return False
    scale = min(int(exact.as_tuple().exponent), int(step.as_tuple().exponent))
    return not int(exact.scaleb(-scale)) % int(step.scaleb(-scale))
