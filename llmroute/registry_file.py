"""`model_prices.json` as a mapping that decodes a model's line when the model is asked for.

The file has a line for each model, which `registry_check` makes sure of. Decoding all of it would
take as long as some calls do; one line takes microseconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from .errors import LLMRouteError

_MODELS = b'\n  "models": {\n'


class RegistryLines(Mapping[str, Mapping[str, Any]]):
    """The entries of a registry by model string, from the bytes of the file."""

    def __init__(self, content: bytes) -> None:
        head, start, body = content.partition(_MODELS)
        if not start:
            raise LLMRouteError("model_prices.json has another layout; run registry_check --fix.")
        self.sources: Mapping[str, Mapping[str, Any]]
        self.sources = json.loads(head.removesuffix(b",") + b"}").get("sources", {})
        """What entries name as their sources."""
        lines = (line.partition(b'":') for line in body.split(b"\n") if line.startswith(b'    "'))
        self._lines = {name[5:].decode(): entry for name, _, entry in lines}

    def __getitem__(self, name: str) -> Mapping[str, Any]:
        entry: Mapping[str, Any] = json.loads(self._lines[name].removesuffix(b","))
        return entry

    def __contains__(self, name: object) -> bool:
        return name in self._lines

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)

    def aliases(self) -> dict[str, str]:
        """The model string that each alias stands for."""
        named = [name for name, line in self._lines.items() if b'"aliases":' in line]
        return {alias: name for name in named for alias in self[name]["aliases"]}
