"""Where the images of messages come from: their bytes, before the engine sees them.

A data URI and bytes are always taken. A file must be below the folder that the caller allows, a
URL lead to where the caller allows it; both may be written by strangers whom the caller serves.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote_to_bytes, urlsplit

from ..engine.gguf.files import expanded, registered_options
from ..errors import BadRequestError, PermissionDeniedError
from ..providers.base import LocalCall
from .remote_image import fetch

JSON: TypeAlias = Any

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+:", re.I)
_MOST_BYTES = 1 << 26
"""Of a local file."""


def with_images(call: LocalCall, deadline: float | None) -> LocalCall:
    """`call` with the bytes of its images in its messages. Waits for those that lie elsewhere.

    Raises `BadRequestError` for what is no image's address, `PermissionDeniedError` for one that
    the caller does not allow, and `APIConnectionError` for one that does not answer.
    """
    if not _has_images(call):
        return call
    options = {**registered_options(call.path), **call.load}

    def with_data(part: JSON) -> JSON:
        if not _is_image(part):
            return part
        return {"type": "image", "data": _bytes_of(_url_of(part), options, deadline)}

    messages = [
        {**message, "content": [with_data(part) for part in message["content"]]}
        if isinstance(message.get("content"), list | tuple)
        else message
        for message in call.prompt
    ]
    return replace(call, prompt=messages)


def needs_network(call: LocalCall) -> bool:
    """Whether an image must be fetched first."""
    return any(_is_remote(part) for part in _parts(call))


def _has_images(call: LocalCall) -> bool:
    return any(_is_image(part) for part in _parts(call))


def _parts(call: LocalCall) -> Sequence[JSON]:
    if call.operation != "chat":
        return ()
    contents = (message.get("content") for message in call.prompt)
    return [part for content in contents if isinstance(content, list | tuple) for part in content]


def _is_image(part: JSON) -> bool:
    return isinstance(part, Mapping) and part.get("type") == "image_url"


def _is_remote(part: JSON) -> bool:
    url = _url_of(part) if _is_image(part) else ""
    return isinstance(url, str) and url[:8].lower().startswith(("http://", "https://"))


def _url_of(part: JSON) -> JSON:
    image = part.get("image_url")
    return image.get("url") if isinstance(image, Mapping) else image


def _bytes_of(url: JSON, options: Mapping[str, Any], deadline: float | None) -> bytes:
    if isinstance(url, bytes | bytearray | memoryview):
        return bytes(url)
    if not isinstance(url, str) or not url:
        raise _bad("An image_url must hold a data: URI, a URL, a path or bytes.")
    scheme = url[:8].partition(":")[0].lower()
    if scheme == "data":
        return _decoded(url)
    if scheme in ("http", "https"):
        named = _is_named(url, options.get("allow_image_urls"))
        return fetch(url, any_address=named, deadline=deadline)
    if scheme == "file" or (_SCHEME.match(url) and "://" in url):
        raise PermissionDeniedError(
            f"Images are not read from {scheme}: URLs. Use a data: URI, or a path below the folder "
            "that model_kwargs allow_local_images names.",
            param="messages",
        )
    return _read(url, options.get("allow_local_images"))


def _decoded(url: str) -> bytes:
    """RFC 2397."""
    head, comma, body = url.partition(",")
    if not comma:
        raise _bad("A data: URI needs a comma before its data.")
    try:
        raw = unquote_to_bytes(body)
        return base64.b64decode(raw, validate=True) if head.lower().endswith(";base64") else raw
    except UnicodeEncodeError:
        raise _bad("A data: URI holds what is no Unicode text.") from None
    except binascii.Error as error:
        raise _bad(f"A data: URI is not valid base64: {error}.") from None


def _is_named(url: str, allowed: object) -> bool:
    """Whether the caller named the host itself, which may then be in a private network.

    Raises `PermissionDeniedError` if URLs, or those of this host, are not allowed at all.
    """
    if allowed is True:
        return False
    if isinstance(allowed, list | tuple | set | frozenset) and _host(url) in allowed:
        return True
    if isinstance(allowed, str | Mapping):
        raise BadRequestError(
            "model_kwargs allow_image_urls must be True (any public host) or a list of host names.",
            param="allow_image_urls",
        )
    raise PermissionDeniedError(
        f"Images from {_host(url) or 'a URL'!r:.100} are not allowed. Send a data: URI, or allow "
        "them with model_kwargs allow_image_urls=True (any public host) or a list of hosts.",
        param="allow_image_urls",
    )


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _read(name: str, allowed: object) -> bytes:
    if not isinstance(allowed, str | Path):
        raise PermissionDeniedError(
            "Images are not read from files unless model_kwargs allow_local_images names the "
            "folder they are in. Send a data: URI instead.",
            param="allow_local_images",
        )
    try:
        return _read_below(expanded(allowed).resolve(), name)
    except (OSError, ValueError) as error:  # ValueError: what no path can hold
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise _bad(f"The image {name!r:.200} cannot be read: {reason}.") from None


def _read_below(folder: Path, name: str) -> bytes:
    path = (folder / name).resolve()  # follows links, so none leads out of the folder
    if not path.is_relative_to(folder):
        raise PermissionDeniedError(
            "An image's path leads out of the folder that allow_local_images names.",
            param="allow_local_images",
        )
    if not path.is_file():
        raise _bad(f"There is no image {name!r:.200} in the folder allow_local_images names.")
    if path.stat().st_size > _MOST_BYTES:
        raise _bad(f"The image {name!r:.200} is larger than {_MOST_BYTES:,} bytes.")
    return path.read_bytes()


def _bad(message: str) -> BadRequestError:
    return BadRequestError(message, param="messages")
