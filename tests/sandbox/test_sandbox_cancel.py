from datetime import timedelta

import pytest
import requests


def test_a_cancel_is_an_empty_204_and_changes_one_order(sandbox, client):
    before = {order["id"]: order for order in sandbox.orders}
    order_id = sandbox.orders.where(status="pending")[0]["id"]
    response = client.cancel(order_id)
    assert (response.status_code, response.content) == (204, b"")
    after = {order["id"]: order for order in sandbox.orders}
    assert after == before | {order_id: before[order_id] | {"status": "cancelled"}}
    assert client.cancel(order_id).status_code == 409


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"status": "ongoing", "age": timedelta(hours=11)}, 204),
        ({"status": "ongoing", "age": timedelta(hours=13)}, 400),
        ({"status": "ongoing", "createdAt": "yesterday"}, 400),
        ({"status": "completed"}, 400),
        ({"status": "neverHeardOf"}, 400),
    ],
)
def test_which_orders_can_be_cancelled(sandbox, client, fields, status):
    order = sandbox.orders.add(**fields)
    assert client.cancel(order["id"]).status_code == status
    expected = "cancelled" if status == 204 else order["status"]
    assert sandbox.orders.get(order["id"])["status"] == expected


@pytest.mark.parametrize("headers", [{}, {"X-Api-Key": "wrong"}, {"Authorization": "sandbox-key"}])
def test_without_the_right_key_nothing_is_cancelled(sandbox, headers):
    order = sandbox.orders.add()
    url = f"{sandbox.url}/integration/orders/cancel/{order['id']}"
    assert requests.post(url, headers=headers, timeout=10).status_code == 401
    assert sandbox.orders.get(order["id"])["status"] == "pending"
