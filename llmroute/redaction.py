"""Takes the secrets of a call out of what people may see. The only place that does.

Texts are redacted first and cut afterwards: a cut through a secret would leave a piece that no
longer looks like one.
"""

from __future__ import annotations

import functools
import html
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic_core import to_json

from .errors import APIError

ValueT = TypeVar("ValueT")

MASK = "***"
"""Stands where a secret stood."""
MAX_MESSAGE = 1_000
"""Characters kept of a provider's words; the whole message may be twice as long."""
MAX_BODY = 64 * 1024
"""Characters kept of an error's body."""
_MAX_FACT = 200
_MAX_READ = 2 * MAX_BODY  # characters of one text that are looked at: looking takes time

_LONG = 8  # characters; a shorter secret may be part of any text
_LONGEST_WORD = 12  # characters of a secret's end that are taken for a piece of it

# Headers that say nothing secret by their definition: RFC 9110, the versions of APIs, and the id
# of a call that may be repeated.
_PUBLIC_HEADERS = frozenset(
    {
        "accept",
        "accept-charset",
        "accept-encoding",
        "accept-language",
        "anthropic-beta",
        "anthropic-version",
        "api-version",
        "cache-control",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "date",
        "expect",
        "host",
        "idempotency-key",
        "openai-beta",
        "te",
        "transfer-encoding",
        "user-agent",
    }
)
_PUBLIC_QUERY = frozenset({"alt", "api-version", "version"})
_CREDENTIAL = re.compile("auth|cookie|credential|key|secret|signature|token")


class Secrets:
    """What no error, record or answer of a call may show."""

    __slots__ = ("_long", "_short")

    def __init__(self, values: Iterable[str | None] = ()) -> None:
        found = {value.strip() for value in values if value}
        # The longest first, so that one that is part of another leaves no rest of it.
        ordered = sorted(found - {"", MASK}, key=lambda value: (-len(value), value))
        self._long = tuple(value for value in ordered if len(value) >= _LONG)
        self._short = tuple(value for value in ordered if len(value) < _LONG)

    @staticmethod
    def of_call(
        *,
        api_key: str | None = None,
        urls: Iterable[str | None] = (),
        extra_headers: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Secrets:
        """The secrets of one call.

        They are its key, user, password and query values of its URLs, the values of
        `extra_headers` but those that are public by definition (`accept`, ...), and those of the
        `headers` it sends whose name says that they hold credentials.
        """
        sent = [item for item in (headers or {}).items() if _is_credential(item[0])]
        return _of_call(api_key, tuple(urls), (*(extra_headers or {}).items(), *sent))

    def __repr__(self) -> str:
        return f"Secrets({len(self._long) + len(self._short)})"

    def __bool__(self) -> bool:
        return bool(self._long or self._short)

    def with_url(self, url: str | None) -> Secrets:
        """These and those of `url`, such as a server's `location`."""
        return Secrets((*self._long, *self._short, *_in_url(url))) if url else self

    def hide(self, text: str) -> str:
        """`text` without any secret of eight characters or more, as written or as encoded.

        A piece of a secret, as a cut leaves it, is hidden too: its first eight characters and
        more, or its last twelve and more.
        """
        for secret in self._long:
            text = _mask(text, secret)
        return text

    def hide_said(self, value: ValueT) -> ValueT:
        """Something a server said without any secret: a text, or data as JSON has it.

        Here shorter secrets are hidden as well, where they stand as whole words.
        """
        if not self:
            return value
        hidden: ValueT = self._said(value)
        return hidden

    def hide_in_headers(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        """`headers` of an answer without any secret: themselves if there is none, as is usual."""
        text = "\n".join((*headers, *headers.values()))
        clean = not any(_is_near(text, secret) for secret in self._long)
        if clean and not any(map(text.count, self._short)):
            return headers
        return {self._name(name): self._words(value) for name, value in headers.items()}

    def _said(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._words(value)
        if isinstance(value, Mapping):
            return {self._words(str(key)): self._said(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._said(item) for item in value]
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value if self._words(str(value)) == str(value) else MASK
        return value

    def _name(self, name: str) -> str:
        """A header's name, which nothing cuts and which must stay readable: no pieces count."""
        for secret in self._long:
            name = _spelled(secret).sub(MASK, name)
        return name

    def _words(self, text: str) -> str:
        text = self.hide(text)
        for secret in self._short:
            text = _word(secret).sub(MASK, text)
        return text


def redact(error: APIError, secrets: Secrets) -> None:
    """Takes `secrets` out of everything `error` carries, then cuts what is too long.

    That is its message and arguments, every attribute, and the errors it came from. Those of other
    packages that hold what they refused (a validation error has the whole answer) or the request
    (httpx's) are dropped. What a model said (`partial`) is the caller's and is left as it is.
    """
    _redact(error, secrets.with_url(error.headers.get("location")), set())


def _redact(error: APIError, secrets: Secrets, seen: set[int]) -> None:
    seen.add(id(error))
    heard = error.body is not None or bool(error.headers)
    said = error.provider_message
    shown = _cut(secrets.hide_said(said[:_MAX_READ]), MAX_MESSAGE)
    error.message = error.message.replace(said, shown) if said else error.message
    error.provider_message = shown
    for name, value in vars(error).items():
        if heard and name in ("code", "param", "request_id", "type") and value is not None:
            setattr(error, name, _cut(secrets.hide_said(str(value)[:_MAX_READ]), _MAX_FACT))
        elif isinstance(value, str) and name not in ("body", "model", "provider"):
            setattr(error, name, _cut(secrets.hide(value[:_MAX_READ]), 2 * MAX_MESSAGE))
        elif name == "__notes__":
            setattr(error, name, [secrets.hide(str(note)) for note in value])
    error.headers = dict(secrets.hide_in_headers(error.headers))
    error.body = _redacted_body(error.body, secrets)
    error.args = (error.message,)
    _redact_origin(error, secrets, seen)


def _redacted_body(body: object, secrets: Secrets) -> object:
    """`body` without secrets; the beginning of its text if it is too long."""
    if isinstance(body, Mapping | list):
        encoded = to_json(body, serialize_unknown=True, inf_nan_mode="constants")
        if len(encoded) <= MAX_BODY:
            return secrets.hide_said(body)
        body = encoded[:_MAX_READ].decode("utf-8", "ignore")
    if isinstance(body, str):
        return _cut(secrets.hide_said(body[:_MAX_READ]), MAX_BODY)
    return body


def _redact_origin(error: BaseException, secrets: Secrets, seen: set[int]) -> None:
    """Cleans the errors that `error` came from, or cuts it off from them."""
    cause, context, suppressed = error.__cause__, error.__context__, error.__suppress_context__
    error.__cause__ = _cleaned(cause, secrets, seen)
    error.__context__ = None if suppressed else _cleaned(context, secrets, seen)
    error.__suppress_context__ = suppressed  # which setting a cause has changed


def _cleaned(
    origin: BaseException | None, secrets: Secrets, seen: set[int]
) -> BaseException | None:
    if origin is None or id(origin) in seen:
        return origin
    if isinstance(origin, APIError):
        _redact(origin, secrets, seen)
        return origin
    seen.add(id(origin))
    holds_input = isinstance(origin, ValueError) and not isinstance(origin, OSError)
    if secrets and (holds_input or hasattr(origin, "_request")):
        return None
    text = f"{origin} {origin.args} {vars(origin)}"
    if len(text) > _MAX_READ or secrets.hide(text) != text:
        return None
    _redact_origin(origin, secrets, seen)
    return origin


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


@functools.lru_cache(maxsize=256)
def _of_call(
    api_key: str | None, urls: tuple[str | None, ...], headers: tuple[tuple[str, str], ...]
) -> Secrets:
    found = [api_key]
    for url in urls:
        found += _in_url(url) if url else ()
    for name, value in headers:
        found += () if name.lower() in _PUBLIC_HEADERS else _in_header(name, value)
    return Secrets(found)


@functools.lru_cache(maxsize=256)
def _in_url(url: str) -> tuple[str, ...]:
    """User, password and query values of `url`, and its `Basic` credentials.

    All of what is not a URL, such as `https://user:pass/word@host`: nobody knows its parts.
    """
    try:
        parts = urlsplit(url)
        found = [unquote(parts.fragment)] if parts.port != 0 else [url]
    except ValueError:
        return (url,)
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        found += () if name.lower() in _PUBLIC_QUERY else (value or name,)
    user, colon, password = parts.netloc.rpartition("@")[0].partition(":")
    user, password = unquote(user), unquote(password)
    if user or password:
        basic = b64encode(f"{user}:{password}".encode("utf-8", "replace")).decode()
        found += [basic, password, user if len(user) >= _LONG or not colon else ""]
    return tuple(found)


def _in_header(name: str, value: str) -> Iterator[str]:
    if not isinstance(value, str):
        return
    if name.lower() == "cookie":
        yield from (pair.partition("=")[2] for pair in value.split(";"))
    scheme, space, credentials = value.lstrip().partition(" ")
    if not (space and "authorization" in name.lower()):
        yield value
        return
    yield credentials
    if scheme.lower() == "basic":
        try:
            yield b64decode(credentials).decode().partition(":")[2]
        except ValueError:
            return


@functools.lru_cache(maxsize=256)
def _is_credential(name: str) -> bool:
    name = name.lower()
    return name not in _PUBLIC_HEADERS and _CREDENTIAL.search(name) is not None


@functools.lru_cache(maxsize=256)
def _word(secret: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-]){re.escape(secret)}(?![\w-])")


def _is_near(text: str, secret: str) -> bool:
    """Whether `secret` or a piece of it may be in `text`: a quick look that misses nothing."""
    if "%" in text or "\\" in text or "&" in text or (" " in secret and "+" in text):
        return True  # it may be encoded
    lowered = text.lower()
    return secret[:_LONG].lower() in lowered or secret[-_LONGEST_WORD:].lower() in lowered


def _mask(text: str, secret: str) -> str:
    if not _is_near(text, secret):
        return text
    text = _mask_from_start(text, secret)
    return _mask_to_end(text, secret) if len(secret) > _LONGEST_WORD else text


def _mask_from_start(text: str, secret: str) -> str:
    """Masks `secret`, and what begins like it."""
    parts: list[str] = []
    done = 0
    for match in _spelled(secret[:_LONG]).finditer(text):
        if match.start() < done:
            continue
        length, end = _LONG, match.end()
        while length < len(secret) and (more := _spelled(secret[length]).match(text, end)):
            length, end = length + 1, more.end()
        if length < len(secret) and _is_word(secret[:length]):
            continue
        parts += (text[done : match.start()], MASK)
        done = end
    return "".join(parts) + text[done:]


def _mask_to_end(text: str, secret: str) -> str:
    """Masks what ends like `secret`."""
    parts: list[str] = []
    done = 0
    for match in _spelled(secret[-_LONGEST_WORD:]).finditer(text):
        length, start = _LONGEST_WORD, match.start()
        while start > done and text[start - 1].lower() == secret[-length - 1].lower():
            length, start = length + 1, start - 1
            if length == len(secret):
                break
        if not _is_word(secret[-length:]):
            parts += (text[done:start], MASK)
            done = match.end()
    return "".join(parts) + text[done:]


def _is_word(piece: str) -> bool:
    """Whether a piece of a secret may as well be a word of the language, such as `password`."""
    return piece.isalpha() and (piece.islower() or piece.istitle())


@functools.lru_cache(maxsize=1024)
def _spelled(text: str) -> re.Pattern[str]:
    """Matches `text` as written, and each character as URLs, JSON, Python and HTML encode it."""
    return re.compile("".join(map(_spellings, text)), re.IGNORECASE)


def _spellings(char: str) -> str:
    ways = [char, "".join(f"%{byte:02x}" for byte in char.encode("utf-8", "replace"))]
    ways += [f"&#{ord(char)};", f"&#x{ord(char):x};", html.escape(char)]
    ways += [
        rf"\u{ord(char):04x}",
        rf"\x{ord(char):02x}",
        f"\\{char}" if char in "\"'/\\" else char,
    ]
    if char == " ":
        ways.append("+")
    return f"(?:{'|'.join(dict.fromkeys(map(re.escape, ways)))})"
