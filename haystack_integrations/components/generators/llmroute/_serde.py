"""Components as plain data, and back."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from haystack import default_to_dict
from haystack.tools import deserialize_tools_or_toolset_inplace, serialize_tools_or_toolset
from haystack.utils import deserialize_callable, deserialize_secrets_inplace, serialize_callable

from llmroute.schemas import response_format


def to_dict(component: object, init_parameters: Mapping[str, Any]) -> dict[str, Any]:
    """`component` as data that YAML can hold.

    Raises `ValueError` for a secret given as a token, which must not be written down.
    """
    written = dict(init_parameters)
    if written.get("api_key") is not None:
        written["api_key"] = written["api_key"].to_dict()
    if "tools" in written:
        written["tools"] = serialize_tools_or_toolset(written["tools"])
    if written.get("streaming_callback") is not None:
        written["streaming_callback"] = serialize_callable(written["streaming_callback"])
    # Copies, because those who change the data don't mean the component.
    written["generation_kwargs"] = _generation_kwargs(written["generation_kwargs"])
    if "model_kwargs" in written:
        written["model_kwargs"] = deepcopy(written["model_kwargs"])
    return default_to_dict(component, **written)


def restore(data: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of `data` whose init parameters are objects again, for `default_from_dict`."""
    # A deep copy, because tools change the data they are restored from.
    parameters = deepcopy(dict(data.get("init_parameters") or {}))
    deserialize_secrets_inplace(parameters, keys=["api_key"])
    deserialize_tools_or_toolset_inplace(parameters, key="tools")
    if parameters.get("streaming_callback") is not None:
        parameters["streaming_callback"] = deserialize_callable(parameters["streaming_callback"])
    return {**data, "init_parameters": parameters}


def _generation_kwargs(given: Mapping[str, Any]) -> dict[str, Any]:
    written = deepcopy(dict(given))
    if isinstance(written.get("response_format"), type):
        written["response_format"] = response_format(written["response_format"])
    return written
