"""JSON schemas as people and their libraries write them, and what becomes of each.

`forced`: whatever a model writes is valid. `checked`: it may not be, and the check of the finished
answer tells. Anything else is the word that the refusal names.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import ipaddress
import pathlib
import uuid
from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    UUID4,
    AnyUrl,
    AwareDatetime,
    BaseModel,
    ByteSize,
    ConfigDict,
    Field,
    HttpUrl,
    Json,
    NonNegativeInt,
    PositiveFloat,
    SecretStr,
    TypeAdapter,
)
from typing_extensions import TypedDict

S, N, INT, B, NULL = ({"type": name} for name in ("string", "number", "integer", "boolean", "null"))


def obj(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def arr(items: Any, **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, **more}


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Point(NamedTuple):
    x: int
    y: float


class Movie(TypedDict, total=False):
    title: str
    year: int


class Address(BaseModel):
    street: str
    zip: Annotated[str, Field(pattern=r"^\d{5}(-\d{4})?$")]


class Person(BaseModel):
    """A person."""

    model_config = ConfigDict(extra="forbid")
    name: Annotated[str, Field(min_length=1, max_length=40)]
    age: Annotated[int, Field(ge=0, lt=150)] | None = None
    home: Address
    others: dict[str, Address] = {}


class Tree(BaseModel):
    value: int
    children: list[Tree] = []


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    good: bool


class Shop(BaseModel):
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]


PYDANTIC: list[tuple[Any, str]] = [
    *((kind, "forced") for kind in (int, float, str, bool, None, Any, bytes, object)),
    *((kind, "forced") for kind in (Color, Level, Point, Movie, Address, Person, Tree, Open)),
    (Shop, "forced or checked"),
    (int | None, "forced"),
    (str | int | None, "forced"),
    (list[int], "forced"),
    (list[list[str]], "forced"),
    (set[str], "checked"),
    (frozenset[Literal["a", "b"]], "checked"),
    (tuple[int, str], "forced"),
    (tuple[int, ...], "forced"),
    (dict[str, int], "forced"),
    (dict[Literal["a", "b"], float], "forced"),
    (dict[Color, int], "forced"),
    (dict[int, str], "forced"),
    (dict[Annotated[str, Field(pattern="^[a-z]+$")], int], "forced"),
    (Literal["a", 1, None, True], "forced"),
    (datetime.datetime, "forced"),
    (datetime.date, "forced"),
    (datetime.time, "forced"),
    (datetime.timedelta, "forced"),
    (AwareDatetime, "forced"),
    (uuid.UUID, "forced"),
    (UUID4, "forced"),
    (HttpUrl, "forced"),
    (AnyUrl, "forced"),
    (ipaddress.IPv4Address, "forced"),
    (ipaddress.IPv6Address, "forced"),
    (ipaddress.IPv4Network, "forced"),
    (pathlib.Path, "forced"),
    (decimal.Decimal, "forced"),
    (SecretStr, "forced"),
    (ByteSize, "forced"),
    (Json, "forced"),
    (NonNegativeInt, "forced"),
    (PositiveFloat, "forced"),
    (Annotated[int, Field(multiple_of=5)], "forced"),
    (Annotated[int, Field(multiple_of=123_457)], "checked"),
    (Annotated[float, Field(ge=0.5, le=1.5)], "forced"),
    (Annotated[float, Field(gt=-1.25)], "forced"),
    (Annotated[float, Field(multiple_of=0.25)], "forced"),
    (Annotated[str, Field(pattern="^[a-z]+$", max_length=10)], "forced"),
    (Annotated[str, Field(max_length=65536)], "forced"),
    (Annotated[list[int], Field(min_length=1, max_length=3)], "forced"),
    (Annotated[list[int], Field(min_length=50, max_length=60)], "forced"),
    (Annotated[str, Field(json_schema_extra={"x-order": 1, "example": "a"})], "forced"),
    (list[Person] | Address, "forced"),
]
OTHERS: dict[str, tuple[Any, str]] = {
    # zod, through zod-to-json-schema and z.toJSONSchema
    "zod object": ({**obj("a", a=S), "additionalProperties": False}, "forced"),
    "zod int": (
        {**INT, "minimum": -9007199254740991, "maximum": 9007199254740991},
        "forced",
    ),
    "zod record": ({"type": "object", "propertyNames": S, "additionalProperties": {}}, "forced"),
    "zod record of enum": (
        {"type": "object", "propertyNames": {"enum": ["x", "y"]}, "additionalProperties": N},
        "forced",
    ),
    "zod union of literals": ({"anyOf": [{"const": "a"}, {"const": 1}, NULL]}, "forced"),
    "zod nullable": ({"type": ["string", "null"]}, "forced"),
    "zod tuple": (
        {"type": "array", "prefixItems": [S, N], "minItems": 2, "maxItems": 2},
        "forced",
    ),
    "zod tuple, draft 7": (
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "array",
            "items": [S, N],
            "minItems": 2,
            "maxItems": 2,
        },
        "forced",
    ),
    "zod tuple with rest, draft 7": (
        {"type": "array", "items": [S], "additionalItems": INT, "minItems": 1},
        "forced",
    ),
    "zod email": ({**S, "format": "email", "pattern": "^[^@]+@[^@]+\\.[a-z]+$"}, "forced"),
    "zod url": ({**S, "format": "uri"}, "forced"),
    "zod iso datetime": (
        {**S, "format": "date-time", "pattern": "^\\d{4}-\\d{2}-\\d{2}T.*Z$"},
        "forced",
    ),
    "zod cuid": ({**S, "pattern": "^[cC][^\\s-]{8,}$"}, "forced"),
    "zod base64": (
        {**S, "format": "base64", "contentEncoding": "base64", "pattern": "^[A-Za-z0-9+/]*={0,2}$"},
        "forced",
    ),
    "zod positive": ({**N, "exclusiveMinimum": 0}, "forced"),
    "zod never": ({"anyOf": [{"not": {}}, N]}, "forced"),
    "zod discriminated union": (
        {
            "anyOf": [
                {**obj("t", "a", t={"const": "x"}, a=S), "additionalProperties": False},
                {**obj("t", "b", t={"const": "y"}, b=N), "additionalProperties": False},
            ]
        },
        "forced",
    ),
    "zod intersection": ({"allOf": [obj("a", a=S), obj("b", b=N)]}, "forced"),
    "zod lazy": (
        {
            "$ref": "#/definitions/node",
            "definitions": {"node": obj("v", v=INT, next={"$ref": "#/definitions/node"})},
        },
        "forced",
    ),
    "zod catchall": ({**obj("a", a=S), "additionalProperties": N}, "forced"),
    "zod default": ({**obj(a={**S, "default": "x"}), "additionalProperties": False}, "forced"),
    "zod set": (arr(S, uniqueItems=True), "checked"),
    "zod map": (arr({"type": "array", "prefixItems": [S, N], "minItems": 2}), "forced"),
    # OpenAPI
    "openapi int32": ({**INT, "format": "int32"}, "forced"),
    "openapi int64": ({**INT, "format": "int64", "example": 10}, "forced"),
    "openapi float": ({**N, "format": "double"}, "forced"),
    "openapi password": ({**S, "format": "password", "writeOnly": True}, "forced"),
    "openapi binary": ({**S, "format": "binary"}, "forced"),
    "openapi exclusive bound": ({**INT, "minimum": 3, "exclusiveMinimum": True}, "forced"),
    "openapi exclusive bound off": ({**INT, "maximum": 3, "exclusiveMaximum": False}, "forced"),
    "openapi discriminator": (
        {
            "oneOf": [obj("k", k={"enum": ["a"]}), obj("k", k={"enum": ["b"]})],
            "discriminator": {"propertyName": "k", "mapping": {"a": "#/a"}},
        },
        "forced or checked",
    ),
    "openapi vendor": (
        {**S, "x-internal": True, "xml": {"name": "a"}, "deprecated": True},
        "forced",
    ),
    "openapi components": (
        {
            "$ref": "#/components/schemas/Pet",
            "components": {"schemas": {"Pet": obj("id", id=INT, tag=S)}},
        },
        "forced",
    ),
    "openapi allOf with base": (
        {
            "allOf": [{"$ref": "#/definitions/Base"}, obj("extra", extra=B)],
            "definitions": {"Base": obj("id", id=INT)},
        },
        "forced",
    ),
    "openapi free form": ({"type": "object", "additionalProperties": True}, "forced"),
    "openapi map of arrays": ({"type": "object", "additionalProperties": arr(INT)}, "forced"),
    "openapi minProperties": (
        {"type": "object", "additionalProperties": INT, "minProperties": 1},
        "forced",
    ),
    "openapi maxProperties": (
        {"type": "object", "additionalProperties": INT, "maxProperties": 2},
        "forced or checked",
    ),
    # MCP servers' tools
    "mcp fetch": (
        {
            "description": "Parameters for fetching a URL.",
            "title": "Fetch",
            **obj(
                "url",
                url={**S, "format": "uri", "minLength": 1, "title": "Url"},
                max_length={
                    **INT,
                    "exclusiveMinimum": 0,
                    "exclusiveMaximum": 1000000,
                    "default": 5,
                },
                raw={**B, "default": False},
            ),
        },
        "forced",
    ),
    "mcp read file": (
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            **obj("path", path=S, tail={**N, "description": "Lines"}),
            "additionalProperties": False,
        },
        "forced",
    ),
    "mcp edit file": (
        obj(
            "path",
            "edits",
            path=S,
            edits=arr({**obj("old", "new", old=S, new=S), "additionalProperties": False}),
            dry={**B, "default": False},
        ),
        "forced",
    ),
    "mcp no parameters": ({"type": "object", "properties": {}}, "forced"),
    "mcp no schema": ({}, "forced"),
    "mcp markdown": ({**S, "markdownDescription": "**x**", "enumDescriptions": ["a"]}, "forced"),
    "mcp enum of texts": ({"enum": ["open", "closed", "all"]}, "forced"),
    "mcp search": (
        obj("query", query={**S, "maxLength": 400}, count={**INT, "minimum": 1, "maximum": 20}),
        "forced",
    ),
    "mcp entities": (
        obj("entities", entities=arr(obj("name", "notes", name=S, notes=arr(S)))),
        "forced",
    ),
    "mcp thought": (
        obj("thought", "number", thought=S, number={**INT, "minimum": 1}, more=B),
        "forced",
    ),
    "mcp coordinates": (
        obj("lat", "lon", lat={**N, "minimum": -90, "maximum": 90}, lon={**N, "minimum": -180}),
        "forced",
    ),
    "mcp dates": (obj("from", **{"from": {**S, "format": "date"}}), "forced"),
    "mcp quantity": ({**S, "pattern": "^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"}, "forced"),
    "mcp label": ({**S, "pattern": "([A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?)"}, "forced"),
    "mcp int or text": ({"x-kubernetes-int-or-string": True, "anyOf": [INT, S]}, "forced"),
    "mcp requires one": (
        {**obj(a=S, b=S), "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
        "forced",
    ),
    # JSON Schema's own constructs
    "true": (True, "forced"),
    "false": (False, "match"),
    "const object": ({"const": {"a": [1, {}], "b": None}}, "forced"),
    "const number": ({"const": 1.5}, "forced"),
    "enum of all": ({"enum": [None, True, 0, 1.5, "x", [], {}]}, "forced"),
    "enum by type": ({"type": "integer", "enum": ["a", 1, 2.0, None]}, "forced"),
    "large const": ({"const": 2**63}, "const"),
    "types": ({"type": ["integer", "object", "boolean"]}, "forced"),
    "no type, pattern": ({"pattern": "^a+$"}, "forced"),
    "no type, bounds": ({"minimum": 2, "maximum": 3}, "forced"),
    "no type, properties": ({"properties": {"a": B}}, "forced"),
    "anchor": ({"$ref": "#x", "$defs": {"a": {"$anchor": "x", **INT}}}, "forced"),
    "dynamic reference": (
        {
            "$dynamicAnchor": "node",
            **obj("v", v=INT, kids=arr({"$dynamicRef": "#node"})),
        },
        "forced",
    ),
    "recursive reference": (obj(kid={"$recursiveRef": "#"}), "forced"),
    "own id": (
        {"$id": "https://e.org/s", "$ref": "https://e.org/s#/$defs/a", "$defs": {"a": INT}},
        "forced",
    ),
    "other document": ({"$ref": "https://example.org/other.json"}, "$ref"),
    "escaped pointer": ({"$ref": "#/$defs/a~1b%25", "$defs": {"a/b%": INT}}, "forced"),
    "reference into properties": (obj(a=INT, b={"$ref": "#/properties/a"}), "forced"),
    "reference with siblings": (
        {"$ref": "#/$defs/a", "maximum": 5, "$defs": {"a": {**INT, "minimum": 1}}},
        "forced",
    ),
    "reference to itself": ({"$ref": "#"}, "itself"),
    "endless": (obj("a", a={"$ref": "#"}), "itself"),
    "nested allOf": ({"allOf": [{"allOf": [{"minLength": 2}]}, {**S, "maxLength": 3}]}, "forced"),
    "allOf of bounds": ({**INT, "allOf": [{"minimum": 1}, {"maximum": 4}]}, "forced"),
    "impossible allOf": ({"allOf": [S, INT]}, "incompatible"),
    "oneOf of types": ({"oneOf": [S, INT]}, "forced"),
    "oneOf that overlaps": ({"oneOf": [INT, {**N, "minimum": 2}]}, "checked"),
    "anyOf beside type": ({**INT, "anyOf": [{"minimum": 5}, {"maximum": -5}]}, "forced"),
    "two lists of ways": ({"anyOf": [INT, S], "oneOf": [INT, NULL]}, "forced"),
    "not a type": ({"type": ["string", "integer"], "not": S}, "checked"),
    "not a value": ({"enum": ["a", "b"], "not": {"const": "a"}}, "checked"),
    "not anything": ({"not": {}}, "match"),
    "if then": (
        {
            **obj("k", k={"enum": ["a", "b"]}, n=INT),
            "if": {"properties": {"k": {"const": "a"}}},
            "then": {"required": ["n"]},
        },
        "checked",
    ),
    "if else": ({**INT, "if": {"minimum": 5}, "else": {"maximum": 2}}, "checked"),
    "dependentRequired": ({**obj(a=INT, b=INT), "dependentRequired": {"a": ["b"]}}, "checked"),
    "dependentSchemas": (
        {**obj(a=INT), "dependentSchemas": {"a": {"properties": {"b": INT}, "required": ["b"]}}},
        "checked",
    ),
    "dependencies": ({**obj(a=INT, b=INT), "dependencies": {"a": ["b"]}}, "checked"),
    "contains": (arr(INT, contains={"const": 1}, maxItems=4), "checked"),
    "minContains": (arr(INT, contains={"minimum": 5}, minContains=2, maxItems=5), "checked"),
    "maxContains": (arr(INT, contains={"minimum": 0}, maxContains=1, maxItems=5), "checked"),
    "uniqueItems": (arr({"enum": [1, 2]}, uniqueItems=True, minItems=2, maxItems=2), "checked"),
    "unevaluatedItems": (
        {"type": "array", "prefixItems": [INT], "unevaluatedItems": False},
        "forced",
    ),
    "unevaluatedProperties": (
        {"allOf": [obj("a", a=INT)], "properties": {"b": INT}, "unevaluatedProperties": False},
        "forced",
    ),
    "patternProperties": (
        {"type": "object", "patternProperties": {"^i_": INT, "^s_": S}},
        "forced",
    ),
    "patternProperties that overlap": (
        {"type": "object", "patternProperties": {"^a": INT, "b$": {"minimum": 3}}},
        "checked",
    ),
    "propertyNames by length": (
        {"type": "object", "propertyNames": {"maxLength": 3}, "additionalProperties": INT},
        "checked",
    ),
    "propertyNames by pattern": (
        {"type": "object", "propertyNames": {"pattern": "^[a-z]$"}, "additionalProperties": INT},
        "forced",
    ),
    "minProperties among options": ({**obj(a=INT, b=INT, c=INT), "minProperties": 2}, "checked"),
    "at least one": ({**obj(a=INT, b=INT), "minProperties": 1}, "forced"),
    "exactly one": ({**obj(a=INT, b=INT), "minProperties": 1, "maxProperties": 1}, "forced"),
    "multipleOf with bounds": ({**INT, "minimum": 1, "maximum": 50, "multipleOf": 7}, "forced"),
    "multipleOf twice": ({"allOf": [{**INT, "multipleOf": 4}, {"multipleOf": 6}]}, "checked"),
    "multipleOf of decimals": ({**N, "multipleOf": 0.01}, "forced"),
    "length of characters": ({**S, "minLength": 2, "maxLength": 2}, "forced"),
    "empty text": ({**S, "maxLength": 0}, "forced"),
    "many items": (arr(B, minItems=30, maxItems=40), "forced"),
    "items after a tuple": ({"type": "array", "prefixItems": [INT], "items": S}, "forced"),
    "no items": (arr(False), "forced"),
    "pattern with look-ahead": ({**S, "pattern": "^(?=.*[0-9])[a-z0-9]{4,8}$"}, "forced"),
    "pattern with negative look-ahead": (
        {**S, "pattern": "^(?!^[-+.]*$)[+-]?0*[0-9]*\\.?[0-9]*$"},
        "checked",
    ),
    "pattern with look-behind": ({**S, "pattern": "(?<=a)b"}, "pattern"),
    "pattern with back reference": ({**S, "pattern": "(a)\\1"}, "pattern"),
    "pattern of alternatives": ({**S, "pattern": "^$|^(foo|bar)$"}, "forced"),
    "pattern in groups": ({**S, "pattern": "(^a$)|(^b$)"}, "forced"),
    "pattern of scripts": ({**S, "pattern": "^\\p{L}{1,5}$"}, "forced"),
    "pattern with quotes": ({**S, "pattern": '^"[^"\\\\]*"$'}, "forced"),
    "format hostname": ({**S, "format": "hostname"}, "forced"),
    "format unknown": ({**S, "format": "my-own"}, "forced"),
    "format of a number": ({**N, "format": "date"}, "forced"),
    "title and examples": ({"title": "x", "examples": [1], "$comment": "c", **INT}, "forced"),
    "deep": (arr(arr(arr(arr(obj(a=arr(arr(INT))))))), "forced"),
    "odd names": (obj('q"\\', **{'q"\\': INT, "\u2028é": S, "": NULL}), "forced"),
    "required but not listed": ({**obj("b", a=INT)}, "forced"),
    "bad type": ({"type": "text"}, "type"),
    "bad bound": ({**INT, "minimum": "3"}, "minimum"),
    "bad length": ({**S, "minLength": -1}, "minLength"),
    "empty enum": ({"enum": []}, "enum"),
    "empty anyOf": ({"anyOf": []}, "anyOf"),
    "bounds that cross": ({**INT, "minimum": 5, "maximum": 4}, "4"),
    "lengths that cross": ({**S, "minLength": 5, "maxLength": 4}, "minLength"),
}


def corpus() -> Iterator[tuple[str, Any, str]]:
    """Names, schemas, and what becomes of each."""
    for number, (kind, how) in enumerate(PYDANTIC):
        name = getattr(kind, "__name__", "") or str(kind)
        yield f"pydantic {number} {name[:30]}", TypeAdapter(kind).json_schema(), how
    for name, (schema, how) in OTHERS.items():
        yield name, schema, how
