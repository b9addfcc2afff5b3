"""The endpoints: those of the Ollang API that the provider uses, and the sandbox's own."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from airflow_provider_ollang.sandbox import listing
from airflow_provider_ollang.sandbox.gate import RequestLog
from airflow_provider_ollang.sandbox.orders import Orders
from airflow_provider_ollang.sandbox.refusals import (
    UNAUTHORIZED,
    Refusal,
    RefusedError,
    framework,
    no_route,
)

Endpoint = Callable[[Request], Awaitable[Response]]

_NO_CONTENT = Response(status_code=204)
# Names that Orders.add() gives a meaning of its own.
_NO_FIELDS = frozenset({"age", "foreign", "without"})


def create_app(orders: Orders, log: RequestLog, reset: Callable[[], None]) -> Starlette:
    """Return the application that serves ``orders``.

    :param log: the requests that the control endpoint shows.
    :param reset: starts the sandbox over.
    """
    app = Starlette(
        routes=_api_routes(orders) + _control_routes(orders, log, reset),
        exception_handlers={404: _no_such_route, 405: _no_such_route},
    )
    app.router.redirect_slashes = False
    return app


def _api_routes(orders: Orders) -> list[Route]:
    async def list_orders(request: Request) -> Response:
        return JSONResponse(orders.page(listing.parse(request.query_params)))

    async def read_order(request: Request) -> Response:
        return JSONResponse(orders.read(request.path_params["order_id"]))

    async def cancel_order(request: Request) -> Response:
        orders.cancel(request.path_params["order_id"])
        return _NO_CONTENT

    async def create_orders(request: Request) -> Response:
        return JSONResponse(orders.create(await _json_body(request)), status_code=201)

    return [
        Route("/integration/orders/cancel/{order_id}", _guarded(cancel_order), methods=["POST"]),
        Route("/integration/orders/create", _guarded(create_orders), methods=["POST"]),
        Route("/integration/orders/{order_id}", _guarded(read_order)),
        Route("/integration/orders", _guarded(list_orders)),
        Route("/health", _health),
    ]


def _control_routes(orders: Orders, log: RequestLog, reset: Callable[[], None]) -> list[Route]:
    async def show_orders(request: Request) -> Response:
        own = [order | {"foreign": False} for order in orders]
        return JSONResponse(own + [order | {"foreign": True} for order in orders.foreign])

    async def put_order(request: Request) -> Response:
        return JSONResponse(_put(orders, await _json_body(request)), status_code=201)

    async def show_requests(request: Request) -> Response:
        return JSONResponse([received.to_json() for received in log.all()])

    async def start_over(request: Request) -> Response:
        reset()
        return _NO_CONTENT

    return [
        Route("/_sandbox/orders", show_orders),
        Route("/_sandbox/orders", _answering_refusals(put_order), methods=["POST"]),
        Route("/_sandbox/requests", show_requests),
        Route("/_sandbox/reset", start_over, methods=["POST"]),
    ]


def _guarded(endpoint: Endpoint) -> Endpoint:
    answer = _answering_refusals(endpoint)

    async def guarded(request: Request) -> Response:
        return (
            await answer(request) if request.state.key_accepted else _refuse(request, UNAUTHORIZED)
        )

    return guarded


def _answering_refusals(endpoint: Endpoint) -> Endpoint:
    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except RefusedError as error:
            return _refuse(request, error.refusal)

    return answer


def _refuse(request: Request, refusal: Refusal) -> Response:
    error_format = request.scope["state"].get("error_format", "documented")
    return JSONResponse(refusal.body(error_format), status_code=refusal.status)


async def _health(request: Request) -> Response:
    return JSONResponse({"time": int(time.time() * 1000), "status": "OK"})


async def _no_such_route(request: Request, error: Exception) -> Response:
    return _refuse(request, no_route(request.method, request.url.path))


async def _json_body(request: Request) -> Any:
    try:
        return json.loads(await request.body())
    except ValueError as error:
        raise RefusedError(framework(400, f"The body is no JSON: {error}")) from error


def _put(orders: Orders, body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise RefusedError(framework(400, "An order must be a JSON object"))
    fields = {name: value for name, value in body.items() if name not in _NO_FIELDS}
    order_id = fields.get("id")
    if isinstance(order_id, str) and orders.get(order_id) is not None:
        del fields["id"]
        return orders.change(order_id, **fields)
    return orders.add(foreign=body.get("foreign") is True, **fields)
