"""The one TLS context of the process."""

from __future__ import annotations

import functools
import os
import ssl

import certifi


@functools.cache
def tls_context() -> ssl.SSLContext:
    """Trusts `SSL_CERT_FILE`, else `SSL_CERT_DIR`, else certifi's list, as httpx does.

    Making one takes tens of milliseconds, so it is made once, at the first https call; changing
    the variables later has no effect.
    """
    if file := os.environ.get("SSL_CERT_FILE"):
        context = ssl.create_default_context(cafile=file)
    elif folder := os.environ.get("SSL_CERT_DIR"):
        context = ssl.create_default_context(capath=folder)
    else:
        context = ssl.create_default_context(cafile=certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context
