"""A TLS connection on an asyncio loop.

asyncio's own TLS cannot tell whether everything written has left, and so whether a connection may
be used again. Here `ssl` only turns bytes into bytes, over the same TCP connection as without TLS.
"""

from __future__ import annotations

import ssl

from .async_connection import AsyncConnection
from .sockets import READ_BYTES
from .tls import tls_context


class AsyncTLSConnection(AsyncConnection):
    """A connection whose bytes are encrypted on the way."""

    async def start(self, host: str) -> None:
        """Shakes hands. Raises `ssl.SSLError`."""
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = tls_context().wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._shaken = False
        try:
            while not self._shake():
                self._incoming.write(await super().receive(None))
                if self._ended:
                    self._incoming.write_eof()
        finally:
            self._flush()  # if it failed, the server gets to know why
        if self._arrived:
            self._incoming.write(await super().receive(None))
        self._decrypt()

    def send(self, data: bytes) -> None:
        """See `AsyncConnection.send`."""
        if self._transport is not None:
            self._tls.write(data)
            self._flush()

    def alive(self) -> bool:
        """See `AsyncConnection.alive`."""
        return super().alive() and not self._incoming.pending

    def data_received(self, data: bytes) -> None:
        """Something arrived."""
        if self._shaken:
            self._incoming.write(data)
            self._decrypt()
        else:
            super().data_received(data)

    def _shake(self) -> bool:
        """Goes on with the handshake; whether it is finished."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        self._shaken = True
        return True

    def _decrypt(self) -> None:
        try:
            while data := self._tls.read(READ_BYTES):
                super().data_received(data)
            self._finish(None)  # the server has ended the session
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as exc:
            self._finish(exc)
        self._flush()

    def _flush(self) -> None:
        if self._outgoing.pending and self._transport is not None:
            self._transport.write(self._outgoing.read())
