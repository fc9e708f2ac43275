"""Templates that take their time, or fill the memory: stopped, while others go on."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from llmroute.engine.templates.builtin import BUILT_IN
from llmroute.engine.templates.chat import render_chat
from llmroute.engine.vocabulary.control_tokens import ControlTokens
from llmroute.errors import BadRequestError


def _render(template: str) -> str:
    return render_chat([{"role": "user", "content": "Hi"}], template, ControlTokens()).text


@pytest.mark.parametrize(
    "template",
    [
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{% set ns = namespace(n=99999999) %}{% for i in range(30) %}{% set ns.n = ns.n * ns.n %}"
        "{% endfor %}",
        "{% set ns = namespace(s='a' * 1000000) %}{% for i in range(14) %}"
        "{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
        "{{ ('a' | center(4000000000)) | length }}",
        "{{ ('%4000000000s' % 'a') | length }}",
        "{{ '{:4000000000}'.format('a') | length }}",
        "{{ '\t'.expandtabs(2000000000) | length }}",
        "{{ [1] | tojson(indent=4000000000) | length }}",
        "{{ [1] | batch(500000000, 2) | list | length }}",
        "{{ strftime_now('%250d' * 13000000) | length }}",
        "{% set ns = namespace(a=[1]) %}{% for i in range(40) %}{% set ns.a = [ns.a, ns.a] %}"
        "{% endfor %}{{ ns.a | string | length }}",
        "{% for i in range(99999) %}{{ 'a' * 9999 }}{% endfor %}",
        "{{ lipsum(1000000) }}",
        "{{ '" + "%s" * 1000 + "' % 1 }}" + "{{ (" * 300,
        "{% for a in [1] %}" * 25 + "x" + "{% endfor %}" * 25,
        "{{ " + "9" * 5000 + " }}",
    ],
)
def test_render_chat_stops_templates_that_take_too_much(template):
    begun = time.monotonic()
    with pytest.raises(BadRequestError, match="chat template"):
        _render(template)
    assert time.monotonic() - begun < 30


def test_render_chat_goes_on_after_a_template_that_was_stopped():
    with pytest.raises(BadRequestError):
        _render("{{ 9 ** (9 ** 9) }}")
    assert "Hi" in _render(BUILT_IN["chatml"])


def test_render_chat_does_not_hold_up_other_threads():
    """One multiplication of long numbers would stop every thread of this process."""
    with ThreadPoolExecutor(1) as pool:
        stopped = pool.submit(_render, "{{ 9 ** (9 ** 9) }}")
        for _ in range(20):
            begun = time.monotonic()
            assert "Hi" in _render(BUILT_IN["chatml"])
            assert time.monotonic() - begun < 2
        with pytest.raises(BadRequestError, match="longer than"):
            stopped.result()
