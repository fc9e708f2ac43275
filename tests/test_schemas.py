"""Schemas of models and tools, in the form that OpenAI's strict mode takes."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

import pytest
from pydantic import AnyUrl, BaseModel, ConfigDict, Field, RootModel, create_model
from typing_extensions import TypedDict

from llmroute.calls.chat import chat_job
from llmroute.errors import BadRequestError
from llmroute.providers.gateways import GATEWAYS
from llmroute.providers.strict_schema import fits_strict_mode, strict
from llmroute.schemas import function_tool, response_format

T = TypeVar("T")


class City(BaseModel):
    name: str
    people: int = 0


class Trip(BaseModel):
    """A way between two cities."""

    start: City = Field(description="where it begins")
    end: City | None = Field(default=None, description="where it ends")
    stops: list[City] = []


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


class Owner(BaseModel):
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]


class Node(BaseModel):
    value: int
    children: list[Node] = []
    parent: Node | None = Field(default=None, description="none at the root")


class Page(BaseModel, Generic[T]):
    items: list[T]


class Keywords(BaseModel):
    """Fields called like keywords of JSON Schema are fields."""

    default: City = Field(default=City(name="x"), examples=[{"default": 1, "oneOf": [], "a": {}}])
    oneOf: Literal["a", "b"] = "a"  # noqa: N815
    required: int = Field(default=1, json_schema_extra={"const": {"type": "object", "default": 2}})


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: str


@dataclass
class Point:
    x: float
    y: float = 0.0


class Typed(TypedDict, total=False):
    a: int


def schema_of(model: type) -> dict[str, Any]:
    schema: dict[str, Any] = response_format(model)["json_schema"]["schema"]
    return schema


def objects_in(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else value:
        if isinstance(part, dict | list):
            yield from objects_in(part)


@pytest.mark.parametrize("model", [City, Trip, Owner, Node, Page[City], Open, Point, Typed])
def test_response_format_gives_what_strict_mode_takes(model: type) -> None:
    made = response_format(model)["json_schema"]
    assert made["strict"] is True
    assert re.fullmatch("[a-zA-Z0-9_-]{1,64}", made["name"])
    assert made["schema"]["type"] == "object"
    for part in objects_in(made["schema"]):
        assert not part.keys() & {"default", "oneOf", "discriminator"}
        assert "$ref" not in part or len(part) == 1
        if part.get("type") == "object":
            assert part["additionalProperties"] is False
            assert part["required"] == list(part["properties"])


def test_a_described_model_keeps_its_description() -> None:
    fields = schema_of(Trip)["properties"]
    city = {"$ref": "#/$defs/City"}
    assert fields["start"] == {"anyOf": [city], "description": "where it begins"}
    assert fields["end"] == {"anyOf": [city, {"type": "null"}], "description": "where it ends"}


def test_a_discriminated_union_is_any_of_its_members() -> None:
    pet = schema_of(Owner)["properties"]["pet"]
    assert pet["anyOf"] == [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}]


def test_a_recursive_model_has_itself_at_the_root() -> None:
    schema = schema_of(Node)
    itself = {key: value for key, value in schema.items() if key != "$defs"}
    assert itself == schema["$defs"]["Node"]
    assert schema["properties"]["children"]["items"] == {"$ref": "#/$defs/Node"}


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (Page[int], "Page_int"),
        (Page[dict[str, int]], "Page_dict_str_int"),
        (type("N" * 80, (BaseModel,), {}), "N" * 64),
        (type("Größe", (BaseModel,), {}), "Gr_e"),
        (type("日本", (BaseModel,), {}), "answer"),
    ],
)
def test_response_format_names_have_openais_characters(model: type, name: str) -> None:
    assert response_format(model)["json_schema"]["name"] == name


def test_fields_called_like_keywords_and_values_stay_as_they_are() -> None:
    schema = schema_of(Keywords)
    assert list(schema["properties"]) == ["default", "oneOf", "required"]
    assert schema["properties"]["default"]["examples"] == [{"default": 1, "oneOf": [], "a": {}}]
    assert schema["properties"]["required"]["const"] == {"type": "object", "default": 2}
    assert schema["properties"]["oneOf"]["enum"] == ["a", "b"]


class Counts(BaseModel):
    counts: dict[str, int]


class Pair(BaseModel):
    pair: tuple[int, str]


class Unique(BaseModel):
    names: set[str]


class Anything(BaseModel):
    value: Any


class Untyped(BaseModel):
    values: list  # type: ignore[type-arg]


@pytest.mark.parametrize(
    "model", [Counts, Pair, Unique, Anything, Untyped, RootModel[list[int]], RootModel[Cat | Dog]]
)
def test_what_strict_mode_cannot_say_is_not_marked_strict(model: type) -> None:
    made = response_format(model)["json_schema"]
    assert made["strict"] is False
    assert not fits_strict_mode(made["schema"])


def test_the_keys_of_a_mapping_stay_free() -> None:
    counts = schema_of(Counts)["properties"]["counts"]
    assert counts["additionalProperties"] == {"type": "integer"}
    assert "required" not in counts


def test_strict_leaves_its_argument_and_a_strict_schema_alone() -> None:
    schema = Trip.model_json_schema()
    before = copy.deepcopy(schema)
    once = strict(schema)
    assert schema == before
    assert strict(once) == once
    ordered = {**once, "required": once["required"][::-1]}
    assert strict(ordered) == ordered


@pytest.mark.parametrize(
    "odd", [True, [], {"$ref": "#/$defs/X"}, {"required": 3}, {"anyOf": 1}, {"oneOf": 2}]
)
def test_strict_takes_schemas_that_are_odd(odd: Any) -> None:
    assert strict(odd) == odd


def test_function_tool_is_a_model_as_a_strict_tool() -> None:
    made = function_tool(Trip)
    function = made["function"]
    assert made["type"] == "function"
    assert (function["name"], function["description"]) == ("Trip", "A way between two cities.")
    assert function["strict"] is True
    assert function["parameters"]["required"] == ["start", "end", "stops"]
    assert "description" not in function_tool(Point)["function"]


def params(**given: Any) -> Any:
    return chat_job("openai/m", "Hi", False, {"api_key": "k", **given}).request.params


def test_tools_may_be_models() -> None:
    plain = {"type": "function", "function": {"name": "now", "parameters": {"type": "object"}}}
    assert params(tools=[City, plain])["tools"] == [function_tool(City), plain]


def sent(**given: Any) -> Any:
    job = chat_job("openai/m", "Hi", False, {"api_key": "k", **given})
    call = GATEWAYS["openai"].build(job.request, job.deployments[0])
    body = json.loads(call.body)
    return {name: body[name] for name in given}


def test_schemas_marked_strict_are_sent_in_its_form() -> None:
    schema = Trip.model_json_schema()
    tool = {"type": "function", "function": {"name": "go", "strict": True, "parameters": schema}}
    asked = {"type": "json_schema", "json_schema": {"name": "t", "strict": True, "schema": schema}}
    made = sent(tools=[tool], response_format=asked)
    assert made["tools"][0]["function"]["parameters"] == strict(schema)
    assert made["response_format"]["json_schema"]["schema"] == strict(schema)
    assert tool["function"]["parameters"] is schema  # type: ignore[index]


def test_schemas_not_marked_strict_go_out_as_they_are() -> None:
    schema = Trip.model_json_schema()
    tool = {"type": "function", "function": {"name": "go", "parameters": schema}}
    asked = {"type": "json_schema", "json_schema": {"name": "t", "schema": schema}}
    assert sent(tools=[tool], response_format=asked) == {"tools": [tool], "response_format": asked}


def test_a_written_schema_stays_in_the_request_as_it_is() -> None:
    schema = {"oneOf": [{"const": 1}, {"type": "integer"}]}
    asked = {"type": "json_schema", "json_schema": {"name": "t", "strict": True, "schema": schema}}
    assert params(response_format=asked)["response_format"] == asked


@pytest.mark.parametrize("given", [{"response_format": Iterator}, {"tools": [Iterator]}])
def test_types_without_a_schema_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(BadRequestError, match="has no JSON schema") as caught:
        params(**given)
    assert caught.value.param == next(iter(given))


@pytest.mark.parametrize(
    "kind",
    [AnyUrl, bytes, Path, Annotated[str, Field(json_schema_extra={"pattern": "^(?!a)"})]],
    ids=["uri", "binary", "path", "lookahead"],
)
def test_response_format_is_not_strict_for_formats_that_strict_mode_refuses(kind: Any) -> None:
    model = create_model("Odd", value=(kind, ...))

    assert response_format(model)["json_schema"]["strict"] is False


@pytest.mark.parametrize("kind", [datetime, UUID, Annotated[str, Field(pattern="^a$")]])
def test_response_format_is_strict_for_formats_that_strict_mode_knows(kind: Any) -> None:
    model = create_model("Usual", value=(kind, ...))

    assert response_format(model)["json_schema"]["strict"] is True
