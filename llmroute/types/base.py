"""The base of every result: a pydantic model that also reads like the JSON it came from."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 400
_SHORT.maxlist = _SHORT.maxdict = 4


class Shown:
    """A value in the `repr` of what holds it, cut where it is long."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __repr__(self) -> str:
        return _SHORT.repr(self._value)


class Model(BaseModel):
    """A result read as attributes (`r.choices`) or as a mapping (`r["choices"]`).

    Declared fields that the provider left out are `None`. Fields that a provider adds beyond
    OpenAI's are kept: as attributes, as keys, and in every dump.
    """

    # defer_build: the validators are built at first use, so importing the types stays cheap.
    model_config = ConfigDict(extra="allow", defer_build=True, protected_namespaces=())

    essential: ClassVar[frozenset[str]] = frozenset()
    """Optional fields without which it would be another answer: what was said, not what was said
    about it."""

    def __getitem__(self, key: str) -> Any:
        """The field `key`; `None` if it is declared but was left out. Raises `KeyError`."""
        if key in type(self).model_fields:
            return getattr(self, key)
        return (self.__pydantic_extra__ or {})[key]

    def __contains__(self, key: object) -> bool:
        """Whether the answer carried `key` (a null counts as carried)."""
        return key in self.keys()

    def keys(self) -> list[str]:
        """The keys the answer carried, declared ones first."""
        carried = self.model_fields_set
        declared = [
            name
            for name in type(self).model_fields
            if name in carried or getattr(self, name) is not None
        ]
        return declared + list(self.__pydantic_extra__ or {})

    def values(self) -> list[Any]:
        """The values of `keys()`, in the same order."""
        return [self[key] for key in self.keys()]

    def items(self) -> Iterator[tuple[str, Any]]:
        """Pairs of `keys()` and `values()`."""
        return ((key, self[key]) for key in self.keys())

    def get(self, key: str, default: Any = None) -> Any:
        """The field `key`, or `default` if the answer did not carry it."""
        return self[key] if key in self.keys() else default

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        """What `repr` and `print` show: the fields with a value, cut where they are long."""
        return ((key, Shown(value)) for key, value in self.items() if value is not None)

    def to_dict(self) -> dict[str, Any]:
        """The answer as JSON-ready data, without the keys it did not carry."""
        return {key: _plain(value) for key, value in self.items()}

    def to_json(self, *, indent: int | None = None) -> str:
        """`to_dict()` as JSON text, `indent` spaces deep (`None`: on one line)."""
        import json  # only here: pydantic does the JSON everywhere else

        return json.dumps(self.to_dict(), indent=indent, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Model):
        return value.to_dict()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
