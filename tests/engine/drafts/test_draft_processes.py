"""A draft model beside a model, over the life of a process: each story in one of its own."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from calls_here import Scripted
from test_processes import told_of

pytest.importorskip("llama_cpp")
pytestmark = pytest.mark.native

_PRELUDE = """
DRAFT = MODEL.removesuffix(".gguf") + "-draft.gguf"
LOAD = {"draft_model": DRAFT, "n_ctx": 50_000}

def many(prompt="Once"):
    return open_local(call(prompt=prompt, max_tokens=1_000_000, load=LOAD), patient())
"""

STORIES = {
    "load, unload, load again": """
        for _ in range(5):
            assert text(max_tokens=40, load=LOAD) == "on and " * 20
            assert unload(MODEL) == 1
        print("done")
    """,
    "exit with an open stream": """
        stream = many()
        for _ in range(50): next(stream)
        print("done")
    """,
    "exit while the draft model reads a prompt": """
        text(max_tokens=1, load=LOAD)
        stream = many([50] * 4_000)
        next(stream)
        print("done")
    """,
    "exit while both load": """
        stream = many()
        print("done")
    """,
    "cancel again and again": """
        for number in range(30):
            stream = many([50 + number] * 300)
            for _ in range(number): next(stream)
            stream.close()
        assert text(max_tokens=40, load=LOAD) == "on and " * 20
        print("done")
    """,
    "unload while threads read": """
        def read():
            for _ in range(5):
                try:
                    text(max_tokens=300, load=LOAD)
                except ServiceUnavailableError:
                    pass
        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads: thread.start()
        for _ in range(5): unload(MODEL)
        for thread in threads: thread.join()
        unload()
        print("done")
    """,
    "memory comes back": """
        def used():
            with open("/proc/self/statm") as statm: return int(statm.read().split()[1]) * 4096
        def once():
            text(max_tokens=50, load=LOAD)
            unload()
        for _ in range(3): once()
        before = used()
        for _ in range(10): once()
        assert used() - before < 20_000_000, (before, used())
        print("done")
    """,
    "a draft model with flipped bits in the header": """
        import random
        rng = random.Random(5)
        whole = open(DRAFT, "rb").read()
        other = DRAFT + ".flipped"
        outcomes = []
        for _ in range(40):
            raw = bytearray(whole)
            for _ in range(3): raw[rng.randrange(4000)] ^= 1 << rng.randrange(8)
            open(other, "wb").write(raw)
            try:
                outcomes.append(text(max_tokens=20, load={"n_ctx": 512, "draft_model": other}))
            except BadRequestError:
                outcomes.append(None)
            unload()
        assert {*outcomes} <= {None, "on and " * 10}, outcomes
        print("done")
    """,
    "a smaller vocabulary, and tokens that only the model has": """
        # llama.cpp refuses a token beyond a vocabulary; the draft model must not be given one.
        from llmroute.testing.tiny_gguf import write_scripted
        words = [f"word{number} " for number in range(50)]
        target = MODEL + ".large"
        few = MODEL + ".few"
        write_scripted(target, "".join(words), pieces=words, loop=True)
        write_scripted(few, "".join(words[:20]), pieces=words[:20], loop=True)
        params = {"max_tokens": 120, "temperature": 0}
        def say(prompt, **load):
            wanted = LocalCall(target, "text", prompt, params, {"n_threads": 1} | load)
            events = open_local(wanted, patient())
            return "".join(e.text for e in events if isinstance(e, LocalToken))
        for prompt in ([50], [309, 300, 50]):
            assert say(prompt) == say(prompt, draft_model=few)
        print("done")
    """,
}


@pytest.fixture(scope="module")
def pair(scripted: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, with one that drafts for it beside it."""
    folder = tmp_path_factory.mktemp("pair")
    for name, layers in (("model.gguf", 12), ("model-draft.gguf", 1)):
        (folder / name).write_bytes(scripted("on and ", loop=True, layers=layers).read_bytes())
    return folder / "model.gguf"


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_the_process_lives_and_ends_by_itself(story: str, pair: Path) -> None:
    assert told_of(_PRELUDE + textwrap.dedent(story), pair) == "done"
