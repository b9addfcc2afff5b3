"""What requests get instead of the API's response: faults, stub responses, the rate limit."""

from __future__ import annotations

import json
import math
import random
import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

from airflow_provider_ollang.sandbox._errors import ErrorResponse
from airflow_provider_ollang.sandbox._model import parse_numbers

# On, with no time to linger: closing then sends a reset instead of an orderly end.
_ABRUPT = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Fault:
    """A kind of fault, by its name.

    :param instead: returns the response of a request that the API does not act on; ``None``
        lets the API respond after all.
    :param after: lets the API act, and makes another response of its response.
    """

    kind: str
    instead: Callable[[Request], Response | ErrorResponse | None] = lambda request: None
    after: Callable[[Response], Response] | None = None


class NoResponse(Response):
    """Sends nothing until the client has left."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait."""
        while (await receive())["type"] != "http.disconnect":
            pass


class ConnectionReset(NoResponse):
    """Breaks the connection off, as a crashing server or a firewall does."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reset the connection."""
        transport = scope["state"]["transport"]
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABRUPT)
        transport.abort()
        await super().__call__(scope, receive, send)


class TruncatedResponse(NoResponse):
    """Sends a response whose ``Content-Length`` promises more than its body has."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send what there is, and close the connection."""
        start = {"status": self.status_code, "headers": self.raw_headers}
        await send({"type": "http.response.start", **start})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        scope["state"]["transport"].close()
        await super().__call__(scope, receive, send)


def too_many_requests(retry_after: str) -> ErrorResponse:
    """Return a 429 with this ``Retry-After``."""
    error = ErrorResponse(429, "ThrottlerException: Too Many Requests")
    error.headers["retry-after"] = retry_after
    return error


def _web_page(status: int, title: str) -> Callable[[Request], Response]:
    page = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
    return lambda request: HTMLResponse(page, status)


def _malformed(response: Response) -> Response:
    # Of a 204 nothing can be spoilt: it becomes another success.
    status = 200 if response.status_code == 204 else response.status_code
    return Response(bytes(response.body)[:-1] or b"{", status, media_type="application/json")


KINDS = {
    fault.kind: fault
    for fault in (
        Fault("reset-before", lambda request: ConnectionReset()),
        Fault("reset-after", after=lambda response: ConnectionReset()),
        Fault("timeout-before", lambda request: NoResponse()),
        Fault("timeout-after", after=lambda response: NoResponse()),
        Fault("429", lambda request: too_many_requests("1")),
        Fault("500", lambda request: ErrorResponse(500, "Internal server error")),
        Fault("502", _web_page(502, "502 Bad Gateway")),
        Fault("503", lambda request: ErrorResponse(503, "Service Unavailable")),
        Fault("504", _web_page(504, "504 Gateway Time-out")),
        Fault("html", _web_page(200, "Please log in")),
        Fault("malformed", after=_malformed),
    )
}
"""The kinds of faults by name."""


def parse_faults(text: str, kinds: Mapping[str, Fault] = KINDS) -> dict[Fault, float]:
    """Return how often each fault comes by a text such as ``500=0.1,reset-after=0.05``.

    ``all=0.1`` spreads a rate evenly over the kinds that are not named.

    :raises ValueError: a kind is unknown, or a rate, or their sum, is not from 0 to 1.
    """
    rates = parse_numbers(text, "faults", (*kinds, "all"), most=1)
    if sum(rates.values()) > 1:
        raise ValueError("the rates of faults must not exceed 1 together")
    others = [kind for kind in kinds if kind not in rates] if "all" in rates else []
    each = rates.pop("all", 0.0) / max(1, len(others))
    return {kinds[kind]: rate for kind, rate in (rates | dict.fromkeys(others, each)).items()}


def draw_faults(rates: Mapping[Fault, float], seed: int) -> Iterator[Fault | None]:
    """Yield, for each request, the fault that it meets, or ``None``; repeatable by the seed."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    faults, weights = [None, *rates], [1 - sum(rates.values()), *rates.values()]
    while True:
        yield chance.choices(faults, weights)[0]


class RateLimiter:
    """A bucket that holds one second's worth of requests, and leaks as many a second.

    :param per_second: how many requests are let through in a second; ``None`` for any number.
    """

    def __init__(self, per_second: float | None) -> None:
        if per_second is not None and not 0 < per_second < math.inf:
            raise ValueError(f"rate_limit must be a number above 0, got {per_second!r}")
        self.per_second = per_second
        self._level = self._seen_at = 0.0

    def acquire(self, now: float) -> int:
        """Let a request through now and return 0, or return the whole seconds it should wait."""
        if self.per_second is None:
            return 0
        leaked = (now - self._seen_at) * self.per_second
        self._level, self._seen_at = max(0.0, self._level - leaked), now
        excess = self._level + 1 - max(1.0, self.per_second)
        if excess > 0:
            return max(1, math.ceil(excess / self.per_second))
        self._level += 1
        return 0


@dataclass(frozen=True)
class Stub:
    """What a request gets, instead of what the API would say.

    With neither ``status`` nor ``fault`` the API itself responds, after ``delay``. A
    ``Content-Length`` in ``headers`` that promises more than ``body`` cuts the response off.
    """

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay: float = 0.0
    """Seconds to wait first."""
    fault: str | Fault | None = None
    """A kind that ``--faults`` takes, such as ``reset-after``, or a fault of your own."""

    def __post_init__(self) -> None:
        if isinstance(self.fault, str) and self.fault not in KINDS:
            raise ValueError(f"fault must be one of {', '.join(KINDS)}, got {self.fault!r}")
        if self.fault is not None and self.status is not None:
            raise ValueError("a stub response has a status or a fault, not both")

    @classmethod
    def json(
        cls, status: int, value: Any, headers: Mapping[str, str] | None = None, delay: float = 0.0
    ) -> Stub:
        """Return a stub response whose body is ``value`` as JSON."""
        content_type = {"content-type": "application/json; charset=utf-8"}
        return cls(status, content_type | dict(headers or {}), json.dumps(value).encode(), delay)

    def response(self) -> Response | None:
        """Return the response, or ``None`` where the API itself shall respond."""
        if self.status is None:
            return None
        headers = {name.lower(): value for name, value in self.headers.items()}
        cut_off = int(headers.get("content-length", "0")) > len(self.body)
        return (TruncatedResponse if cut_off else Response)(self.body, self.status, headers)
