"""The table of keywords in the docs is that of the code."""

from __future__ import annotations

import re
from pathlib import Path

from llmroute.json_schemas.keywords import TREATMENTS

PAGE = Path(__file__).parents[2] / "docs" / "structured_output_and_tools.md"


def test_the_docs_tell_what_becomes_of_each_keyword() -> None:
    rows = re.findall(r"^\| `([$\w]+)` \| ([\w ]+) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    assert dict(rows) == TREATMENTS
    assert len(rows) == len(TREATMENTS)
