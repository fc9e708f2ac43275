"""Validation that moves aside what nobody asked about."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from llmroute.types.base import Model
from llmroute.types.lenient import validate_leniently


class Leaf(Model):
    name: str
    size: int | None = None


class Branch(Model):
    essential = frozenset({"text"})

    text: str | None = None
    leaf: Leaf | None = None
    leaves: list[Leaf] | None = None
    labels: dict[str, str] | None = None


class Tree(Model):
    branch: Branch
    branches: list[Branch] | None = None


def tree(**branch: Any) -> dict[str, Any]:
    return {"branch": branch}


@pytest.mark.parametrize(
    ("branch", "expected"),
    [
        ({"text": "x", "leaf": {"name": "a"}}, {"text": "x", "leaf": {"name": "a"}}),
        (
            {"leaf": {"name": "a", "size": "big"}},
            {"leaf": {"name": "a", "native_size": "big"}},
        ),
        ({"leaf": {"size": 1}}, {"native_leaf": {"size": 1}}),
        ({"leaf": 5}, {"native_leaf": 5}),
        ({"leaves": [{"name": "a"}, {"size": 2}]}, {"native_leaves": [{"name": "a"}, {"size": 2}]}),
        (
            {"leaves": [{"name": 1, "size": "x"}, {"name": "b", "size": "y"}]},
            {"native_leaves": [{"name": 1, "size": "x"}, {"name": "b", "size": "y"}]},
        ),
        (
            {"leaves": [{"name": "a", "size": "x"}, {"name": "b", "size": 2}]},
            {"leaves": [{"name": "a", "native_size": "x"}, {"name": "b", "size": 2}]},
        ),
        ({"labels": {"a": 1, "b": 2}}, {"native_labels": {"a": 1, "b": 2}}),
        ({"labels": {"a": 1}, "leaf": []}, {"native_labels": {"a": 1}, "native_leaf": []}),
    ],
    ids=str,
)
def test_validate_leniently_moves_the_innermost_optional_field(
    branch: dict[str, Any], expected: dict[str, Any]
) -> None:
    found = validate_leniently(Tree, tree(**branch)).branch.to_dict()
    assert found == expected


@pytest.mark.parametrize(
    "payload",
    [
        {"branch": 5},
        {},
        tree(text=5),
        tree(text=["x"], leaf=5),
        [],
        None,
        {"branch": {}, "branches": [{"text": 5}]},
    ],
    ids=str,
)
def test_validate_leniently_keeps_what_is_required_and_what_was_said(payload: Any) -> None:
    with pytest.raises(ValidationError):
        validate_leniently(Tree, payload)
