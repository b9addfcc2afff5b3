"""Faults that only the client's own tests and the chaos run need, beside the sandbox's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Receive, Scope, Send

from airflow_provider_ollang.sandbox import _faults as faults
from airflow_provider_ollang.sandbox._errors import ErrorResponse
from airflow_provider_ollang.sandbox._faults import (
    ConnectionReset,
    Fault,
    NoResponse,
    TruncatedResponse,
    too_many_requests,
)

DRIP_SECONDS = 0.1
ELSEWHERE = {"location": "https://elsewhere.invalid/"}


class _Drip(NoResponse):
    """Sends a byte now and then until the client has left."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        leaving = asyncio.ensure_future(super().__call__(scope, receive, send))
        while not leaving.done():
            await send({"type": "http.response.body", "body": b" ", "more_body": True})
            await asyncio.wait([leaving], timeout=DRIP_SECONDS)


def _truncated(response: Response) -> Response:
    # A 204 has no body to promise: it is cut off before its head.
    if response.status_code == 204:
        return ConnectionReset()
    truncated = TruncatedResponse(response.body, response.status_code, dict(response.headers))
    truncated.body = response.body[: len(response.body) // 2]
    return truncated


def _retry_after(header: Callable[[], str]) -> Callable[[Request], ErrorResponse]:
    return lambda request: too_many_requests(header())


def _soon() -> str:
    # A date has no fractions: this one is one to two seconds ahead.
    return format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)


def _wrong_type(response: Response) -> Response:
    response.headers["content-type"] = "application/octet-stream"
    return response


def _empty(response: Response) -> Response:
    return Response(status_code=200 if response.status_code == 204 else response.status_code)


def _never_end(response: Response) -> Response:
    page = json.loads(response.body or "null")
    if not (isinstance(page, dict) and "meta" in page):
        return response
    page["meta"]["hasNextPage"] = True
    return JSONResponse(page)


def _moves_on(request: Request) -> None:
    orders, order_id = request.app.state.sandbox.orders, request.state.recorded.order_id
    if order_id is not None and (orders.get(order_id) or {}).get("status") == "pending":
        orders.change(order_id, status="ongoing")


KINDS = faults.KINDS | {
    fault.kind: fault
    for fault in (
        Fault("slow-drip", lambda request: _Drip()),
        Fault("truncated", after=_truncated),
        Fault("429-date", _retry_after(_soon)),
        Fault("429-bare", lambda request: ErrorResponse(429, "Too Many Requests")),
        Fault("429-nonsense", _retry_after(lambda: "soon")),
        Fault("429-hour", _retry_after(lambda: "3600")),
        Fault("redirect", lambda request: HTMLResponse("Moved", 302, ELSEWHERE)),
        Fault("wrong-type", after=_wrong_type),
        Fault("empty", after=_empty),
        Fault("page-without-end", after=_never_end),
        Fault("moves-on", _moves_on),
    )
}
"""Every kind of fault that the tests know, by its name."""
