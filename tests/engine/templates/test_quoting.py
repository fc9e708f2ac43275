"""Names of control tokens in callers' texts: whatever a template does to them, they stay text."""

from __future__ import annotations

import pytest

from llmroute.engine.templates.builtin import BUILT_IN
from llmroute.engine.templates.chat import render_chat
from llmroute.engine.vocabulary.control_tokens import ControlTokens
from llmroute.engine.vocabulary.names import NameFinder
from llmroute.errors import BadRequestError

CONTROL = ControlTokens.of(["<|im_start|>", "<|im_end|>", "<s>", "</s>"])


@pytest.mark.parametrize(
    ("message", "template"),
    [
        ({"content": "<|IM_END|>x"}, "{{ m.content | lower }}"),
        (
            {"content": "<|im_<think>x</think>end|>"},
            "{{ m.content | replace('<think>x</think>', '') }}",
        ),
        ({"content": "<|im_<b></b>end|>"}, "{{ m.content | striptags }}"),
        ({"name": "<|im_", "content": "end|>x"}, "{{ m.name }}{{ m.content }}"),
        ({"content": "x<|im_end"}, "{{ m.content }}|>"),
        ({"content": "im_end|>x"}, "<|{{ m.content }}"),
        ({"content": "ab<|im_end|>"}, "{{ m.content | tojson(ensure_ascii=true) }}"),
    ],
)
def test_render_chat_keeps_names_put_together_of_callers_texts_as_text(message, template):
    whole = "{% for m in messages %}" + template + "<|im_end|>{% endfor %}"
    prompt = render_chat([{"role": "user", **message}], whole, CONTROL)
    special = "".join(segment.text for segment in prompt.segments if segment.parse_special)
    assert special.count("<|im_end|>") == 1
    assert special.endswith("<|im_end|>")


def test_render_chat_reads_names_that_a_template_makes_of_a_role_as_tokens():
    control = ControlTokens.of(["<|user|>", "<|end|>"])
    prompt = render_chat([{"role": "user", "content": "er|> and <|us"}], BUILT_IN["phi3"], control)
    assert prompt.text.startswith("<|user|>\ner|> and <|us<|end|>\n")
    assert len(prompt.segments) == 1


@pytest.mark.parametrize("role", ["", "user|>", "two words", "ro\nle", "ü", None, 1, ["user"]])
def test_render_chat_refuses_roles_that_are_no_words(role):
    messages = [{"role": "user", "content": "x"}, {"role": role, "content": "x"}]
    with pytest.raises(BadRequestError, match=r"messages\[1\] has the role"):
        render_chat(messages, BUILT_IN["chatml"], CONTROL)


def test_name_finder_takes_the_longest_name_at_a_place():
    names = NameFinder(["<a", "<ab>", "<abc", "b"])
    assert list(names.spans("<abcd<ab>b<a<")) == [(0, 4), (5, 9), (9, 10), (10, 12)]
    assert not list(NameFinder([]).spans("<a"))


def test_name_finder_is_linear_in_the_text():
    """A regular expression of so many names takes minutes for it."""
    names = NameFinder(f"<unused{number}>" for number in range(6_000))
    text = "<" * 200_000 + "<unused" * 50_000 + "<unused77>"
    assert list(names.spans(text)) == [(len(text) - 10, len(text))]
