"""Connections whose time-out bounds a whole answer, and that show no header to anybody.

The time-out of requests begins anew with every byte that comes.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection


class DeadlineAdapter(HTTPAdapter):
    """An adapter for which the read time-out bounds an answer, from its first byte to its last."""

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        """Return the pool of connections for a request, through a proxy or not."""
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        pool.ConnectionCls = _CONNECTION_CLASSES[pool.scheme]
        return pool


class _Reader(io.RawIOBase):
    """The reading end of a socket, for as long as the socket's time-out is when it is made."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._stream = connection.makefile("rb", buffering=0)
        timeout = connection.gettimeout()
        self._end = None if timeout is None else time.monotonic() + timeout

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._end is not None:
            left = self._end - time.monotonic()
            if left <= 0:
                raise TimeoutError("the answer did not end in time")
            self._connection.settimeout(left)
        return self._stream.readinto(buffer)

    def close(self) -> None:
        self._stream.close()
        super().close()


class _Readable:
    """What an HTTP response wants of a socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._connection))


#: What Python's parser of headers raises at some of them, beside what it documents.
_EMAIL_ERRORS = (AttributeError, LookupError, RecursionError, TypeError, ValueError)
#: Not kept, so that none is sent back; reading one can take seconds.
_COOKIES = ("Set-Cookie", "Set-Cookie2")


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(_Readable(sock), *args, **kwargs)  # type: ignore[arg-type]

    def begin(self) -> None:
        try:
            super().begin()
        except _EMAIL_ERRORS as error:
            raise http.client.HTTPException("the headers cannot be read") from error
        # urllib3 would log headers that it cannot read, as they came: they may echo the key.
        self.msg.defects.clear()
        self.msg.set_payload("")
        for name in _COOKIES:
            del self.msg[name]


class _HTTPConnection(HTTPConnection):
    response_class = _Response
    debuglevel = 0  # whatever http.client is told to print, the headers hold the key


class _HTTPSConnection(HTTPSConnection):
    response_class = _Response
    debuglevel = 0


_CONNECTION_CLASSES = {"http": _HTTPConnection, "https": _HTTPSConnection}
