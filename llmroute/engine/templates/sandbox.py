"""Runs chat templates, in a process of its own: Jinja as Hugging Face's transformers sets it up.

A template comes out of a model file and is a stranger's program (CVE-2024-34359). Jinja's sandbox
keeps it from Python's objects; that it ends soon and takes little memory, no sandbox can promise
(one multiplication of long numbers stops every thread for as long as it takes), so the operating
system does: see `serve`. This module imports nothing but Jinja, as each such process does too.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import struct
import sys
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from typing import Any, BinaryIO, NoReturn

from jinja2 import Environment, Template, TemplateError, TemplateSyntaxError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import SandboxedEnvironment

OK, INVALID, REFUSED, FAILED, TOO_MUCH = range(5)
"""What became of a rendering; all but the first come with a reason as text."""
REQUEST = struct.Struct(">Qd")
"""Before each request: its length in bytes, and how many seconds it may take."""
ANSWER = struct.Struct(">BQ")
"""Before each answer: what became of it, and its length in bytes."""


class RefusalError(TemplateError):
    """The template called `raise_exception`: it does not take these messages."""


class _OutputError(Exception):
    """The template writes too much."""


class _Generation(Extension):
    """`{% generation %}`, which marks the assistant's words for training; here only its content."""

    tags = {"generation"}  # noqa: RUF012  (Jinja's own declaration)

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _raise_exception(message: str) -> NoReturn:
    raise RefusalError(message)


def _strftime_now(format: str) -> str:
    return datetime.now().strftime(format)


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """JSON as it is; Jinja's own filter escapes it for HTML."""
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
        default=_listed,
    )


def _listed(value: Any) -> list[Any]:
    """What a filter such as `map` gives."""
    if isinstance(value, Iterator):
        return list(value)
    raise TypeError(f"a {type(value).__name__} is no JSON")


@lru_cache(maxsize=1)
def _environment() -> Environment:
    # Lists may be changed, as Kimi K2's template does: it has copies of what it is given.
    environment = SandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, _Generation]
    )
    environment.filters["tojson"] = _tojson
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = _strftime_now
    return environment


@lru_cache(maxsize=64)
def _compiled(source: str) -> Template:
    return _environment().from_string(source)


def render(source: str, variables: dict[str, Any], most: int) -> tuple[int, str]:
    """What a template writes, in at most `most` characters; or what went wrong, and why."""
    try:
        return OK, _written(_compiled(source), variables, most)
    except TemplateSyntaxError as error:
        return INVALID, f"{error.message} (line {error.lineno})"
    except RefusalError as error:
        return REFUSED, str(error)
    except MemoryError:
        return TOO_MUCH, "it needs too much memory"
    except _OutputError:
        return TOO_MUCH, f"it writes more than {most:,} characters"
    except RecursionError:
        return FAILED, "it is nested too deeply, or calls itself forever"
    except Exception as error:  # noqa: BLE001 - a stranger's program: anything may come
        return FAILED, str(error) or type(error).__name__


def _written(template: Template, variables: dict[str, Any], most: int) -> str:
    pieces, size = [], 0
    for piece in template.generate(variables):
        size += len(piece)
        if size > most:
            raise _OutputError
        pieces.append(piece)
    return "".join(pieces)


# In the process of its own


def serve(memory: int) -> None:
    """Answer requests from standard input until it is closed.

    A rendering that takes longer than its request allows ends this process, whatever it does: the
    watchdog runs in C and needs no lock of Python's. One that takes more than `memory` bytes, and
    some for its request, is refused by the operating system where it can do that (Linux).
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the program, which ends this one
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "w") as nowhere:
        while header := requests.read(REQUEST.size):
            length, seconds = REQUEST.unpack(header)
            faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)
            _answer(requests, length, answers, memory)
            faulthandler.cancel_dump_traceback_later()


def _answer(requests: BinaryIO, length: int, answers: BinaryIO, memory: int) -> None:
    _limit_memory(memory + 16 * length)
    source, variables, most = json.loads(requests.read(length).decode("utf-8", "surrogatepass"))
    kind, text = render(source, variables, most)
    raw = text.encode("utf-8", "surrogatepass")
    answers.write(ANSWER.pack(kind, len(raw)) + raw)
    answers.flush()


def _limit_memory(more: int) -> None:
    """Let this process take `more` bytes than it has now."""
    try:
        import resource  # not on Windows

        with open("/proc/self/statm") as file:  # Linux
            pages = int(file.read().split()[0])
    except (ImportError, OSError):
        return
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    soft = pages * resource.getpagesize() + more
    if hard != resource.RLIM_INFINITY:
        soft = min(soft, hard)
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
