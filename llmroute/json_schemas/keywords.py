"""What becomes of each keyword of JSON Schema when a model is held to a schema."""

from __future__ import annotations

from typing import Literal, TypeAlias

Treatment: TypeAlias = Literal["forced", "checked", "forced or checked"]
"""Forced: the model cannot write anything else. Checked: the finished answer is."""

TREATMENTS: dict[str, Treatment] = {
    "$ref": "forced",
    "additionalProperties": "forced",
    "allOf": "forced",
    "anyOf": "forced",
    "const": "forced",
    "contains": "checked",
    "dependentRequired": "checked",
    "dependentSchemas": "checked",
    "else": "checked",
    "enum": "forced",
    "exclusiveMaximum": "forced",
    "exclusiveMinimum": "forced",
    "if": "checked",
    "items": "forced",
    "maxContains": "checked",
    "maxItems": "forced",
    "maxLength": "forced",
    "maxProperties": "forced or checked",
    "maximum": "forced",
    "minContains": "checked",
    "minItems": "forced",
    "minLength": "forced",
    "minProperties": "forced or checked",
    "minimum": "forced",
    "multipleOf": "forced or checked",
    "not": "forced or checked",
    "oneOf": "forced or checked",
    "pattern": "forced",
    "patternProperties": "forced or checked",
    "prefixItems": "forced",
    "properties": "forced",
    "propertyNames": "forced or checked",
    "required": "forced",
    "then": "checked",
    "type": "forced",
    "unevaluatedItems": "forced or checked",
    "unevaluatedProperties": "forced or checked",
    "uniqueItems": "checked",
}
"""All keywords of draft 2020-12 that say which values are valid. `format` is an annotation there;
those of `formats.py` are forced all the same. Every other keyword is an annotation."""

ONE_SCHEMA = frozenset(
    {"additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then"}
    | {"unevaluatedItems", "unevaluatedProperties"}
)
"""Keywords whose value is a schema."""
SCHEMA_LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
"""Keywords whose value is a list of schemas."""
NAMED_SCHEMAS = frozenset({"dependentSchemas", "patternProperties", "properties"})
"""Keywords whose value is an object of schemas."""

BY_TYPE: dict[str, frozenset[str]] = {
    "object": frozenset(
        {"additionalProperties", "dependentRequired", "maxProperties", "minProperties"}
        | {"patternProperties", "properties", "propertyNames", "required", "unevaluatedProperties"}
    ),
    "array": frozenset(
        {"contains", "items", "maxItems", "minItems", "prefixItems", "unevaluatedItems"}
        | {"uniqueItems"}
    ),
    "string": frozenset({"format", "maxLength", "minLength", "pattern"}),
    "number": frozenset(
        {"exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf"}
    ),
    "integer": frozenset(),
    "boolean": frozenset(),
    "null": frozenset(),
}
"""The types there are, and the keywords that speak of each."""
