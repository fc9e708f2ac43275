"""Checks a model registry: `python -m llmroute.registry_check [FILE] [--fix]`.

Every entry fits the schema, has a source with an https address and a date, and carries no zero
price that isn't declared free; status and dates agree; the text is laid out and sorted in the one
way that keeps differences readable (`--fix` does that part).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from .errors import LLMRouteError
from .model_info import ModelInfo
from .registry import builtin_path
from .registry_entries import read_entries
from .tokens.vocabulary import VOCABULARIES

_KEYS = {"version", "models", "sources"}


def check_registry(text: str, *, today: date) -> list[str]:
    """What is wrong with a registry in our format, a line each; empty when nothing is."""
    try:
        data = json.loads(text, object_pairs_hook=_no_duplicates)
        infos = _read_all(data)
    except (ValueError, LLMRouteError) as error:
        return [str(error)]
    problems = [f"{name}: {problem}" for name in infos for problem in _check(infos[name], today)]
    problems += _check_names(infos)
    if text != format_registry(data):
        problems.append("the layout is not the usual one; run with --fix")
    return problems


def format_registry(data: Mapping[str, Any]) -> str:
    """A registry as text: a line for each source and each model, everything sorted by name."""
    parts = [f'  "version": {data["version"]}']
    parts += [_format_part(key, data[key]) for key in ("sources", "models") if key in data]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit status: 0 for a clean registry, 1 for one with problems."""
    parser = argparse.ArgumentParser(prog="python -m llmroute.registry_check", description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, default=builtin_path())
    parser.add_argument("--fix", action="store_true", help="sort the file and lay it out")
    options = parser.parse_args(arguments)
    text = options.file.read_text(encoding="utf-8")
    if options.fix:
        text = format_registry(json.loads(text))
        options.file.write_text(text, encoding="utf-8")
    problems = check_registry(text, today=date.today())
    for problem in problems:
        sys.stdout.write(f"{problem}\n")
    sys.stdout.write(f"{options.file.name}: {len(problems)} problems\n")
    return 1 if problems else 0


def _read_all(data: object) -> dict[str, ModelInfo]:
    if not isinstance(data, Mapping) or not {"version", "models"} <= set(data) <= _KEYS:
        raise LLMRouteError('A registry has the keys "version", "models" and perhaps "sources".')
    return read_entries(data)


def _check(info: ModelInfo, today: date) -> Iterator[str]:
    if not info.name.startswith(f"{info.provider}/"):
        yield f"the name does not start with its provider, {info.provider!r}"
    if not info.sources:
        yield "no source"
    for source in info.sources:
        if not source.url.startswith("https://"):
            yield f"the source {source.url!r} is no https address"
        if source.checked > today:
            yield f"the source {source.url!r} was checked in the future"
    if info.status == "retired" and (info.retires is None or info.retires > today):
        yield "it is retired, but its last day is not in the past"
    if info.status in ("active", "preview", "deprecated") and info.retires and info.retires < today:
        yield f"its last day, {info.retires}, has passed, but its status is {info.status!r}"
    if info.tokenizer is not None and info.tokenizer not in VOCABULARIES:
        yield f"the tokenizer {info.tokenizer!r} is not one of {', '.join(VOCABULARIES)}"
    limits = [tier.min_prompt_tokens for tier in info.prices.tiers]
    if limits != sorted(set(limits)):
        yield "the price tiers are not in order"


def _check_names(infos: Mapping[str, ModelInfo]) -> Iterator[str]:
    taken = dict.fromkeys(infos, "a model")
    for name, info in infos.items():
        for alias in info.aliases:
            if alias in taken:
                yield f"{name}: the alias {alias!r} is {taken[alias]} already"
            taken[alias] = f"an alias of {name!r}"
        if info.replaced_by is not None and info.replaced_by not in infos:
            yield f"{name}: replaced_by {info.replaced_by!r} is not listed"


def _format_part(key: str, entries: Mapping[str, Any]) -> str:
    lines = ",\n".join(f"    {_json(name)}: {_json(entries[name])}" for name in sorted(entries))
    return f"  {_json(key)}: {{\n{lines}\n  }}"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise ValueError(f"the keys {', '.join(twice)} come twice")
    return dict(pairs)


if __name__ == "__main__":
    raise SystemExit(main())
