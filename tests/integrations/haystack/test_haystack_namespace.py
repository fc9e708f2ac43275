"""How the components are found: with others in the namespace, and without Haystack."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import haystack_integrations
from haystack_integrations.components.generators import llmroute as components
from llmroute.integrations import haystack as exported

ROOT = Path(__file__).parents[3]


def run_python(program, *paths, arguments=()):
    """What a program prints in a process of its own."""
    path = ":".join(map(str, paths or (ROOT,)))
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": path, "HAYSTACK_TELEMETRY_ENABLED": "False", "PATH": ""},
        timeout=120,
    )


def test_namespace_is_shared():
    folder = ROOT / "haystack_integrations"
    assert haystack_integrations.__file__ is None
    for above in (folder, folder / "components", folder / "components" / "generators"):
        assert not (above / "__init__.py").exists()


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_another_integration_beside_ours(tmp_path, first):
    other = tmp_path / "haystack_integrations" / "components" / "generators" / "llama_cpp"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text("class LlamaCppChatGenerator: 'theirs'")
    done = run_python(
        "from haystack_integrations.components.generators import llama_cpp, llmroute\n"
        "print(llama_cpp.LlamaCppChatGenerator.__doc__,"
        " llmroute.LlamaCppChatGenerator.__module__)",
        *((ROOT, tmp_path) if first == "ours" else (tmp_path, ROOT)),
    )
    assert done.stdout.split() == [
        "theirs",
        "haystack_integrations.components.generators.llmroute.llama_cpp_chat",
    ]


def test_both_doors_lead_to_the_same_components():
    assert exported.__all__ == components.__all__
    for name in components.__all__:
        assert getattr(exported, name) is getattr(components, name)


WITHOUT_HAYSTACK = """
import sys
sys.modules["haystack"] = None  # as if it were not installed
import llmroute
from llmroute.errors import MissingExtraError
try:
    import llmroute.integrations.haystack
except MissingExtraError as error:
    print(error)
"""


def test_without_haystack_the_extra_is_named():
    done = run_python(WITHOUT_HAYSTACK)
    assert "pip install 'llmroute[haystack]'" in done.stdout, done.stderr


LIGHT = """
import sys
import llmroute.integrations.haystack
print([name for name in ("llama_cpp", "openai", "numpy.core") if name in sys.modules])
"""


def test_importing_the_components_loads_no_model_library():
    done = run_python(LIGHT)
    assert done.stdout.strip() == "[]", done.stderr


WITHOUT_LLAMA_CPP = """
import sys
sys.modules["llama_cpp"] = None  # as if it were not installed
from llmroute.errors import MissingExtraError
from llmroute.integrations.haystack import LlamaCppChatGenerator
generator = LlamaCppChatGenerator(sys.argv[1])
for call in (generator.warm_up, lambda: generator.run("Hi")):
    try:
        call()
    except MissingExtraError as error:
        print(error)
"""


def test_without_llama_cpp_python_the_extra_is_named(spoken):
    done = run_python(WITHOUT_LLAMA_CPP, arguments=[spoken])
    assert done.stdout.count("pip install 'llmroute[llamacpp]'") == 2, done.stderr
