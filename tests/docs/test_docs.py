"""The documentation does what it says: every page's Python blocks run.

A page asks for what its examples need by a comment:
`<!-- run-with: emulator, openai, model, haystack -->`.
the names are those of `setups`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from run_page import blocks

from llmroute.testing.llama_api import LlamaAPIEmulator
from llmroute.testing.openai_api import OpenAIServer

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
RUN_WITH = re.compile(r"<!-- run-with: (.+?) -->")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)")


def relative(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.fixture
def setups(scripted: Callable[..., Path]) -> Iterator[dict[str, Callable[[], dict[str, str]]]]:
    """What a page may ask for: each starts something and gives the variables that lead to it."""
    with ExitStack() as stack:

        def openai() -> dict[str, str]:
            server = stack.enter_context(OpenAIServer())
            return {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "sk-loopback"}

        def emulator() -> dict[str, str]:
            server = stack.enter_context(LlamaAPIEmulator())
            return {"LLAMA_API_BASE": server.compat_url, "LLAMA_API_KEY": server.api_key or ""}

        def model() -> dict[str, str]:
            pytest.importorskip("llama_cpp")
            path = scripted("Hello from this process.")
            return {"LLMROUTE_MODELS_DIR": str(path.parent), "MODEL": path.name}

        def haystack() -> dict[str, str]:
            pytest.importorskip("haystack")
            return {"HAYSTACK_TELEMETRY_ENABLED": "False"}

        yield {"openai": openai, "emulator": emulator, "model": model, "haystack": haystack}


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_the_page_runs(
    page: Path, setups: dict[str, Callable[[], dict[str, str]]], tmp_path: Path
) -> None:
    text = page.read_text("utf-8")
    if "```python" not in text:
        return
    environ = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    environ |= {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"}
    # An example that would leave this machine fails at this proxy.
    environ |= {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
    environ |= {"NO_PROXY": "127.0.0.1,localhost"}
    asked = RUN_WITH.search(text)
    for name in asked[1].split(", ") if asked else ():
        environ |= setups[name]()
    done = subprocess.run(
        [sys.executable, "-W", "error", str(Path(__file__).with_name("run_page.py")), str(page)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environ,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == len(list(blocks(page)))


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_its_links_lead_somewhere(page: Path) -> None:
    text = page.read_text("utf-8")
    targets = [t for t in LINK.findall(text) if "://" not in t and not t.startswith("mailto:")]
    assert [t for t in targets if not (page.parent / t).exists()] == []


def test_wrong_output_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\nprint(1 + 1)  # 3\n```\n")
    script = Path(__file__).with_name("run_page.py")
    done = subprocess.run([sys.executable, script, page], capture_output=True, text=True)
    assert done.returncode == 1
    assert "not printed: 3" in done.stderr
