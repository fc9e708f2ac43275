"""Writes `model_prices.json` and the report beside it.

    python -m registry_update PYTHON DATE

PYTHON is an interpreter that has the catalogues of `catalogues.txt`; DATE the day to take prices
of. The same versions and date give the same files. Exits with 1 when the result has problems.
"""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from pathlib import Path

from llmroute.registry_check import check_registry, format_registry

from .merge import merged
from .report import report

_HERE = Path(__file__).parent
_ROOT = _HERE.parent.parent


def main() -> int:
    python, day = sys.argv[1], date.fromisoformat(sys.argv[2])
    command = [python, str(_HERE / "export.py"), day.isoformat()]
    exported = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    catalogues = json.loads(exported)
    own = json.loads((_HERE / "own_facts.json").read_bytes())
    registry = merged(catalogues, own, day)
    text = format_registry(registry)
    problems = check_registry(text, today=day)
    for problem in problems:
        print(problem, file=sys.stderr)
    (_ROOT / "model_prices.json").write_text(text, encoding="utf-8")
    page = report(catalogues, own, registry, day)
    (_ROOT / "docs" / "model_registry.md").write_text(page, encoding="utf-8")
    print(f"model_prices.json: {len(registry['models'])} models, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
