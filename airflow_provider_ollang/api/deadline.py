"""Connections whose time-out bounds a whole response: that of requests restarts with every byte."""

from __future__ import annotations

import http.client
import io
import socket
import time
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection


class DeadlineAdapter(HTTPAdapter):
    """An adapter for which the read time-out bounds a response, from its first byte to its last."""

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
                raise TimeoutError("the response did not end in time")
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
#: Responses without a body, whatever their headers say about one (RFC 9110, 6.4.1 and 15.2).
_BODILESS = (101, 204, 304)


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(_Readable(sock), *args, **kwargs)  # type: ignore[arg-type]

    def begin(self) -> None:
        """Read the head of the final response, past interim ones (RFC 9110, 15.2)."""
        self._begin()
        while 100 <= self.status < 200 and self.status != 101:
            self.headers = self.msg = None  # type: ignore[assignment]
            self._begin()
        if self.status in _BODILESS:
            self._expect_no_body()

    def _begin(self) -> None:
        try:
            super().begin()
        except _EMAIL_ERRORS as error:
            raise http.client.HTTPException("the headers cannot be read") from error

    def _expect_no_body(self) -> None:
        # Bytes that follow all the same would be read as the next response.
        lengths = set(self.msg.get_all("Content-Length", ["0"]))
        if "Transfer-Encoding" in self.msg or lengths != {"0"} or self.status == 101:
            self.will_close = True
        self.chunked, self.length = False, 0
        for name in ("Transfer-Encoding", "Content-Length"):  # urllib3 looks at them itself
            del self.msg[name]


class _HTTPConnection(HTTPConnection):
    response_class = _Response


class _HTTPSConnection(HTTPSConnection):
    response_class = _Response


_CONNECTION_CLASSES = {"http": _HTTPConnection, "https": _HTTPSConnection}
