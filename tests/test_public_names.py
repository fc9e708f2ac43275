"""What `llmroute` exports: the table it loads names by, the stub, and the names themselves."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import llmroute


@pytest.mark.parametrize("name", llmroute.__all__)
def test_every_public_name_loads(name: str) -> None:
    assert getattr(llmroute, name) is not None


def test_the_stub_tells_the_same_names() -> None:
    stub = Path(llmroute.__file__).with_suffix(".pyi").read_text()
    assert sorted(re.findall(r" as (\w+)", stub)) == llmroute.__all__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="complete"):
        llmroute.complete  # noqa: B018  # reading it is the test


def test_errors_are_documented_as_one_tree() -> None:
    from llmroute import errors

    tree = errors.__doc__ or ""
    classes = [
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception) and name == value.__name__
    ]
    assert [name for name in classes if not re.search(rf"\b{name}\b", tree)] == []
    assert [name for name in classes if name not in llmroute.__all__] == []
