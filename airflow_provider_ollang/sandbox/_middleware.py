"""What each request passes before the API: the request log, latency, stubs, limits and faults."""

from __future__ import annotations

import asyncio
import hmac
import math
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_provider_ollang.sandbox._errors import ErrorResponse
from airflow_provider_ollang.sandbox._faults import too_many_requests

if TYPE_CHECKING:
    from airflow_provider_ollang.sandbox._server import Sandbox

_ORDER_ID = re.compile(r"/integration/orders/(?:cancel/)?([^/]+)")


@dataclass(slots=True)
class RecordedRequest:
    """A request that the sandbox received: enough to check a client, and never its key."""

    method: str
    path: str
    """The path with its query, as it was sent."""
    order_id: str | None
    key_accepted: bool
    time: float
    """Seconds since the epoch."""
    status: int | None = None
    """The status of the response; ``None`` while there is none."""
    fault: str | None = None
    acted: float | None = None
    """When the API did what was asked, whatever the response was; ``None`` if it did not."""

    @property
    def is_cancel(self) -> bool:
        """Whether this asked for an order to be cancelled."""
        return self.method == "POST" and self.path.startswith("/integration/orders/cancel/")

    @property
    def is_listing(self) -> bool:
        """Whether this asked for a page of orders."""
        return self.method == "GET" and self.path.partition("?")[0] == "/integration/orders"

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters, decoded."""
        return dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))


class RequestLogMiddleware:
    """Records each request, and the status of its response."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        sandbox = scope["app"].state.sandbox
        recorded = scope["state"]["recorded"] = _record(scope, sandbox.api_key)
        sandbox.log.append(recorded)

        async def send_recorded(message: Message) -> None:
            if message["type"] == "http.response.start":
                recorded.status = message["status"]
            await send(message)

        # The server cancels what is still waiting when it stops; that is not an error.
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(sandbox.latency)
            await self.app(scope, receive, send_recorded)


def _record(scope: Scope, api_key: str) -> RecordedRequest:
    def masked(text: str) -> str:
        # For a client that sends the key in the wrong place.
        return text.replace(api_key, "***")

    headers, method = dict(scope["headers"]), scope["method"]
    query = b"?" + scope["query_string"] if scope["query_string"] else b""
    order_id = _ORDER_ID.fullmatch(masked(scope["path"]))
    is_create = method == "POST" and scope["path"] == "/integration/orders/create"
    return RecordedRequest(
        method=method,
        path=masked((scope["raw_path"] + query).decode("latin-1")),
        order_id=order_id[1] if order_id and not is_create else None,
        key_accepted=hmac.compare_digest(headers.get(b"x-api-key", b""), api_key.encode()),
        time=time.time(),
    )


class KeyMiddleware:
    """Responds with 401 where the key is missing or wrong."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if not scope["state"]["recorded"].key_accepted:
            raise ErrorResponse.documented("UNAUTHORIZED")
        await self.app(scope, receive, send)


class FaultMiddleware:
    """Gives stub responses, enforces the rate limit and injects faults; else the API responds."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        response = await self._response(Request(scope, receive))
        await (response or self._act)(scope, receive, send)

    async def _response(self, request: Request) -> Response | None:
        """Return what the request gets instead of the API's response, or ``None``."""
        sandbox: Sandbox = request.app.state.sandbox
        stub = sandbox.take_stub(request.method, request.scope["path"])
        if stub is not None:
            await asyncio.sleep(stub.delay)
            fault = stub.chosen_fault
        elif wait := sandbox.rate_limiter.acquire():
            return too_many_requests(request, str(wait))
        else:
            fault = sandbox.fault_injector.draw()
        if fault is None:
            return stub.response() if stub else None
        response = await fault.respond(request, lambda: self._captured(request))
        if response is not None:
            request.state.recorded.fault = fault.kind
        return response

    async def _captured(self, request: Request) -> Response:
        """Let the API act on the request, and return its response instead of sending it."""
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await self._act(request.scope, request.receive, keep)
        start, *rest = messages
        response = Response(b"".join(it.get("body", b"") for it in rest), start["status"])
        response.raw_headers = start["headers"]
        return response

    async def _act(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_noted(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < 300:
                scope["state"]["recorded"].acted = time.time()
            await send(message)

        await self.app(scope, receive, send_noted)


class RateLimiter:
    """A token bucket that holds one second's worth of requests.

    :param per_second: how many requests are let through in a second; ``None`` for any number.
    :param clock: tells the seconds that the bucket fills by.
    """

    def __init__(
        self, per_second: float | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if per_second is not None and not 0 < per_second < math.inf:
            raise ValueError(f"rate_limit must be a number above 0, got {per_second!r}")
        self._per_second = per_second
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        """Fill the bucket."""
        self._tokens = self._capacity = max(1.0, self._per_second or 0.0)
        self._filled_at = self._clock()

    def acquire(self) -> int:
        """Let a request through and return 0, or return the whole seconds it should wait."""
        if self._per_second is None:
            return 0
        now = self._clock()
        gained = (now - self._filled_at) * self._per_second
        self._tokens = min(self._capacity, self._tokens + gained)
        self._filled_at = now
        if self._tokens < 1:
            return max(1, math.ceil((1 - self._tokens) / self._per_second))
        self._tokens -= 1
        return 0
