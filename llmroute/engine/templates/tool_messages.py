"""Calls of tools and their results in a form that a template shows, found out by trying.

Templates differ in what they take: arguments as an object or as text, `content` empty or null, ids
of nine letters, one call a message, no role `tool`, no calls at all. What a template would refuse
or leave out is put into the texts of the assistant and the user instead, as the model's family
writes it, so that the model always reads what was called, with which arguments, and what came of
it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import product
from typing import Any, TypeAlias

from ...errors import BadRequestError
from ..tools.families import detect_family
from .probe import SAMPLE_TOOLS, wants_parts, with_parts, written

JSON: TypeAlias = Any
Message: TypeAlias = dict[str, JSON]


@dataclass(frozen=True, slots=True)
class _Form:
    """How calls and results are given to a template."""

    calls: bool = True
    """As `tool_calls`; if not, in the assistant's text."""
    results: bool = True
    """In messages of role `tool`; if not, in the user's text."""
    null_content: bool = False
    """`content` is null beside calls. A text beside them goes into a message before."""
    short_ids: bool = False
    """Ids have nine letters and digits."""
    argument_text: bool = False
    """Arguments are JSON text, not objects."""
    one_call: bool = False
    """A message has one call, and its result follows."""


_NATIVE = sorted(
    (_Form(True, True, *flags) for flags in product((False, True), repeat=4)),
    key=lambda form: (form.null_content, form.short_ids, form.argument_text, form.one_call).count(
        True
    ),
)
# From what needs the least change to what needs the most.
_FORMS = (
    *_NATIVE,
    *(
        _Form(True, False, form.null_content, form.short_ids, form.argument_text, form.one_call)
        for form in _NATIVE
    ),
    _Form(calls=False, results=True),
    _Form(calls=False, results=False),
)


def arrange_tools(messages: Sequence[Message], template: str) -> list[Message]:
    """`messages`, whose contents are texts, with calls and results as `template` shows them.

    Raises `BadRequestError` for calls that are no calls.
    """
    for message in messages:
        _check_calls(message.get("tool_calls") or ())
    if not any(m.get("role") == "tool" or m.get("tool_calls") for m in messages):
        return list(messages)
    forms = _good_forms(template)
    # A conversation may hold what the sample did not: arguments that are no object, say.
    tried = (_in_form(messages, form, template) for form in forms)
    first = _in_form(messages, forms[0], template)
    return next((m for m in tried if written_with_tools(template, m)), first)


def _check_calls(calls: JSON) -> None:
    for call in calls if isinstance(calls, list | tuple) else [calls]:
        if not isinstance(call, Mapping) or not isinstance(call.get("function"), Mapping):
            raise BadRequestError(
                f"A tool call must be a dict with an id and a function, not {call!r:.100}.",
                param="messages",
            )


def _in_form(messages: Sequence[Message], form: _Form, template: str) -> list[Message]:
    result = _named(messages)
    for applies, change in (
        (form.one_call, _one_call_each),
        (form.short_ids, _with_short_ids),
        (True, _with_argument_texts if form.argument_text else _with_argument_objects),
        (not form.calls, partial(_calls_as_text, template=template)),
        (form.null_content, _with_null_content),
        (not form.results, _results_as_text),
    ):
        if applies:
            result = change(result)
    return result


def _named(messages: Sequence[Message]) -> list[Message]:
    """Results with the name of the tool, which some templates write before them."""
    names = {
        call.get("id"): call["function"].get("name")
        for message in messages
        for call in message.get("tool_calls") or ()
    }
    return [
        {**message, "name": names[message.get("tool_call_id")]}
        if message.get("role") == "tool"
        and "name" not in message
        and names.get(message.get("tool_call_id"))
        else message
        for message in messages
    ]


def _one_call_each(messages: Sequence[Message]) -> list[Message]:
    result: list[Message] = []
    rest = list(messages)
    while rest:
        message = rest.pop(0)
        calls = message.get("tool_calls") or ()
        if len(calls) < 2:
            result.append(message)
            continue
        answers: list[Message] = []
        while rest and rest[0].get("role") == "tool":
            answers.append(rest.pop(0))
        for number, call in enumerate(calls):
            text = message["content"] if number == 0 else ""
            own = [answer for answer in answers if answer.get("tool_call_id") == call.get("id")]
            result += [{**message, "content": text, "tool_calls": [call]}, *own]
            answers = [answer for answer in answers if answer not in own]
        result += answers
    return result


def _with_short_ids(messages: Sequence[Message]) -> list[Message]:
    result = [dict(message) for message in messages]
    for message in result:
        if "tool_call_id" in message:
            message["tool_call_id"] = _short_id(message["tool_call_id"])
        if message.get("tool_calls"):
            message["tool_calls"] = [
                {**call, "id": _short_id(call.get("id"))} for call in message["tool_calls"]
            ]
    return result


def _short_id(identity: JSON) -> str:
    text = str(identity)
    if len(text) == 9 and text.isascii() and text.isalnum():
        return text
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:9]


def _with_argument_objects(messages: Sequence[Message]) -> list[Message]:
    return _with_arguments(messages, _arguments)


def _with_argument_texts(messages: Sequence[Message]) -> list[Message]:
    return _with_arguments(messages, _argument_text)


def _with_arguments(
    messages: Sequence[Message], form: Callable[[Mapping[str, JSON]], JSON]
) -> list[Message]:
    def changed(call: Mapping[str, JSON]) -> Message:
        return {**call, "function": {**call["function"], "arguments": form(call)}}

    return [
        {**message, "tool_calls": [changed(call) for call in message["tool_calls"]]}
        if message.get("tool_calls")
        else message
        for message in messages
    ]


def _arguments(call: Mapping[str, JSON]) -> JSON:
    """The arguments as an object; as text if they are no JSON."""
    given = call["function"].get("arguments")
    if not isinstance(given, str):
        return {} if given is None else given
    try:
        return json.loads(given or "{}")
    except ValueError:
        return given


def _argument_text(call: Mapping[str, JSON]) -> str:
    arguments = _arguments(call)
    if isinstance(arguments, str):
        return arguments
    return json.dumps(arguments, ensure_ascii=False)


def _calls_as_text(messages: Sequence[Message], template: str) -> list[Message]:
    syntax = detect_family(template).syntax
    result = []
    for message in messages:
        if calls := message.get("tool_calls"):
            named = [(str(call["function"].get("name")), _arguments(call)) for call in calls]
            texts = filter(None, (message["content"], syntax.written(named)))
            message = {k: v for k, v in message.items() if k != "tool_calls"}
            message["content"] = "\n".join(texts)
        result.append(message)
    return result


def _with_null_content(messages: Sequence[Message]) -> list[Message]:
    result: list[Message] = []
    for message in messages:
        if message.get("tool_calls"):
            if message["content"]:
                result.append({k: v for k, v in message.items() if k != "tool_calls"})
            message = {**message, "content": None}
        result.append(message)
    return result


def _results_as_text(messages: Sequence[Message]) -> list[Message]:
    """Results in turns of the user, each joined with what the user says next to it, for templates
    that want user and assistant to take turns."""
    result: list[Message] = []
    after_result = False
    for message in messages:
        is_result = message.get("role") == "tool"
        text = message["content"]
        if is_result:
            text = f"<tool_response>\n{text}\n</tool_response>"
            message = {"role": "user", "content": text}
        if after_result and message.get("role") == "user":
            result[-1] = {**result[-1], "content": f"{result[-1]['content']}\n{text}"}
        else:
            result.append(message)
            after_result = is_result
    return result


@lru_cache(maxsize=64)
def _good_forms(template: str) -> tuple[_Form, ...]:
    """The forms in which the template shows everything; the first of all if there is none."""
    return tuple(form for form in _FORMS if _shows_all(template, form)) or _FORMS[:1]


def _shows_all(template: str, form: _Form) -> bool:
    second_turn = written_with_tools(template, _in_form(_SAMPLE, form, template))
    later = written_with_tools(template, _in_form([*_SAMPLE, *_AFTER], form, template))
    return (
        all(needle in second_turn for needle in _NEEDLES)
        # Python's way of writing an object, or JSON within JSON's quotes.
        and f"'{_KEY}'" not in second_turn
        and f'\\"{_KEY}' not in second_turn
        and all(needle in later for needle in (*_NEEDLES, *_AFTERWARDS))
    )


def written_with_tools(template: str, messages: Sequence[Message]) -> str:
    """What the template makes of messages with calls; `""` if it doesn't take them."""
    prepared = with_parts(messages) if wants_parts(template) else messages
    # Some templates take calls only when tools are offered, others fail on these.
    return written(template, prepared, SAMPLE_TOOLS) or written(template, prepared)


_KEY = "needlekey"
_NEEDLES = (
    *("needlequestion", _KEY, "needlefirst", "needlesecond", "needlevalue1", "needlevalue2"),
    *("needleresult1", "needleresult2"),
)
_AFTERWARDS = ("needleanswer", "needlelater")


def _sample() -> Iterator[Message]:
    yield {"role": "user", "content": "needlequestion"}
    yield {
        "role": "assistant",
        "content": "",
        "tool_calls": [
            sample_call("first", "needlevalue1"),
            sample_call("second", "needlevalue2"),
        ],
    }
    yield sample_result("first", "needleresult1")
    yield sample_result("second", "needleresult2")


def sample_call(name: str, value: str) -> Message:
    """A call to try a template with."""
    function = {"name": f"needle{name}", "arguments": json.dumps({_KEY: value})}
    return {"id": f"call_0_{name}", "type": "function", "function": function}


def sample_result(name: str, content: str = "needleresult") -> Message:
    """What came of that call."""
    return {"role": "tool", "tool_call_id": f"call_0_{name}", "content": content}


_SAMPLE = tuple(_sample())
_AFTER: tuple[Message, ...] = (
    {"role": "assistant", "content": "needleanswer"},
    {"role": "user", "content": "needlelater"},
)
