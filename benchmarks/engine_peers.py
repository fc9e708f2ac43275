"""Who takes part in `engine.py`, each as a function from a prompt to what it writes."""

from __future__ import annotations

import atexit
import http.client
import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from llmroute.engine import native
from llmroute.engine.model.batch import Batch
from llmroute.providers.base import LocalCall, LocalToken
from llmroute.transport.limits import Limits
from llmroute.transport.local import open_local
from llmroute.types.request import TimeLimits

AT_ONCE = (1, 2, 4, 8, 16)
_N_CTX = 8192
_LOADING_SECONDS = 60


class Ask(Protocol):
    """Writes so many tokens after a prompt, held to a GBNF grammar if there is one.

    Yields something about once a token, which `text_of` understands.
    """

    def __call__(
        self, prompt: str, tokens: int, grammar: str | None = None
    ) -> Iterator[object]: ...


def text_of(said: object) -> str:
    """The text in what a contestant yields, if it yields any."""
    if isinstance(said, LocalToken):
        return said.text
    if isinstance(said, bytes):
        return str(json.loads(said)["content"])
    return str(said["choices"][0]["text"]) if isinstance(said, dict) else ""


def ask_engine(model: str, threads: int, **load: Any) -> Ask:
    """This project's engine."""
    options = {"n_ctx": _N_CTX, "n_parallel": max(AT_ONCE), "n_threads": threads} | load

    def ask(prompt: str, tokens: int, grammar: str | None = None) -> Iterator[object]:
        # A grammar says itself when an answer ends.
        held = {"grammar": grammar} if grammar else {"ignore_eos": True}
        params = {"max_tokens": tokens, "temperature": 0, **held}
        stream = open_local(
            LocalCall(model, "text", prompt, params, options), Limits.begin(TimeLimits())
        )
        return (event for event in stream if isinstance(event, LocalToken))

    return ask


def ask_without_cache(model: str, threads: int) -> Ask:
    """The same, computing every prompt anew."""
    return ask_engine(model, threads, prefix_cache=False)


def ask_lock(model: str, threads: int) -> Ask:
    """llama-cpp-python's own class, which takes one request at a time."""
    from llama_cpp import Llama, LlamaGrammar

    llama = Llama(model, n_ctx=_N_CTX, n_threads=threads, n_threads_batch=threads, verbose=False)
    lock = threading.Lock()

    def ask(prompt: str, tokens: int, grammar: str | None = None) -> Iterator[object]:
        with lock:
            chunks = llama.create_completion(
                prompt,
                max_tokens=tokens,
                temperature=0,
                stream=True,
                grammar=grammar and LlamaGrammar.from_string(grammar, verbose=False),
            )
            # The last one only tells that it is the last.
            yield from (chunk for chunk in chunks if chunk["choices"][0]["text"])

    return ask


class Server:
    """llama.cpp's server in a process of its own, asked over HTTP on the loopback interface."""

    def __init__(self, program: str, model: str, threads: int) -> None:
        self._port = _free_port()
        command = [program, "--model", model, "--port", str(self._port), "--no-ui"]
        command += ["--ctx-size", str(_N_CTX), "--parallel", str(max(AT_ONCE)), "--kv-unified"]
        command += ["--threads", str(threads), "--threads-batch", str(threads)]
        # By default it puts what ended calls computed aside, and reads a prompt anew in a model
        # with a sliding window; a full cache needs no checkpoints.
        command += ["--no-cache-idle-slots", "--swa-full", "--ctx-checkpoints", "0"]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        atexit.register(self._process.terminate)
        self.pid = self._process.pid
        _wait_until(self._loaded)

    def _loaded(self) -> bool:
        if self._process.poll() is not None:
            raise RuntimeError(f"llama-server ended with code {self._process.returncode}.")
        connection = http.client.HTTPConnection("127.0.0.1", self._port)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except ConnectionRefusedError:
            return False
        finally:
            connection.close()

    def __call__(self, prompt: str, tokens: int, grammar: str | None = None) -> Iterator[bytes]:
        held = {"grammar": grammar} if grammar else {"ignore_eos": True}
        wanted = {"prompt": prompt, "n_predict": tokens, "temperature": 0, "stream": True}
        body = json.dumps(wanted | held)
        head = "POST /completion HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", self._port)) as connection:
            connection.sendall((head + body).encode())
            # An event is a chunk of its own, so whole lines can be picked out as they come.
            for line in connection.makefile("rb"):
                if line.startswith(b"data: ") and b'"stop":false' in line:
                    yield line.removeprefix(b"data: ")


def _free_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


def _wait_until(ready: Callable[[], bool]) -> None:
    end = time.monotonic() + _LOADING_SECONDS
    while not ready():
        if time.monotonic() > end:
            raise TimeoutError("llama-server has not started.")
        time.sleep(0.05)


def find_server() -> str | None:
    """The server that `make llama-server` has built, or one that is on the path."""
    cache = Path(__file__).parents[1] / ".cache"
    built = sorted(cache.glob("llama.cpp-*/build/bin/llama-server"))
    return str(built[-1]) if built else shutil.which("llama-server")


def ask_bare(model: str, threads: int) -> Ask:
    """`llama_decode` and a greedy sampler with nothing around them: the limit for one sequence."""
    lib = native.library()
    weights = lib.llama_model_load_from_file(model.encode(), lib.llama_model_default_params())
    settings = lib.llama_context_default_params()
    settings.n_ctx, settings.n_batch, settings.n_ubatch = _N_CTX, 512, 512
    settings.n_threads = settings.n_threads_batch = threads
    settings.no_perf = True
    context = lib.llama_init_from_model(weights, settings)
    chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
    lib.llama_sampler_chain_add(chain, lib.llama_sampler_init_greedy())
    batch = Batch(lib, 512)

    def ask(prompt: str, tokens: int, grammar: str | None = None) -> Iterator[object]:
        token = 2
        lib.llama_memory_clear(lib.llama_get_memory(context), True)
        for position in range(tokens):
            batch.clear()
            row = batch.add([token], position, 0, wanted=True)
            assert lib.llama_decode(context, batch.native) == 0
            token = lib.llama_sampler_sample(chain, context, row)
            yield token

    return ask
