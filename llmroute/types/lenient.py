"""Validation that refuses no answer for a field nobody asked about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar, get_args

from pydantic import ValidationError

from .base import Model

ModelT = TypeVar("ModelT", bound=Model)


def validate_leniently(model: type[ModelT], payload: object) -> ModelT:
    """`payload` as `model`, without the optional fields whose values do not fit their types.

    Such a value moves to the key `native_<field>` beside it. `payload` is changed in place. Raises
    pydantic's `ValidationError` if a required field, a text or a call does not fit.
    """
    while True:
        try:
            return model.model_validate(payload)
        except ValidationError as exc:
            errors = exc.errors(include_url=False, include_context=False, include_input=False)
            if not all(_move_aside(payload, model, error["loc"]) for error in errors):
                raise


def _move_aside(payload: object, model: type[Model], place: Sequence[int | str]) -> bool:
    """Moves the innermost optional field on the way to `place`; whether there was one."""
    optional: tuple[dict[str, Any], str] | None = None
    node: object = payload
    kind: type[Model] | None = model
    for position, step in enumerate(place):
        if isinstance(node, list) and isinstance(step, int):
            node = node[step]
            continue
        field = kind.model_fields.get(str(step)) if kind is not None else None
        if kind is None or field is None or not isinstance(node, dict):
            break
        name = str(step)
        if name not in node:
            if position == len(place) - 1:
                break  # it is required and missing: what it is part of has to go
            return True  # what it was part of has been moved for another error
        if name in kind.essential:
            optional = None
        elif not field.is_required():
            optional = node, name
        node, kind = node[name], _model_in(field.annotation)
    if optional is None:
        return False
    owner, name = optional
    owner[f"native_{name}"] = owner.pop(name)
    return True


def _model_in(annotation: Any) -> type[Model] | None:
    """The model in an annotation such as `list[Model] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)
