"""AWS Signature Version 4: an HTTP request signed with a secret that is not sent.

Written from https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
(2026-11-28), for services other than S3, whose paths are encoded twice.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, urlsplit

from .base import HTTPCall

ALGORITHM = "AWS4-HMAC-SHA256"
_SIGNED = ("content-type", "host")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who signs."""

    key_id: str
    secret: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    """Of credentials that expire; `None` for those of a user."""


def sign(
    call: HTTPCall, now: float, *, credentials: Credentials, region: str, service: str
) -> HTTPCall:
    """`call` with the headers that prove who sends it at `now`, in Unix time.

    Signed are host, content type and all headers that begin with `x-amz`.
    """
    time = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = {**call.headers, "x-amz-date": time}
    if credentials.session_token is not None:
        headers["x-amz-security-token"] = credentials.session_token
    signed = {name: v for name, v in headers.items() if name in _SIGNED or name.startswith("x-amz")}
    seen = replace(call, headers={**signed, "host": _host(call.url)})
    names = sorted(seen.headers)
    scope = f"{time[:8]}/{region}/{service}/aws4_request"
    proof = signature(seen, names, time=time, scope=scope, secret=credentials.secret)
    headers["authorization"] = (
        f"{ALGORITHM} Credential={credentials.key_id}/{scope}, SignedHeaders={';'.join(names)}, "
        f"Signature={proof}"
    )
    return replace(call, headers=headers)


def signature(call: HTTPCall, names: Sequence[str], *, time: str, scope: str, secret: str) -> str:
    """The signature of a call whose headers have a host; `names` are those that are signed."""
    request = _sha256(_canonical(call, names).encode())
    return _hmac(_key(secret, scope), f"{ALGORITHM}\n{time}\n{scope}\n{request}").hex()


@functools.lru_cache(maxsize=16)
def _key(secret: str, scope: str) -> bytes:
    """The key to sign with, which is the same all day."""
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = _hmac(key, part)
    return key


def _canonical(call: HTTPCall, names: Sequence[str]) -> str:
    """The call in the form that is signed."""
    url = urlsplit(call.url)
    pairs = parse_qsl(url.query, keep_blank_values=True)
    query = "&".join(sorted(f"{_quoted(name)}={_quoted(value)}" for name, value in pairs))
    lines = [call.method, quote(url.path or "/", safe="/-_.~"), query]
    lines += [f"{name}:{' '.join(call.headers[name].split())}" for name in names]
    return "\n".join([*lines, "", ";".join(names), _sha256(call.body)])


def _host(url: str) -> str:
    """The host as the header of that name has it."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    default = parts.port in (None, _DEFAULT_PORTS.get(parts.scheme))
    return host if default else f"{host}:{parts.port}"


def _quoted(text: str) -> str:
    return quote(text, safe="-_.~")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
