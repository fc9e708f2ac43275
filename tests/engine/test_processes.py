"""Ways to use an engine that end a process with other bindings: each in a process of its own.

Every story must end by itself with exit code 0, its last line printed and nothing on stderr.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from calls_here import Scripted, told

pytest.importorskip("llama_cpp")
pytestmark = pytest.mark.native

PRELUDE = """
import asyncio, gc, os, sys, threading, time
from llmroute.errors import *
from llmroute.providers.base import LocalCall, LocalToken
from llmroute.local_models import *
from llmroute.transport.local import *
from llmroute.types.request import TimeLimits

MODEL = sys.argv[1]

def patient():
    return Limits.begin(TimeLimits(first_token=30.0, idle=30.0))

def call(**params):
    load = {"n_threads": 1} | params.pop("load", {})
    return LocalCall(MODEL, "text", params.pop("prompt", "Once"), {"temperature": 0} | params, load)

def text(**params):
    events = open_local(call(**params), patient())
    return "".join(event.text for event in events if isinstance(event, LocalToken))

def endless(**params):
    return open_local(call(max_tokens=1_000_000, load={"n_ctx": 100_000}, **params), patient())
"""


def told_of(story: str, model: Path | str) -> str:
    """What a story prints that begins like all of them."""
    return told(PRELUDE + textwrap.dedent(story), model)


@pytest.fixture(scope="module")
def looping(scripted: Scripted) -> Path:
    names = ("fim_mid", "fim_suf", "fim_pre")  # it can fill in the middle, too
    marks = {f"tokenizer.ggml.{name}_token_id": token for token, name in enumerate(names)}
    return scripted("on and ", loop=True, metadata=marks)


STORIES = {
    "exit with an open stream": """
        stream = endless()
        next(stream)
        print("done")
    """,
    "exit with an open asynchronous stream": """
        async def main():
            global stream
            stream = await open_local_async(call(max_tokens=1_000_000), patient())
            await anext(stream)
        asyncio.run(main())
        print("done")
    """,
    "exit while a prompt is read": """
        text(max_tokens=1, load={"n_ctx": 100_000})
        stream = endless(prompt=[50] * 90_000)
        print("done")
    """,
    "exit while a model loads": """
        stream = endless()
        print("done")
    """,
    "exit with a daemon thread reading": """
        stream = endless()
        next(stream)
        def read():
            try:
                for _ in stream: pass
            except ServiceUnavailableError: pass
        threading.Thread(target=read, daemon=True).start()
        print("done")
    """,
    "unload again and again while threads read": """
        def read():
            for _ in range(10):
                try:
                    text(max_tokens=200)
                except ServiceUnavailableError:
                    pass
        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads: thread.start()
        for _ in range(10): unload(MODEL)
        for thread in threads: thread.join()
        unload()
        print("done")
    """,
    "close in another thread": """
        stream = endless()
        next(stream)
        threading.Thread(target=stream.close).start()
        for _ in stream: pass
        assert text(max_tokens=2) == "on and "
        print("done")
    """,
    "unload twice, use again": """
        assert text(max_tokens=2) == "on and "
        assert unload(MODEL) == 1
        assert unload(MODEL) == 0
        assert text(max_tokens=2) == "on and "
        print("done")
    """,
    "fork after loading, with two threads": """
        text(max_tokens=2, load={"n_threads": 2})
        child = os.fork()
        if child == 0:
            assert loaded_models() == []
            assert text(max_tokens=2, load={"n_threads": 2}) == "on and "
            unload()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert text(max_tokens=2, load={"n_threads": 2}) == "on and "
        print("done")
    """,
    "fork while an answer is generated": """
        stream = endless()
        next(stream)
        child = os.fork()
        if child == 0:
            try:
                for _ in stream: pass
            except APIConnectionError as error:
                assert "fork" in error.message
                stream.close(); del stream; gc.collect()
                os._exit(0 if text(max_tokens=2) == "on and " else 2)
            os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        next(stream)
        print("done")
    """,
    "fork while a model loads": """
        stream = endless()
        child = os.fork()
        if child == 0:
            os._exit(0 if text(max_tokens=2) == "on and " else 2)
        assert os.waitpid(child, 0)[1] == 0
        next(stream)
        print("done")
    """,
    "a child made by multiprocessing exits cleanly": """
        import multiprocessing
        def work(): assert text(max_tokens=2) == "on and "
        text(max_tokens=2)
        child = multiprocessing.get_context("fork").Process(target=work)
        child.start(); child.join()
        assert child.exitcode == 0
        print("done")
    """,
    "an asynchronous call cancelled by a timeout, then another": """
        async def ask(limit):
            stream = await open_local_async(call(max_tokens=limit), patient())
            return [e async for e in stream if isinstance(e, LocalToken)]
        async def main():
            for _ in range(20):
                try:
                    await asyncio.wait_for(ask(1_000_000), 0.02)
                except asyncio.TimeoutError:
                    pass
            assert len(await ask(3)) == 3
        asyncio.run(main())
        print("done")
    """,
    "an exception in the loop that reads": """
        for _ in range(5):
            try:
                for _ in endless(): raise KeyError
            except KeyError: pass
        assert text(max_tokens=2) == "on and "
        print("done")
    """,
    "a scored prompt that is broken off": """
        load = {"n_ctx": 100_000}
        params = {"echo": True, "logprobs": 5, "max_tokens": 0, "load": load}
        for _ in range(5):
            stream = open_local(call(prompt=[50] * 90_000, **params), patient())
            time.sleep(0.05)
            stream.close()
        assert text(prompt="Once", **params) == "Once"
        assert text(max_tokens=2, load=load) == "on and "
        print("done")
    """,
    "odd texts around a gap": """
        odd = ["\\0", "☺", "☺☺", "\\u2581 ", "<|im_start|>", "\\n" * 5000, "\\uffff", "\\U0010ffff"]
        for prefix in ["", *odd]:
            for suffix in odd:
                assert text(prompt=prefix, suffix=suffix, max_tokens=2, load={"n_ctx": 20_000})
        for suffix in ["\\ud800", "x" * 30_000, 5, b"x"]:
            try:
                text(suffix=suffix, max_tokens=2, load={"n_ctx": 20_000})
            except BadRequestError: pass
            else: raise AssertionError(suffix)
        print("done")
    """,
    "memory comes back": """
        def used():
            with open("/proc/self/statm") as statm: return int(statm.read().split()[1]) * 4096
        def once():
            text(max_tokens=50, load={"n_ctx": 200_000})
            unload()
        for _ in range(3): once()
        before = used()
        for _ in range(10): once()
        assert used() - before < 20_000_000, (before, used())
        print("done")
    """,
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_the_process_lives_and_ends_by_itself(story: str, looping: Path) -> None:
    assert told_of(story, looping) == "done"


def test_nothing_is_printed_by_a_model_that_cannot_be_loaded(tmp_path: Path, looping: Path) -> None:
    # The header says a known architecture, so llama.cpp itself finds out that layers are missing.
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(looping.read_bytes().replace(b"blk.0.attn_q", b"blk.0.attn_w"))
    story = """
        try:
            text()
        except ModelFileError as error:
            assert "attn_q" in error.message and error.url == MODEL, error
            print("refused")
        print("still here")
    """
    assert told_of(story, broken) == "refused\nstill here"


def test_its_log_goes_to_python_logging(looping: Path) -> None:
    story = """
        import logging
        records = []
        class Keep(logging.Handler):
            def emit(self, record): records.append(record)
        logging.getLogger("llmroute.engine").addHandler(Keep())
        logging.getLogger("llmroute.engine").setLevel("INFO")
        text(max_tokens=1, load={"n_gpu_layers": 5})
        said = [(record.levelname, record.getMessage()) for record in records]
        assert any(level == "INFO" and "general.architecture" in text for level, text in said)
        assert any(level == "WARNING" and "n_gpu_layers" in text for level, text in said)
        assert not any(level == "ERROR" for level, _ in said)
        print("done")
    """
    assert told_of(story, looping) == "done"


def test_without_llama_cpp_the_error_names_the_extra(looping: Path) -> None:
    story = """
        sys.modules["llama_cpp"] = None
        try:
            text()
        except MissingExtraError as error:
            print(error)
    """
    assert "pip install 'llmroute[llamacpp]'" in told_of(story, looping)


def test_flipped_bits_in_the_header(scripted: Scripted, tmp_path: Path) -> None:
    story = """
        import random
        rng = random.Random(5)
        whole = open(MODEL, "rb").read()
        other = MODEL + ".flipped"
        outcomes = {"answered": 0, "refused": 0}
        for _ in range(60):
            raw = bytearray(whole)
            for _ in range(3): raw[rng.randrange(4000)] ^= 1 << rng.randrange(8)
            open(other, "wb").write(raw)
            try:
                wanted = LocalCall(other, "text", "Once", {"max_tokens": 3}, {"n_ctx": 512})
                list(open_local(wanted, patient()))
                outcomes["answered"] += 1
            except BadRequestError:
                outcomes["refused"] += 1
            unload()
        print(sum(outcomes.values()))
    """
    model = tmp_path / "model.gguf"
    model.write_bytes(scripted("flip me").read_bytes())
    assert told_of(story, model) == "60"
