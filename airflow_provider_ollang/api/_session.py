"""The requests session: which key it sends, which proxy it takes, how long it waits for a response.

The timeout of requests starts anew with every byte; the one here bounds a whole response.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from collections.abc import Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import select_proxy
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from airflow_provider_ollang import __version__
from airflow_provider_ollang.api._validation import is_loopback
from airflow_provider_ollang.api.errors import InvalidInputError


class ApiSession(requests.Session):
    """A session that sends the key, keeps no cookie, and follows no redirect.

    :param api_key: sent as ``X-Api-Key``
    """

    def __init__(self, api_key: str) -> None:
        super().__init__()
        self.trust_env = False
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.headers["User-Agent"] = f"airflow-provider-ollang/{__version__}"
        self.auth = _ApiKeyAuth(api_key)
        for scheme in ("https://", "http://"):
            self.mount(scheme, _DeadlineAdapter(pool_connections=1, pool_maxsize=1))

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return ``None``: also without ``allow_redirects``, requests looks where one leads."""
        return None


class _ApiKeyAuth(requests.auth.AuthBase):
    """Puts the key into the request. As ``auth`` it also keeps requests from reading .netrc."""

    def __init__(self, api_key: str) -> None:
        self._api_key = api_key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["X-Api-Key"] = self._api_key
        return request


def environment_settings(base_url: str, verify: bool | str) -> dict[str, Any]:
    """Return ``verify`` and ``proxies`` for requests to the base URL, as the environment has them.

    Read once: requests would look through the environment before each request.

    :param base_url: where requests are to go
    :param verify: what the environment's bundle stands for if it is ``True``
    :raises InvalidInputError: the environment names a proxy that cannot be used, or is not text
    """
    try:
        settings = requests.Session().merge_environment_settings(base_url, {}, None, verify, None)
    except ValueError:
        raise InvalidInputError(
            "the proxy settings in the environment are invalid. Check NO_PROXY and HTTPS_PROXY."
        ) from None
    # A proxy would see the key on its way to this very machine.
    proxies = {} if is_loopback(urlsplit(base_url).hostname or "") else settings["proxies"]
    return {"verify": settings["verify"], "proxies": check_proxies(proxies, base_url)}


def check_proxies(proxies: Mapping[str, str], base_url: str) -> dict[str, str]:
    """Return the proxies, if the one for the base URL can be used.

    :param proxies: URLs by what they are for, as requests takes them from the environment
    :param base_url: where requests are to go
    :raises InvalidInputError: it cannot; nothing was sent
    """
    found = dict(proxies)
    proxy = select_proxy(base_url, found)
    if proxy and not _is_usable(proxy, base_url):
        scheme = urlsplit(base_url).scheme
        name = f"{scheme if scheme in found else 'all'}_proxy"
        raise InvalidInputError(
            f"{name.upper()} (or {name}) in the environment names a proxy for {base_url} that "
            "cannot be used: expected a URL such as http://proxy.example:3128. Its value is not "
            "shown, because it may contain a password."
        )
    return found


def _is_usable(proxy: str, base_url: str) -> bool:
    """Return whether requests can use a proxy, and it is one for HTTP: no other has deadlines."""
    adapter = HTTPAdapter()
    request = requests.Request("GET", base_url).prepare()
    proxies = {"all": proxy}
    try:
        adapter.get_connection_with_tls_context(request, verify=True, proxies=proxies)
        adapter.request_url(request, proxies)
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
        # Bytes that follow anyway would be read as the next response.
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
