"""Python functions as tools: the schema of the signature, the words of the docstring."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

import llmroute
from llmroute import BadRequestError
from llmroute.docstrings import read_docstring
from llmroute.schemas import function_tool
from llmroute.testing.openai_api import OpenAIServer


class Place(BaseModel):
    """A place."""

    lat: float
    lon: float


def get_weather(
    city: str,
    unit: Literal["C", "F"] = "C",
    *,
    days: Annotated[int, Field(description="How many days", ge=1)] = 1,
    near: Place | None = None,
) -> str:
    """The weather of the coming days.

    As far as it is known.

    Args:
        city: The city, such as "Rome",
            or "Paris: the town".
        unit (str, optional): Celsius or Fahrenheit.
        days: not this

    Returns:
        str: a text
    """
    return f"{city} {unit} {days} {near}"


def test_function_tool_has_the_signature_and_the_docstring() -> None:
    made = function_tool(get_weather)["function"]
    assert made["name"] == "get_weather"
    assert made["description"] == "The weather of the coming days.\n\nAs far as it is known."
    assert made["strict"] is True
    parameters = made["parameters"]
    assert parameters["required"] == ["city", "unit", "days", "near"]
    assert parameters["additionalProperties"] is False
    assert "description" not in parameters
    shown = {name: value.get("description") for name, value in parameters["properties"].items()}
    assert shown == {
        "city": 'The city, such as "Rome", or "Paris: the town".',
        "unit": "Celsius or Fahrenheit.",
        "days": "How many days",
        "near": None,
    }
    assert parameters["properties"]["unit"]["enum"] == ["C", "F"]
    assert parameters["properties"]["days"]["minimum"] == 1
    assert parameters["$defs"]["Place"]["properties"].keys() == {"lat", "lon"}


class Desk:
    async def book(self, seat: int) -> None:
        """Books a seat."""


def test_function_tool_takes_methods_and_async_functions() -> None:
    made = function_tool(Desk().book)["function"]
    assert made["name"] == "book"
    assert made["description"] == "Books a seat."
    assert made["parameters"]["properties"].keys() == {"seat"}


def test_function_tool_without_types_or_words() -> None:
    def anything(what, **more):  # type: ignore[no-untyped-def]
        return what, more

    made = function_tool(anything)["function"]
    assert made["strict"] is False  # strict mode has no word for any type
    assert "description" not in made
    assert made["parameters"]["required"] == ["what"]


def _unknown(x: Nowhere) -> None:  # type: ignore[name-defined]  # noqa: F821
    pass


def _several(*cities: str) -> None:
    pass


def _nameless(city: str, /) -> None:
    pass


@pytest.mark.parametrize(
    ("tool", "hint"),
    [
        (_several, "'cities' of _several in tools has no name"),
        (_nameless, "'city' of _nameless in tools has no name"),
        (_unknown, "_unknown in tools has no JSON schema: .*Nowhere"),
        (functools.partial(get_weather, days=2), "must be a function, a class or a dict"),
        (len, "must be a function, a class or a dict"),
        (list[int], "must be a function, a class or a dict"),
    ],
)
def test_function_tool_refuses_what_a_model_cannot_call(tool: Any, hint: str) -> None:
    with pytest.raises(BadRequestError, match=hint) as caught:
        llmroute.completion("mock/m", "Hi", tools=[tool], mock_response="x")
    assert caught.value.param == "tools"


def test_completion_sends_functions_among_other_tools() -> None:
    written = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    with OpenAIServer() as server:
        llmroute.completion(
            "openai/m",
            "Rome?",
            tools=[get_weather, Place, written],
            api_base=server.base_url,
            api_key="k",
        )
        sent = server.requests[-1].json["tools"]
    assert sent == [function_tool(get_weather), function_tool(Place), written]


def _google() -> None:
    """Does it.

    Arguments:
        a: one
          more
        *rest: others
        odd line
    Raises:
        b: not a parameter
    """


def _without() -> None:
    """Only this: no sections."""


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (_google, ("Does it.", {"a": "one more", "rest": "others"})),
        (_without, ("Only this: no sections.", {})),
        (_several, ("", {})),
    ],
)
def test_read_docstring(function: Callable[..., Any], expected: tuple[str, dict[str, str]]) -> None:
    assert read_docstring(function) == expected
