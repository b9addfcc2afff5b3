from __future__ import annotations

from datetime import timedelta

import pytest
import requests

REFUSALS = {
    401: ("UNAUTHORIZED", "Unauthorized", "Invalid or missing API key"),
    403: ("ACCESS_DENIED", "Access denied", "You do not have permission to access this order"),
    404: ("ORDER_NOT_FOUND", "Order not found", "No order found with the provided orderId"),
    400: (
        "ORDER_NOT_CANCELLABLE",
        "Order not cancellable",
        "The order is already in progress or completed",
    ),
    409: (
        "ORDER_ALREADY_CANCELLED",
        "Order already cancelled",
        "The order has already been cancelled",
    ),
}


def assert_refused(response, status):
    code, error, message = REFUSALS[status]
    assert response.status_code == status
    assert response.headers["content-type"].startswith("application/json")
    assert response.json() == {"error": error, "message": message, "code": code}


def test_a_pending_order_is_cancelled_with_an_empty_204(sandbox, client):
    order = sandbox.orders.add()

    response = client.cancel(order["id"])

    assert (response.status_code, response.content) == (204, b"")
    assert sandbox.orders.get(order["id"])["status"] == "cancelled"


def test_cancelling_changes_no_other_order(sandbox, client):
    before = {order["id"]: order for order in sandbox.orders}
    order_id = sandbox.orders.where(status="pending")[0]["id"]

    client.cancel(order_id)

    after = {order["id"]: order for order in sandbox.orders}
    assert after.pop(order_id) == before.pop(order_id) | {"status": "cancelled"}
    assert after == before


def test_a_second_cancel_is_a_conflict(sandbox, client):
    order = sandbox.orders.add()
    client.cancel(order["id"])

    assert_refused(client.cancel(order["id"]), 409)


@pytest.mark.parametrize(("age", "status"), [(11, 204), (13, 400)])
def test_an_ongoing_order_can_be_cancelled_only_early(sandbox, client, age, status):
    order = sandbox.orders.add(status="ongoing", age=timedelta(hours=age))

    assert client.cancel(order["id"]).status_code == status


@pytest.mark.parametrize("status", ["completed", "delivered", "qualityCheck", "neverHeardOf"])
def test_an_order_that_moved_on_cannot_be_cancelled(sandbox, client, status):
    order = sandbox.orders.add(status=status)

    assert_refused(client.cancel(order["id"]), 400)
    assert sandbox.orders.get(order["id"])["status"] == status


def test_an_ongoing_order_with_a_broken_date_cannot_be_cancelled(sandbox, client):
    order = sandbox.orders.add(status="ongoing", createdAt="yesterday")

    assert_refused(client.cancel(order["id"]), 400)


def test_another_accounts_order_is_denied(sandbox, client):
    order = sandbox.orders.add(foreign=True)

    assert_refused(client.cancel(order["id"]), 403)
    assert sandbox.orders.get(order["id"])["status"] == "pending"


def test_an_unknown_order_is_not_found(client):
    assert_refused(client.cancel("f" * 24), 404)


@pytest.mark.parametrize("headers", [{}, {"X-Api-Key": "wrong"}, {"Authorization": "sandbox-key"}])
def test_without_the_right_key_nothing_is_cancelled(sandbox, headers):
    order = sandbox.orders.add()
    url = f"{sandbox.url}/integration/orders/cancel/{order['id']}"

    assert_refused(requests.post(url, headers=headers, timeout=10), 401)
    assert sandbox.orders.get(order["id"])["status"] == "pending"


def test_an_unexpected_method_has_no_route(client):
    response = client.get("/integration/orders/cancel/" + "f" * 24)

    assert response.status_code == 404
    assert response.json() == {
        "message": "Cannot GET /integration/orders/cancel/" + "f" * 24,
        "error": "Not Found",
    }
