"""The table of providers in the documentation: `python -m llmroute.providers.table [--write]`.

Without `--write` it only says, by its exit code, whether the page is up to date.
"""

from __future__ import annotations

import sys
from pathlib import Path

from .gateways import ALIASES, GATEWAYS
from .openai_like import OpenAILike

PAGE = Path(__file__).parents[2] / "docs" / "providers" / "index.md"
BEGIN, END = "<!-- table: begin -->\n", "<!-- table: end -->\n"


def table() -> str:
    """The rows of `gateways.py` in Markdown."""
    head = "| prefix | base URL | key variable | operations | more | source, checked |\n" + (
        "|---|---|---|---|---|---|\n"
    )
    return head + "".join(map(_line, GATEWAYS.values()))


def updated(page: str) -> str:
    """The page with a new table."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    return before + begin + table() + end + after


def _line(row: OpenAILike) -> str:
    names = [row.name, *(alias for alias, name in ALIASES.items() if name == row.name)]
    source = f"[{row.checked}]({row.source})" if "://" in row.source else row.source
    cells = [
        ", ".join(f"`{name}/`" for name in names),
        f"`{row.base_url}`" if row.base_url else f"`api_base=` or `{row.base_env[0]}`",
        ", ".join(f"`{name}`" for name in row.key_env) + ("" if row.key_required else " (if any)"),
        ", ".join(row.operations),
        "; ".join(_quirks(row)),
        source,
    ]
    return f"| {' | '.join(cells)} |\n"


def _quirks(row: OpenAILike) -> list[str]:
    quirks = {
        "not": sorted(row.unsupported_params),
        "also": sorted(row.extra_params),
        "sends": [f"{ours} as {theirs}" for ours, theirs in row.renamed_params.items()],
    }
    if row.message_keys is not None:
        quirks["takes back"] = sorted(row.message_keys) or ["no more"]
    return [f"{word} {', '.join(names)}" for word, names in quirks.items() if names]


def main(arguments: list[str]) -> int:
    """Brings the page up to date with `--write`; 1 if it is not and may not be written."""
    page = PAGE.read_text("utf-8")
    fresh = updated(page)
    if arguments == ["--write"]:
        PAGE.write_text(fresh, "utf-8")
        return 0
    return int(fresh != page)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
