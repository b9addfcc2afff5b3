import time
from datetime import timedelta
from email.utils import parsedate_to_datetime

import pytest
import requests

from .conftest import bracketed

FIELDS = "id name sourceLanguage targetLanguage status type createdAt clientId projectId"
LISTED = frozenset(FIELDS.split())


def test_the_first_page_has_ten_orders_by_id_downwards(sandbox, client):
    page = client.list()

    ids = sorted((order["id"] for order in sandbox.orders), reverse=True)
    assert [order["id"] for order in page["data"]] == ids[:10]
    assert {frozenset(order) for order in page["data"]} == {LISTED}
    assert page["meta"] == {
        "page": 1,
        "take": 10,
        "itemCount": 240,
        "pageCount": 24,
        "hasNextPage": True,
        "hasPreviousPage": False,
    }


@pytest.mark.parametrize(
    ("order_by", "direction"),
    [("id", "asc"), ("createdAt", "asc"), ("createdAt", "desc"), ("name", "asc")],
)
def test_pages_together_show_every_order_once_and_sorted(sandbox, client, order_by, direction):
    options = {"take": 50, "orderBy": order_by, "orderDirection": direction}
    pages = [client.list(page=number, **options) for number in range(1, 6)]
    orders = [order for page in pages for order in page["data"]]

    assert [len(page["data"]) for page in pages] == [50, 50, 50, 50, 40]
    assert [page["meta"]["hasNextPage"] for page in pages] == [True] * 4 + [False]
    assert client.list(page=10**14)["data"] == []
    assert {order["id"] for order in orders} == {order["id"] for order in sandbox.orders}
    values = [order[order_by] for order in orders]
    assert values == sorted(values, reverse=direction == "desc")


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({"take": 51}, "pageOptions.take must be an integer number from 1 to 50"),
        ({"page": 0}, "pageOptions.page must be an integer number, 1 or more"),
        ({"page": "1_0"}, "pageOptions.page must be an integer number, 1 or more"),
        ({"orderBy": "rate"}, "pageOptions.orderBy must be one of the following values: id, "),
        ({"orderDirection": "ASC"}, "pageOptions.orderDirection must be one of the following"),
        ({"created_to": "yesterday"}, "filter.createdAtRange.to must be a valid ISO 8601 date"),
    ],
)
def test_a_value_out_of_its_limits_is_a_bad_request(client, parameters, complaint):
    response = client.get("/integration/orders", params=bracketed(parameters))
    [message] = response.json()["message"]
    assert (response.status_code, response.json()["error"]) == (400, "Bad Request")
    assert message.startswith(complaint)


def test_a_name_is_matched_exactly_and_a_search_is_not(sandbox, client):
    sandbox.orders.clear()
    named = sandbox.orders.add(name="Quarterly Zebra figures")
    typed = sandbox.orders.add(name="Other", type="aiDubbing")
    assert client.list_ids(name=named["name"]) == [named["id"]]
    assert client.list_ids(name="Zebra") == []
    assert client.list_ids(search="ZEBRA") == [named["id"]]
    assert client.list_ids(search="aidubb") == [typed["id"]]


def test_a_range_of_dates_includes_both_its_ends(sandbox, client):
    sandbox.orders.clear()
    dates = ["2024-01-10T00:00:00.000Z", "2024-01-20T00:00:00.000Z", "2024-01-30T00:00:00.000Z"]
    first, second, third = (sandbox.orders.add(createdAt=date)["id"] for date in dates)
    options = {"orderBy": "createdAt", "orderDirection": "asc"}
    assert client.list_ids(created_from="2024-01-20", **options) == [second, third]
    assert client.list_ids(created_to="2024-01-20T00:00:00Z", **options) == [first, second]
    both = {"created_from": "2024-01-11T00:00:00", "created_to": "2024-01-29T23:00:00+01:00"}
    assert client.list_ids(**both) == [second]


def test_a_listing_follows_every_change(sandbox, client):
    sandbox.orders.clear()
    first = sandbox.orders.add(age=timedelta(days=2))["id"]
    assert client.list_ids(status="pending") == [first]

    second = sandbox.orders.add()["id"]
    assert client.list_ids(status="pending", orderDirection="asc") == [first, second]

    client.cancel(first)
    assert client.list_ids(status="pending") == [second]

    sandbox.orders.change(second, status="delayed")
    assert client.list_ids(status="pending") == []


def test_an_order_is_read_in_full(sandbox, client):
    order = sandbox.orders.where(status="delivered", level=1)[0]
    response = client.get(f"/integration/orders/{order['id']}")
    assert (response.status_code, response.json()) == (200, order)
    assert order["finance"]["paymentAmount"] > 0
    [event] = order["deliveryEvents"]
    assert order["createdAt"] < event["occurredAt"]


def test_only_the_accounts_own_orders_can_be_read(sandbox, client):
    foreign = sandbox.orders.foreign[0]["id"]
    assert client.get(f"/integration/orders/{foreign}").json()["code"] == "ACCESS_DENIED"
    assert client.get("/integration/orders/nowhere").json()["code"] == "ORDER_NOT_FOUND"
    assert requests.get(f"{sandbox.url}/integration/orders", timeout=10).status_code == 401


def test_health_needs_no_key_and_responses_are_dated(sandbox):
    response = requests.get(f"{sandbox.url}/health", timeout=10)
    assert (response.status_code, response.json()["status"]) == (200, "OK")
    assert abs(response.json()["time"] - time.time() * 1000) < 60_000
    sent = parsedate_to_datetime(response.headers["Date"])
    assert abs(sent.timestamp() - time.time()) < 60
