"""How the engine's folders lean on each other: few imports between them, all pointing down."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import llmroute.engine

ENGINE = Path(llmroute.engine.__file__).parent
_MOST_FILES = 9  # with __init__.py
_MOST_ARROWS = 90
_MOST_LEVELS = 11


def _imports(file: Path) -> Iterator[tuple[str, str]]:
    """What a module imports from within the engine: a module's or folder's name, and the name."""
    package = ("llmroute.engine", *file.relative_to(ENGINE).parent.parts)
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            parts = [part for name in package for part in name.split(".")]
            parts = parts[: len(parts) - node.level + 1]
            target = ".".join([*parts, *(node.module or "").split(".")]).strip(".")
            if target.startswith("llmroute.engine"):
                for name in node.names:
                    yield target.removeprefix("llmroute.engine").strip("."), name.name


def _part(path: Path) -> str:
    """The folder a module is in, or its own name at the engine's root."""
    return path.relative_to(ENGINE).parts[0].removesuffix(".py")


def _arrows() -> set[tuple[str, str]]:
    arrows = set()
    for file in ENGINE.rglob("*.py"):
        for target, name in _imports(file):
            arrows.add((_part(file), (target or name).partition(".")[0]))
    return {(source, target) for source, target in arrows if source not in (target, "__init__")}


def _is_for_types_only(source: str, target: str) -> bool:
    return (source, target) == ("interrupt", "job")  # under TYPE_CHECKING


def test_few_files_stand_at_the_root() -> None:
    assert len([*ENGINE.glob("*.py")]) <= _MOST_FILES


def test_folders_import_each_other_seldom_and_downwards_only() -> None:
    arrows = {arrow for arrow in _arrows() if not _is_for_types_only(*arrow)}
    below: dict[str, set[str]] = {}
    for source, target in arrows:
        below.setdefault(source, set()).add(target)

    @lru_cache
    def level(part: str) -> int:  # recurses without end where there is a circle
        return 1 + max(map(level, below.get(part, ())), default=0)

    levels = max(map(level, below))
    assert (len(arrows) <= _MOST_ARROWS, levels <= _MOST_LEVELS) == (True, True), (
        len(arrows),
        levels,
    )


def test_no_module_needs_its_neighbours_private_names() -> None:
    private = [
        f"{file.relative_to(ENGINE)}: {target}.{name}"
        for file in ENGINE.rglob("*.py")
        for target, name in _imports(file)
        if name.startswith("_")
    ]
    assert not private
