"""Whether a finished answer is valid under the JSON schema that was asked for."""

from __future__ import annotations

import json
from typing import Any

from ..errors import APIResponseValidationError
from ..json_schemas.validity import problem_of
from ..types.request import Request
from .base import LocalToken


def schema_check(request: Request) -> SchemaCheck | None:
    """The check of a request's answers; `None` if it asks for no schema."""
    match request.params.get("response_format"):
        case {"type": "json_schema", "json_schema": {"schema": schema}}:
            return SchemaCheck(request, schema)
        case {"type": "json_object", "schema": schema} if schema is not None:
            return SchemaCheck(request, schema)
    return None


class SchemaCheck:
    """Collects the text of every choice and checks those that came to an end.

    An answer that was cut (`finish_reason="length"`) is left as it is.
    """

    def __init__(self, request: Request, schema: Any) -> None:
        self._request = request
        self._schema = schema
        self._texts: dict[int, list[str]] = {}
        self._whole: list[int] = []

    def add(self, token: LocalToken) -> None:
        """Takes a choice's next piece."""
        self._texts.setdefault(token.index, []).append(token.text)
        if token.finish_reason == "stop":
            self._whole.append(token.index)

    def finish(self) -> None:
        """Raises `APIResponseValidationError` if an answer is not valid; its `body` is the text."""
        for index in self._whole:
            self._check("".join(self._texts[index]))

    def _check(self, text: str) -> None:
        try:
            problem = problem_of(json.loads(text), self._schema)
        except ValueError as exc:
            problem = f"it is no JSON ({exc})"
        if problem is not None:
            error = APIResponseValidationError(
                f"The answer is not valid under the schema of response_format: {problem}.",
                provider="llamacpp",
                model=self._request.model,
                body=text,
            )
            error.is_whole = True
            raise error
