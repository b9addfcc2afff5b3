"""The endpoints: those of the Ollang API that the provider uses, and the sandbox's own."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, Router

from airflow_provider_ollang.sandbox._errors import ErrorResponse
from airflow_provider_ollang.sandbox._listing import ListingQuery
from airflow_provider_ollang.sandbox._middleware import (
    FaultMiddleware,
    KeyMiddleware,
    RequestLogMiddleware,
)

if TYPE_CHECKING:
    from airflow_provider_ollang.sandbox._server import Sandbox

# Names that Orders.add() gives a meaning of its own.
_NO_FIELDS = frozenset({"age", "foreign", "without"})


def create_app(sandbox: Sandbox) -> Router:
    """Return the application that serves ``sandbox``."""
    middleware = [Middleware(RequestLogMiddleware), Middleware(FaultMiddleware)]
    control = _application(sandbox, CONTROL_ROUTES)
    api = _application(sandbox, API_ROUTES, middleware)
    return Router([Mount("/_sandbox", control), Mount("", api)])


def _application(
    sandbox: Sandbox, routes: Sequence[Route], middleware: Sequence[Middleware] = ()
) -> Starlette:
    handlers = {ErrorResponse: _respond_with_error, HTTPException: _respond_without_route}
    app = Starlette(routes=routes, middleware=middleware, exception_handlers=handlers)
    app.router.redirect_slashes = False
    app.state.sandbox = sandbox
    return app


async def _respond_with_error(request: Request, error: Any) -> Response:
    response: Response = error.response(_sandbox(request).error_format)
    return response


async def _respond_without_route(request: Request, error: Exception) -> Response:
    missing = ErrorResponse(404, f"Cannot {request.method} {request.url.path}")
    return missing.response(_sandbox(request).error_format)


def _sandbox(request: Request) -> Sandbox:
    sandbox: Sandbox = request.app.state.sandbox
    return sandbox


async def _json_body(request: Request) -> Any:
    try:
        return json.loads(await request.body())
    except ValueError as error:
        raise ErrorResponse(400, f"The body is not JSON: {error}") from error


async def _list_orders(request: Request) -> Response:
    return JSONResponse(_sandbox(request).orders.page(ListingQuery(request.query_params)))


async def _read_order(request: Request) -> Response:
    return JSONResponse(_sandbox(request).orders.read(request.path_params["order_id"]))


async def _cancel_order(request: Request) -> Response:
    _sandbox(request).orders.cancel(request.path_params["order_id"])
    return Response(status_code=204)


async def _create_orders(request: Request) -> Response:
    body = await _json_body(request)
    created = _sandbox(request).orders.create(body)
    if url := body.get("callbackUrl"):
        _sandbox(request).callbacks.expect(url, [it["orderId"] for it in created])
    return JSONResponse(created, status_code=201)


async def _health(request: Request) -> Response:
    return JSONResponse({"time": int(time.time() * 1000), "status": "OK"})


async def _show_orders(request: Request) -> Response:
    orders = _sandbox(request).orders
    own = [order | {"foreign": False} for order in orders]
    return JSONResponse(own + [order | {"foreign": True} for order in orders.foreign])


async def _put_order(request: Request) -> Response:
    body, orders = await _json_body(request), _sandbox(request).orders
    if not isinstance(body, dict):
        raise ErrorResponse(400, "An order must be a JSON object")
    fields = {name: value for name, value in body.items() if name not in _NO_FIELDS}
    order_id = fields.get("id")
    if isinstance(order_id, str) and orders.get(order_id) is not None:
        return JSONResponse(orders.change(fields.pop("id"), **fields), status_code=201)
    order = orders.add(foreign=body.get("foreign") is True, **fields)
    return JSONResponse(order, status_code=201)


async def _show_requests(request: Request) -> Response:
    return JSONResponse([asdict(recorded) for recorded in _sandbox(request).requests])


async def _reset(request: Request) -> Response:
    _sandbox(request).reset()
    return Response(status_code=204)


_WITH_KEY = [Middleware(KeyMiddleware)]

API_ROUTES = [
    Route(
        "/integration/orders/cancel/{order_id}",
        _cancel_order,
        methods=["POST"],
        middleware=_WITH_KEY,
    ),
    Route("/integration/orders/create", _create_orders, methods=["POST"], middleware=_WITH_KEY),
    Route("/integration/orders/{order_id}", _read_order, middleware=_WITH_KEY),
    Route("/integration/orders", _list_orders, middleware=_WITH_KEY),
    Route("/health", _health),
]
CONTROL_ROUTES = [
    Route("/orders", _show_orders),
    Route("/orders", _put_order, methods=["POST"]),
    Route("/requests", _show_requests),
    Route("/reset", _reset, methods=["POST"]),
]
