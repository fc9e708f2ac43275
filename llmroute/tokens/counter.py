"""How many tokens a text or a conversation is, and how far the number can be trusted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..deployments import split_model
from ..errors import BadRequestError
from ..registry import find_model_info, local_module
from ..runtime import shared
from ..tracebacks import short_tracebacks
from ..types.base import Model
from . import vocabulary
from .images import MOST_IMAGE_TOKENS, data_uri_size, image_tokens
from .vocabulary import TextCount, Tokenizer

Messages: TypeAlias = str | Sequence[Mapping[str, Any] | Model]
Tools: TypeAlias = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class TokenCount:
    """A number of tokens. `int(count)` is the number alone."""

    tokens: int
    method: str
    """What counted: a vocabulary's name (`"llama4"`, `"o200k_base"`), the word of a registered
    counter, or `"estimate"`, which goes by bytes."""
    exact: bool
    """Whether the provider counts the same. False for every estimate, for tools (providers don't
    publish the prompt they turn them into) and for chat templates that aren't known."""

    def __int__(self) -> int:
        return self.tokens


Counter: TypeAlias = Callable[[str, Messages | None, str | None, Tools | None], TokenCount]
"""`counter(model, messages, text, tools)`; one of `messages` and `text` is `None`."""


class Counters:
    """The counters that were registered, by prefix."""

    def __init__(self) -> None:
        self.by_prefix: dict[str, Counter] = {}


@dataclass(frozen=True, slots=True)
class _Format:
    """What a chat format adds to the texts of a conversation."""

    prompt: int
    """Tokens at the beginning, and those that ask for the answer."""
    message: int
    """Special tokens around each message and its role."""
    after_role: str
    tools: int
    """What describing tools adds beside their own JSON."""


# Llama 4's, which the recorded counts of the Llama API confirm: one token opens the prompt and
# four ask for the answer; two stand around a role, a blank line after it, one at a message's end.
# The Llama API puts tools into a prompt it does not publish, which was this much longer than the
# JSON of the one recorded tool.
_LLAMA = _Format(prompt=5, message=3, after_role="\n\n", tools=490)

# OpenAI's, as its cookbook counts it:
# https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken
_OPENAI = _Format(prompt=3, message=3, after_role="", tools=0)

_LLAMA_ROLES = {"tool": "ipython"}


def register_counter(prefix: str, counter: Counter) -> None:
    """Let `counter(model, messages, text, tools)` count for every model of provider `prefix`."""
    shared(Counters).by_prefix[prefix] = counter


def token_counter(
    model: str,
    *,
    messages: Messages | None = None,
    text: str | None = None,
    tools: Tools | None = None,
) -> TokenCount:
    """How many tokens `messages` (with `tools`) or `text` are for `model`.

    Give one of `messages`, which count with all that the chat format adds, and `text`, which
    counts as it is. A string as `messages` is one user message. Never uses the network: when the
    model's vocabulary is not on this machine, another one's count or an estimate comes back, with
    `exact=False`. An image whose size can't be seen counts as the largest. The first call for a
    vocabulary loads it, which takes about half a second. Raises `BadRequestError` when neither or
    both are given, or `tools` without `messages`.
    """
    if (messages is None) == (text is None) or (tools and messages is None):
        raise BadRequestError(
            "token_counter takes either messages= (with or without tools=) or text=.", model=model
        )
    provider, _ = split_model(model)
    if (counter := _counter(provider)) is not None:
        with short_tracebacks:
            return counter(model, messages, text, tools)
    method, tokenizer, own = _tokenizer(model)
    if text is not None:
        count = _count_text(tokenizer, text)
        return TokenCount(count.tokens, method, own and count.exact)
    form = _LLAMA if method in ("llama3", "llama4") or provider == "meta_llama" else _OPENAI
    counts = [_Part(form.prompt, own and template_known(model))]
    counts += (p for message in plain(messages or ()) for p in _message(tokenizer, form, message))
    if tools:
        described = _count_text(tokenizer, _compact(list(tools))).tokens
        counts.append(_Part(form.tools + described, False))
    return TokenCount(
        sum(part.tokens for part in counts), method, all(part.exact for part in counts)
    )


def _counter(prefix: str) -> Counter | None:
    """The counter of a provider: a registered one, else that of models in this process."""
    registered = shared(Counters).by_prefix.get(prefix)
    if registered is not None:
        return registered
    module = local_module(prefix)
    if module is None:
        return None
    counter: Counter = module.local_count
    return counter


def template_known(model: str) -> bool:
    """Whether the chat format of `model` is known to the token, given its vocabulary.

    That is so for Llama 4 at the Llama API, whose recorded counts the rule reproduces.
    """
    return model.startswith("meta_llama/") and tokenizer_name(model) == "llama4"


def tokenizer_name(model: str) -> str | None:
    """The vocabulary of `model` by the registry; `None` when it isn't known."""
    info = find_model_info(model)
    return info.tokenizer if info else None


def plain(messages: Messages) -> list[Mapping[str, Any]]:
    """Messages as mappings: a string is one user message."""
    if isinstance(messages, str):
        return [{"role": "user", "content": messages}]
    return [m.to_dict() if isinstance(m, Model) else m for m in messages]


def parts(message: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The content of a message as a sequence of parts; text is a part of type `"text"`."""
    content = message.get("content")
    if isinstance(content, str):
        yield {"type": "text", "text": content}
    elif isinstance(content, Mapping):  # as the Llama API's own SDK dumps it
        yield content
    else:
        for part in content or ():
            yield {"type": "text", "text": part} if isinstance(part, str) else part


def image_url(part: Mapping[str, Any]) -> str | None:
    """The URL of an image part; `None` for any other part."""
    image = part.get("image_url") if part.get("type") == "image_url" else None
    return image.get("url") if isinstance(image, Mapping) else image


@dataclass(frozen=True, slots=True)
class _Part:
    tokens: int
    exact: bool


def _tokenizer(model: str) -> tuple[str, Tokenizer | None, bool]:
    """The method's name, the tokenizer, and whether it is the model's own."""
    name = tokenizer_name(model)
    if name in vocabulary.VOCABULARIES and (tokenizer := vocabulary.load(name)):
        return name, tokenizer, True
    # Vocabularies of this size differ by a few percent; counting characters is off by far more.
    for stand_in in ("o200k_base", "cl100k_base"):
        if tokenizer := vocabulary.load(stand_in):
            return stand_in, tokenizer, False
    return "estimate", None, False


def _count_text(tokenizer: Tokenizer | None, text: str) -> TextCount:
    if tokenizer is None:
        return TextCount(vocabulary.estimate(text), exact=False)
    return tokenizer.count(text)


def _message(
    tokenizer: Tokenizer | None, form: _Format, message: Mapping[str, Any]
) -> Iterator[_Part]:
    role = str(message.get("role", ""))
    yield _Part(form.message, True)
    yield _text(tokenizer, _LLAMA_ROLES.get(role, role) if form is _LLAMA else role)
    yield _text(tokenizer, form.after_role)
    for part in parts(message):
        yield _content(tokenizer, part)
    if name := message.get("name"):
        # Providers differ in whether and how a name is shown to the model.
        yield _Part(_count_text(tokenizer, str(name)).tokens, False)
    if calls := message.get("tool_calls"):
        yield _Part(_count_text(tokenizer, _calls_text(calls)).tokens, False)


def _text(tokenizer: Tokenizer | None, text: str) -> _Part:
    count = _count_text(tokenizer, text)
    return _Part(count.tokens, count.exact)


def _content(tokenizer: Tokenizer | None, part: Mapping[str, Any]) -> _Part:
    if isinstance(part.get("text"), str):
        return _text(tokenizer, part["text"])
    if url := image_url(part):
        size = data_uri_size(url)
        return _Part(image_tokens(*size), True) if size else _Part(MOST_IMAGE_TOKENS, False)
    # Sound, files and the like: nobody publishes a rule, so at least their JSON counts.
    return _Part(_count_text(tokenizer, _compact(part)).tokens, False)


def _calls_text(calls: Sequence[Mapping[str, Any]]) -> str:
    """Tool calls as Llama 4 writes them: `[get_weather(location="Menlo Park")]`."""
    return "[" + ", ".join(_call_text(call) for call in calls) + "]"


def _call_text(call: Mapping[str, Any]) -> str:
    function = call.get("function") or {}
    arguments = str(function.get("arguments") or "")
    try:
        decoded = json.loads(arguments)
    except ValueError:
        decoded = None
    if isinstance(decoded, dict):
        arguments = ", ".join(f"{name}={_compact(value)}" for name, value in decoded.items())
    return f"{function.get('name', '')}({arguments})"


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
