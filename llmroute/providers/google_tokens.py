"""Tokens for Google Cloud from a service account, without asking anybody.

The token is a JSON Web Token that the account signs itself
(https://google.aip.dev/auth/4111, with the claim `scope`).
"""

from __future__ import annotations

import functools
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic_core import from_json, to_json

from ..errors import AuthenticationError, MissingExtraError

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
LIFETIME = 3600
"""Seconds that a token holds; Google allows no more."""
_RENEWED = 1800


def service_account(credential: str) -> Mapping[str, Any] | None:
    """The service account in `credential`: its JSON, or the path of the file that holds it.

    `None` for what is neither: a token. Raises `AuthenticationError` for a file that cannot be
    read, and for credentials of another kind.
    """
    text = credential.strip()
    if not text.startswith("{"):
        if not text.endswith(".json"):
            return None
        try:
            text = Path(text).expanduser().read_text("utf-8")
        except OSError as exc:
            raise AuthenticationError(
                f"The file with Google's credentials cannot be read: {exc.strerror}."
            ) from None
    try:
        account = from_json(text)
    except ValueError:
        raise AuthenticationError("Google's credentials are not JSON.") from None
    kind = account.get("type") if isinstance(account, dict) else None
    if kind != "service_account":
        raise AuthenticationError(
            f"Google's credentials are of the type {kind!r}; only those of a service_account make "
            "tokens here. For others pass a token: api_key=, or a function that gives one in "
            'model_kwargs={"vertex_token_provider": ...}.'
        )
    return account  # type: ignore[no-any-return]  # JSON


def token(account: Mapping[str, Any], now: float) -> str:
    """A token of `account` that holds for half an hour at least, from `now` in Unix seconds.

    Needs the extra `vertex`. Raises `AuthenticationError` for a key that is none.
    """
    names = ("client_email", "private_key", "private_key_id")
    facts = tuple(str(account.get(name) or "") for name in names)
    return _token(*facts, int(now // _RENEWED) * _RENEWED)


@functools.lru_cache(maxsize=16)
def _token(email: str, private_key: str, key_id: str, begin: int) -> str:
    head = {"alg": "RS256", "typ": "JWT", "kid": key_id}
    claims = {
        "iss": email,
        "sub": email,
        "scope": SCOPE,
        "iat": begin,
        "exp": begin + LIFETIME,
    }
    signed = b".".join(_encoded(to_json(part)) for part in (head, claims))
    return b".".join([signed, _encoded(_signature(signed, private_key))]).decode()


def _signature(data: bytes, private_key: str) -> bytes:
    # cryptography is optional: few calls need RSA, and nothing in Python's library does it.
    try:
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ImportError as exc:
        raise MissingExtraError("vertex", "A service account of Google Cloud") from exc
    try:
        key = load_pem_private_key(private_key.encode(), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, RSAPrivateKey):
        raise AuthenticationError("The private_key of Google's service account is no RSA key.")
    return key.sign(data, PKCS1v15(), SHA256())


def _encoded(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")
