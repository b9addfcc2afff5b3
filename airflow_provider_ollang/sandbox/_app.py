"""The endpoints: those of the Ollang API that the provider uses, and the sandbox's own."""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_provider_ollang.sandbox._errors import ErrorResponse
from airflow_provider_ollang.sandbox._faults import KINDS, too_many_requests
from airflow_provider_ollang.sandbox._listing import list_page

if TYPE_CHECKING:
    from airflow_provider_ollang.sandbox._orders import Orders
    from airflow_provider_ollang.sandbox._server import Sandbox

_ORDER_ID = re.compile(r"/integration/orders/(?:cancel/)?(?!create$)([^/]+)")


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
    """When it cancelled or created orders, whatever the response was; ``None`` if it did not."""

    @property
    def is_cancel(self) -> bool:
        """Whether this asked for an order to be cancelled."""
        return self.method == "POST" and self.path.startswith("/integration/orders/cancel/")

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters, decoded."""
        return dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))


def create_app(sandbox: Sandbox) -> Starlette:
    """Return the application that serves ``sandbox``."""
    app = Starlette(
        routes=ROUTES,
        middleware=[Middleware(Gateway)],
        exception_handlers=dict.fromkeys((ErrorResponse, HTTPException), _respond_with_error),
    )
    app.router.redirect_slashes = False
    app.state.sandbox = sandbox
    return app


class Gateway:
    """What a request meets before the API: the log, latency, stubs, the rate limit, faults."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["path"].startswith("/_sandbox/"):
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        sandbox = _sandbox(request)
        recorded = request.state.recorded = _record(request, sandbox.api_key)
        sandbox.log.append(recorded)

        async def send_recorded(message: Message) -> None:
            if message["type"] == "http.response.start":
                recorded.status = message["status"]
            await send(message)

        # The server cancels what is still waiting when it stops; that is not an error.
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(sandbox.latency)
            response = await self._response(request, sandbox)
            await (response or self.app)(scope, receive, send_recorded)

    async def _response(self, request: Request, sandbox: Sandbox) -> Response | None:
        """Return what the request gets instead of the API's response, or ``None``."""
        stub = sandbox.take_stub(request.method, request.scope["path"])
        if stub is not None:
            await asyncio.sleep(stub.delay)
            fault = KINDS[stub.fault] if isinstance(stub.fault, str) else stub.fault
        elif wait := sandbox.rate_limiter.acquire(time.monotonic()):
            return too_many_requests(str(wait)).response(sandbox.error_format)
        else:
            fault = next(sandbox.faults)
        if fault is None:
            return stub.response() if stub else None
        request.state.recorded.fault = fault.kind
        if fault.after:
            return fault.after(await self._captured(request))
        met = fault.instead(request)
        return met.response(sandbox.error_format) if isinstance(met, ErrorResponse) else met

    async def _captured(self, request: Request) -> Response:
        """Let the API act on the request, and return its response instead of sending it."""
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await self.app(request.scope, request.receive, keep)
        start, *rest = messages
        response = Response(b"".join(it.get("body", b"") for it in rest), start["status"])
        response.raw_headers = start["headers"]
        return response


def _record(request: Request, api_key: str) -> RecordedRequest:
    def masked(text: str) -> str:
        # For a client that sends the key in the wrong place.
        return text.replace(api_key, "***")

    scope = request.scope
    query = b"?" + scope["query_string"] if scope["query_string"] else b""
    order_id = _ORDER_ID.fullmatch(masked(scope["path"]))
    return RecordedRequest(
        method=request.method,
        path=masked((scope["raw_path"] + query).decode("latin-1")),
        order_id=order_id[1] if order_id else None,
        key_accepted=request.headers.get("x-api-key") == api_key,
        time=time.time(),
    )


async def _respond_with_error(request: Request, error: Any) -> Response:
    if isinstance(error, HTTPException):  # there is no such route
        error = ErrorResponse(404, f"Cannot {request.method} {request.url.path}")
    response: Response = error.response(_sandbox(request).error_format)
    return response


def _sandbox(request: Request) -> Sandbox:
    sandbox: Sandbox = request.app.state.sandbox
    return sandbox


def _orders(request: Request) -> Orders:
    """Return the orders to which the request's key gives access.

    :raises ErrorResponse: 401, the key is missing or wrong.
    """
    if not request.state.recorded.key_accepted:
        raise ErrorResponse.documented("UNAUTHORIZED")
    return _sandbox(request).orders


async def _json_object(request: Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError as error:
        raise ErrorResponse(400, f"The body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise ErrorResponse(400, "The body is not a JSON object")
    return body


async def _list_orders(request: Request) -> Response:
    return JSONResponse(list_page(_orders(request), request.query_params))


async def _read_order(request: Request) -> Response:
    return JSONResponse(_orders(request).read(request.path_params["order_id"]))


async def _cancel_order(request: Request) -> Response:
    _orders(request).cancel(request.path_params["order_id"])
    request.state.recorded.acted = time.time()
    return Response(status_code=204)


async def _create_orders(request: Request) -> Response:
    orders, body = _orders(request), await _json_object(request)
    created = orders.create(body)
    request.state.recorded.acted = time.time()
    _sandbox(request).lifecycle.begin([it["orderId"] for it in created], body.get("callbackUrl"))
    await asyncio.sleep(0)  # a life of no seconds is over before the response
    return JSONResponse(created, status_code=201)


async def _health(request: Request) -> Response:
    return JSONResponse({"time": int(time.time() * 1000), "status": "OK"})


async def _show_orders(request: Request) -> Response:
    orders = _sandbox(request).orders
    own = [order | {"foreign": False} for order in orders]
    return JSONResponse(own + [order | {"foreign": True} for order in orders.foreign])


async def _put_order(request: Request) -> Response:
    body, orders = await _json_object(request), _sandbox(request).orders
    foreign, order_id = body.pop("foreign", False), body.get("id")
    fields = {name: value for name, value in body.items() if name not in ("age", "without")}
    if isinstance(order_id, str) and orders.get(order_id) is not None:
        return JSONResponse(orders.change(order_id, **fields), status_code=201)
    return JSONResponse(orders.add(foreign=foreign is True, **fields), status_code=201)


async def _show_requests(request: Request) -> Response:
    return JSONResponse([asdict(recorded) for recorded in _sandbox(request).requests])


async def _reset(request: Request) -> Response:
    _sandbox(request).reset()
    return Response(status_code=204)


ROUTES = [
    Route("/integration/orders/cancel/{order_id}", _cancel_order, methods=["POST"]),
    Route("/integration/orders/create", _create_orders, methods=["POST"]),
    Route("/integration/orders/{order_id}", _read_order),
    Route("/integration/orders", _list_orders),
    Route("/health", _health),
    Route("/_sandbox/orders", _show_orders),
    Route("/_sandbox/orders", _put_order, methods=["POST"]),
    Route("/_sandbox/requests", _show_requests),
    Route("/_sandbox/reset", _reset, methods=["POST"]),
]
