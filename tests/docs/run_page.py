"""Runs the Python blocks of one page in order, in one namespace, in a process of its own.

`python run_page.py PAGE`. A block that begins with "```python notest:" and a reason is left out.
What a line prints is compared with the comment behind its `print(...)`, if there is one; `...` in
the comment stands for anything, and a comment that ends with a remark in parentheses is not
compared.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

EXPECTED = re.compile(r"^\s*print\(.*\)  # (.+)$", re.MULTILINE)
REMARK = re.compile(r"(?:^| )\([^()]*\)$")


def blocks(page: Path) -> Iterator[tuple[int, str]]:
    """Line number and text of each Python block that is to be run."""
    lines = page.read_text("utf-8").splitlines()
    for number, line in enumerate(lines):
        if line.startswith("```python") and not re.match(r"```python notest: \w", line):
            assert line == "```python", f"{page}:{number + 1}: {line}"
            end = lines.index("```", number)
            yield number + 2, "\n".join(lines[number + 1 : end]) + "\n"


def run(page: Path) -> int:
    """Runs the page; the number of its blocks. Raises `AssertionError` for wrong output."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    found = list(blocks(page))
    for line, code in found:
        output = io.StringIO()
        # The empty lines make a traceback name the page's own lines.
        with contextlib.redirect_stdout(output):
            exec(compile("\n" * (line - 1) + code, str(page), "exec"), namespace)
        for expected in EXPECTED.findall(code):
            if not REMARK.search(expected):
                pattern = ".*".join(map(re.escape, expected.split("...")))
                printed = output.getvalue()
                shown = re.search(f"^{pattern}$", printed, re.MULTILINE)
                assert shown, f"{page}:{line}: not printed: {expected}\n{printed}"
    return len(found)


if __name__ == "__main__":
    print(run(Path(sys.argv[1])))
