"""Each error in each of the formats that the API is known to use."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus

import pytest
import requests

from airflow_provider_ollang.sandbox import Sandbox

CANCEL = "/integration/orders/cancel/"
UNKNOWN = "f" * 24

#: What a request meets: the status, and the documented error, message and code.
ERRORS = {
    "completed": (
        400,
        "Order not cancellable",
        "The order is already in progress or completed",
        "ORDER_NOT_CANCELLABLE",
    ),
    "no key": (401, "Unauthorized", "Invalid or missing API key", "UNAUTHORIZED"),
    "foreign": (
        403,
        "Access denied",
        "You do not have permission to access this order",
        "ACCESS_DENIED",
    ),
    "unknown": (
        404,
        "Order not found",
        "No order found with the provided orderId",
        "ORDER_NOT_FOUND",
    ),
    "cancelled": (
        409,
        "Order already cancelled",
        "The order has already been cancelled",
        "ORDER_ALREADY_CANCELLED",
    ),
    "no route": (404, "Not Found", "Cannot POST /integration/cancel", None),
    "bad body": (400, "Bad Request", ["orderType must be one of the following values: "], None),
    "rate limit": (429, "Too Many Requests", "ThrottlerException: Too Many Requests", None),
    "fault": (500, "Internal Server Error", "Internal server error", None),
}


def _meet(sandbox: Sandbox, name: str) -> requests.Response:
    headers = {"X-Api-Key": "wrong" if name == "no key" else sandbox.api_key}
    return requests.post(sandbox.url + _path(sandbox, name), json={}, headers=headers, timeout=10)


def _path(sandbox: Sandbox, name: str) -> str:
    if name in ("completed", "cancelled", "foreign"):
        status = name if name != "foreign" else "pending"
        order = sandbox.orders.add(status=status, foreign=name == "foreign", age=timedelta(days=9))
        return CANCEL + order["id"]
    paths = {"no route": "/integration/cancel", "bad body": "/integration/orders/create"}
    return paths.get(name, CANCEL + UNKNOWN)


def _sandbox(name: str) -> Sandbox:
    return Sandbox(
        faults="500=1" if name == "fault" else "",
        rate_limit=0.001 if name == "rate limit" else None,
    )


@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.parametrize("error_format", ["documented", "envelope", "framework"])
def test_an_error_is_written_in_the_format_asked_for(name: str, error_format: str) -> None:
    status, error, message, code = ERRORS[name]
    with _sandbox(name) as sandbox:
        sandbox.error_format = error_format
        if name == "rate limit":
            _meet(sandbox, name)
        response = _meet(sandbox, name)

    assert response.status_code == status
    body = response.json()
    if name == "bad body":
        message = "; ".join(body["message"]) if error_format != "envelope" else body["detail"]
        assert "orderType must be one of" in message
        return
    assert (
        body
        == {
            "documented": {"error": error, "message": message} | ({"code": code} if code else {}),
            "envelope": {
                "code": -1,
                "error": "UnknownError",
                "message": "unknown error",
                "detail": message,
            },
            "framework": {
                "statusCode": status,
                "message": message,
                "error": HTTPStatus(status).phrase,
            },
        }[error_format]
    )
