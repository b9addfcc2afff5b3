"""Faults on purpose: their kinds, and how often a request meets one."""

from __future__ import annotations

import random
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

from airflow_provider_ollang.sandbox._errors import ErrorResponse
from airflow_provider_ollang.sandbox._model import parse_numbers

ALL = "all"
# On, with no time to linger: closing then sends a reset instead of an orderly end.
_ABRUPT = struct.pack("ii", 1, 0)

Act = Callable[[], Awaitable[Response]]
"""Lets the API act on the request, and returns its response."""
Responder = Callable[[Request, Act], Awaitable[Response | None]]
"""Returns the response to a request, or ``None`` where the API itself shall respond."""


@dataclass(frozen=True)
class Fault:
    """A kind of fault, by its name, and what responds to a request that meets it."""

    kind: str
    respond: Responder


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


def too_many_requests(request: Request, retry_after: str | None) -> Response:
    """Return a 429 with this ``Retry-After``, or with none."""
    response = _error(request, 429, "ThrottlerException: Too Many Requests")
    if retry_after is not None:
        response.headers["retry-after"] = retry_after
    return response


def _error(request: Request, status: int, message: str) -> Response:
    return ErrorResponse(status, message).response(request.app.state.sandbox.error_format)


def instead(make: Callable[[Request], Response]) -> Responder:
    """Return what keeps the API from acting, and responds with what ``make`` returns."""

    async def respond(request: Request, act: Act) -> Response:
        return make(request)

    return respond


def after(make: Callable[[Response], Response]) -> Responder:
    """Return what lets the API act, and responds with what ``make`` makes of its response."""

    async def respond(request: Request, act: Act) -> Response:
        return make(await act())

    return respond


def _web_page(status: int, title: str) -> Responder:
    page = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
    return instead(lambda request: HTMLResponse(page, status))


def _malformed(response: Response) -> Response:
    # Of a 204 nothing can be spoilt: it becomes another success.
    status = 200 if response.status_code == 204 else response.status_code
    return Response(bytes(response.body)[:-1] or b"{", status, media_type="application/json")


KINDS = {
    fault.kind: fault
    for fault in (
        Fault("reset-before", instead(lambda request: ConnectionReset())),
        Fault("reset-after", after(lambda response: ConnectionReset())),
        Fault("timeout-before", instead(lambda request: NoResponse())),
        Fault("timeout-after", after(lambda response: NoResponse())),
        Fault("429", instead(lambda request: too_many_requests(request, "1"))),
        Fault("500", instead(lambda request: _error(request, 500, "Internal server error"))),
        Fault("502", _web_page(502, "502 Bad Gateway")),
        Fault("503", instead(lambda request: _error(request, 503, "Service Unavailable"))),
        Fault("504", _web_page(504, "504 Gateway Time-out")),
        Fault("html", _web_page(200, "Please log in")),
        Fault("malformed", after(_malformed)),
    )
}
"""The kinds of faults by name. The API acts before ``…-after`` and ``malformed`` alone."""


def parse_faults(text: str, kinds: Mapping[str, Fault] = KINDS) -> dict[Fault, float]:
    """Return how often each fault comes by a text such as ``500=0.1,reset-after=0.05``.

    ``all=0.1`` spreads a rate evenly over the kinds that are not named.

    :raises ValueError: a kind is unknown, or a rate, or their sum, is not from 0 to 1.
    """
    rates = parse_numbers(text, "faults", (*kinds, ALL), most=1)
    if sum(rates.values()) > 1:
        raise ValueError("the rates of faults must not exceed 1 together")
    others = [kind for kind in kinds if kind not in rates] if ALL in rates else []
    each = rates.pop(ALL, 0.0) / max(1, len(others))
    return {kinds[kind]: rate for kind, rate in (rates | dict.fromkeys(others, each)).items()}


class FaultInjector:
    """Draws, for each request, the fault that it meets, from a seeded generator.

    :param rates: how often each fault comes, as a share of 1.
    """

    def __init__(self, rates: Mapping[Fault, float], seed: int) -> None:
        self._faults = [None, *rates]
        self._weights = [1 - sum(rates.values()), *rates.values()]
        self._seed = seed
        self.reset()

    def reset(self) -> None:
        """Start the same sequence over."""
        self._random = random.Random(self._seed)  # noqa: S311 - repeatable, not secret

    def draw(self) -> Fault | None:
        """Return the fault of the next request, or ``None`` for none."""
        return self._random.choices(self._faults, self._weights)[0]
