"""Each error in each of the formats that the API is known to use."""

from __future__ import annotations

from http import HTTPStatus

import pytest
import requests

from airflow_provider_ollang.sandbox import Sandbox

CANCEL = "/integration/orders/cancel/"

#: For a POST to a path: the status, and the documented error, message and code.
ERRORS = {
    CANCEL + "completed": (
        *(400, "Order not cancellable", "The order is already in progress or completed"),
        "ORDER_NOT_CANCELLABLE",
    ),
    CANCEL + "wrong-key": (401, "Unauthorized", "Invalid or missing API key", "UNAUTHORIZED"),
    CANCEL + "foreign": (
        *(403, "Access denied", "You do not have permission to access this order"),
        "ACCESS_DENIED",
    ),
    CANCEL + "unknown": (
        *(404, "Order not found", "No order found with the provided orderId"),
        "ORDER_NOT_FOUND",
    ),
    CANCEL + "cancelled": (
        *(409, "Order already cancelled", "The order has already been cancelled"),
        "ORDER_ALREADY_CANCELLED",
    ),
    "/cancel": (404, "Not Found", "Cannot POST /cancel", None),
    CANCEL + "500": (500, "Internal Server Error", "Internal server error", None),
    CANCEL + "429": (429, "Too Many Requests", "ThrottlerException: Too Many Requests", None),
}


def documented(error: str, message: str, code: str | None, status: int) -> dict[str, object]:
    return {"error": error, "message": message} | ({"code": code} if code else {})


def envelope(error: str, message: str, code: str | None, status: int) -> dict[str, object]:
    generic = {"code": -1, "error": "UnknownError", "message": "unknown error"}
    return {**generic, "detail": message}


def framework(error: str, message: str, code: str | None, status: int) -> dict[str, object]:
    return {"statusCode": status, "message": message, "error": HTTPStatus(status).phrase}


@pytest.mark.parametrize("path", ERRORS)
@pytest.mark.parametrize("form", [documented, envelope, framework])
def test_an_error_is_written_in_the_format_asked_for(path, form):
    status, error, message, code = ERRORS[path]
    faults = f"{status}=1" if path.endswith(str(status)) else ""
    with Sandbox(order_count=0, faults=faults, error_format=form.__name__) as sandbox:
        for order_status in ("completed", "cancelled"):
            sandbox.orders.add(id=order_status, status=order_status)
        sandbox.orders.add(id="foreign", foreign=True)
        key = "wrong" if "wrong" in path else sandbox.api_key
        response = requests.post(sandbox.url + path, headers={"X-Api-Key": key}, timeout=10)

    assert response.headers["content-type"] == "application/json"
    assert (response.status_code, response.json()) == (status, form(error, message, code, status))


def test_the_format_can_change(sandbox, client):
    sandbox.error_format = "envelope"
    assert client.get("/nowhere").json()["detail"] == "Cannot GET /nowhere"
    bad_query = client.get("/integration/orders?filter[type]=x&pageOptions[take]=0")
    assert bad_query.json()["detail"].startswith(
        "pageOptions.take must be an integer number from 1 to 50; filter.type must be one of the "
    )
    with pytest.raises(ValueError, match="error_format must be one of documented, envelope, fr"):
        Sandbox(error_format="xml")
