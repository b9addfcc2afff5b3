"""The requests session: which key it sends, which proxy it takes, how long it waits for a response.

The timeout of requests starts anew with every byte; the one here bounds a whole response.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import select_proxy
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from airflow_provider_ollang import __version__
from airflow_provider_ollang.api._validation import check_verify, is_loopback
from airflow_provider_ollang.api.errors import InvalidInputError


class ApiSession(requests.Session):
    """A session that sends the key, keeps no cookie, and follows no redirect."""

    def __init__(self, api_key: str) -> None:
        super().__init__()
        self.trust_env = False
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.headers["User-Agent"] = f"airflow-provider-ollang/{__version__}"
        self.headers["X-Api-Key"] = api_key
        for scheme in ("https://", "http://"):
            self.mount(scheme, _DeadlineAdapter(pool_connections=1, pool_maxsize=1))

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return ``None``: also without ``allow_redirects``, requests looks where one leads."""
        return None


def environment_settings(base_url: str, verify: bool | str) -> dict[str, Any]:
    """Return ``verify`` and ``proxies`` for requests to the base URL, as the environment has them.

    Read once: requests would look through the environment before each request.

    :raises InvalidInputError: the bundle, or the environment's proxy, cannot be used
    """
    session = requests.Session()
    settings: Any = session.merge_environment_settings(base_url, {}, None, verify, None)
    is_own = settings["verify"] is verify
    check_verify(settings["verify"], field="verify" if is_own else "the environment's CA bundle")
    # A proxy would see the key on its way to this very machine.
    parts = urlsplit(base_url)
    proxies = {} if is_loopback(parts.hostname or "") else settings["proxies"]
    proxy = select_proxy(base_url, proxies)
    if proxy and not _is_usable(proxy, base_url):
        raise InvalidInputError(
            f"{parts.scheme.upper()}_PROXY or ALL_PROXY in the environment names a proxy for "
            f"{base_url} that cannot be used: expected a URL such as http://proxy.example:3128. "
            "Its value is not shown, because it may contain a password."
        )
    return {"verify": settings["verify"], "proxies": proxies}


def _is_usable(proxy: str, base_url: str) -> bool:
    """Return whether requests can use a proxy, and it is one for HTTP: no other has deadlines."""
    request = requests.Request("GET", base_url).prepare()
    try:
        HTTPAdapter().get_connection_with_tls_context(request, True, {"all": proxy})
    except (requests.RequestException, HTTPError, TypeError, ValueError):
        return False
    return not proxy.lower().startswith("socks")  # that is how requests tells


class _DeadlineAdapter(HTTPAdapter):
    """An adapter for which the read timeout bounds a response, from its first byte to its last."""

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        """Return the pool of connections for a request, through a proxy or not."""
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        pool.ConnectionCls = _CONNECTION_CLASSES[pool.scheme]
        return pool


class _Reader(io.RawIOBase):
    """The reading end of a socket, for as long as the socket's timeout is when it is made."""

    def __init__(self, connection: socket.socket, stream: io.RawIOBase) -> None:
        self._connection = connection
        self._stream = stream
        self._end = time.monotonic() + (connection.gettimeout() or 0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the response did not end in time")
        self._connection.settimeout(left)
        return self._stream.readinto(buffer)

    def close(self) -> None:
        self._stream.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_Reader(sock, self.fp.detach()))

    def begin(self) -> None:
        """Read the head of the final response, past interim ones (RFC 9110, 15.2)."""
        super().begin()
        while 100 <= self.status < 200:
            self.headers = self.msg = None  # type: ignore[assignment]
            super().begin()
        if self.status == 204:
            self._expect_no_body()

    def _expect_no_body(self) -> None:
        # Bytes that follow anyway would be read as the next response.
        if "Transfer-Encoding" in self.msg or set(self.msg.get_all("Content-Length", [])) - {"0"}:
            self.will_close = True
        self.chunked, self.length = False, 0
        for name in ("Transfer-Encoding", "Content-Length"):  # urllib3 looks at them itself
            del self.msg[name]


class _HTTPConnection(HTTPConnection):
    response_class = _Response


class _HTTPSConnection(HTTPSConnection):
    response_class = _Response


_CONNECTION_CLASSES = {"http": _HTTPConnection, "https": _HTTPSConnection}
