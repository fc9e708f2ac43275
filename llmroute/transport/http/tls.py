"""The one TLS context of the process."""

from __future__ import annotations

import functools
import os
import ssl

import certifi

from ...errors import BadRequestError


@functools.cache
def tls_context() -> ssl.SSLContext:
    """Trusts `SSL_CERT_FILE`, else `SSL_CERT_DIR`, else certifi's list, as httpx does.

    Making one takes tens of milliseconds, so it is made once, at the first https call; changing
    the variables later has no effect. Raises `BadRequestError` for a file that cannot be used.
    """
    if file := os.environ.get("SSL_CERT_FILE"):
        context = _trusting("SSL_CERT_FILE", file=file)
    elif folder := os.environ.get("SSL_CERT_DIR"):
        context = _trusting("SSL_CERT_DIR", folder=folder)
    else:
        context = ssl.create_default_context(cafile=certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context


def _trusting(variable: str, file: str | None = None, folder: str | None = None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=file, capath=folder)
    except OSError as exc:  # missing, not readable, or no certificates
        raise BadRequestError(
            f"The environment variable {variable} is set to {file or folder!r}, which cannot be "
            f"used as certificates to trust ({exc.strerror or exc}). Correct it, or unset it to "
            "trust the usual ones."
        ) from exc
