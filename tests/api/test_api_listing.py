from __future__ import annotations

import re
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_ollang.api import client as client_module
from airflow_provider_ollang.api import errors
from airflow_provider_ollang.api.models import OrderQuery
from airflow_provider_ollang.sandbox import Stub

from .conftest import SOME_ID, client_of, error_of_listing

LISTING = "/integration/orders"


def page(ids: list[Any], number: int = 1, has_next: bool = False, **meta: Any) -> Stub:
    fields = {"page": number, "hasNextPage": has_next, **meta}
    return Stub.json(200, {"data": [{"id": one} for one in ids], "meta": fields})


def test_a_listing_asks_in_bracketed_names(sandbox, client):
    query = OrderQuery(
        created_to=datetime(2024, 1, 15, 10, 30, 0, 123456, tzinfo=UTC),
        order_type="cc",
        status="pending",
        project_id="p-1",
    )

    client.list_orders(query, page=3, take=7)

    received = sandbox.requests[0]
    assert (received.method, received.path.split("?")[0]) == ("GET", LISTING)
    assert received.query == {
        "pageOptions[page]": "3",
        "pageOptions[take]": "7",
        "pageOptions[orderBy]": "createdAt",
        "pageOptions[orderDirection]": "asc",
        "filter[createdAtRange][to]": "2024-01-15T10:30:00.123Z",
        "filter[type]": "cc",
        "filter[status]": "pending",
        "filter[projectId]": "p-1",
    }


def test_all_pages_are_read_oldest_first_and_each_order_once(sandbox, client):
    added = [sandbox.orders.add(age=timedelta(hours=hours))["id"] for hours in range(120)]
    ids = [order.id for order in client.iter_orders()]
    assert ids == added[::-1]
    pages = [received.query["pageOptions[page]"] for received in sandbox.requests]
    assert pages == ["1", "2", "3"]


@pytest.mark.parametrize(
    "pages",
    [
        [page(["a", "b"], has_next=True), page(["b", "c"], 2)],  # shifted to the next page
    ],
)
def test_an_order_that_is_listed_twice_is_read_once(sandbox, client, pages):
    sandbox.respond_next(*pages)
    assert [order.id for order in client.iter_orders()] == ["a", "b", "c"]


def listed(data: Any, **meta: Any) -> Stub:
    return Stub.json(200, {"data": data, "meta": {"page": 1, "hasNextPage": False, **meta}})


@pytest.mark.parametrize(
    "response",
    [
        Stub.json(200, []),
        Stub.json(200, {"data": []}),
        Stub.json(200, {"meta": {"page": 1, "hasNextPage": False}}),
        listed({"id": "a"}),
        Stub.json(200, {"data": [], "meta": []}),
        Stub.json(200, {"data": [], "meta": {"page": 1}}),
        listed([], hasNextPage=0),
        listed([], hasNextPage="false"),
        listed([], page=2),
        listed([], page="1"),
        Stub(200, body=b"<html></html>"),
        Stub(200, body=b"null"),
        Stub.json(201, {"data": [], "meta": {"page": 1, "hasNextPage": False}}),
    ],
)
def test_an_invalid_page_is_not_an_empty_list(sandbox, client, response):
    sandbox.respond_always(response)
    assert isinstance(error_of_listing(client), errors.UnexpectedResponseError)


@pytest.mark.parametrize("readers", [1, 4])
@pytest.mark.parametrize(
    ("trouble", "kind", "attempts"),
    [
        (Stub.json(400, {"message": "no"}), errors.BadRequestError, 1),
        (Stub.json(401, {"code": "UNAUTHORIZED"}), errors.UnauthorizedError, 1),
        (Stub(503), errors.ServerError, 4),
        (Stub(200, body=b"<html>"), errors.UnreadableResponseError, 4),
        (page(["z"], 1), errors.UnreadableResponseError, 4),
    ],
)
def test_a_listing_that_breaks_off_is_an_error(sandbox, client, trouble, kind, attempts, readers):
    full = [f"o-{number}" for number in range(50)]  # else no page is read beside another
    sandbox.respond_next(page(full, has_next=True, itemCount=280))
    sandbox.respond_always(trouble)
    with pytest.raises(kind) as caught:
        list(client.iter_orders(readers=readers))
    assert (caught.type, caught.value.attempts, caught.value.order_id) == (kind, attempts, None)


@pytest.mark.parametrize(
    "trouble",
    [
        Stub(200, body=b"<html>Please log in</html>"),
        Stub(302, {"Location": "https://elsewhere.invalid/"}),
        Stub(403, body=b"<html>Blocked</html>"),
        page(["a"], 1, has_next=True),
    ],
)
def test_a_page_that_cannot_be_read_is_read_again(sandbox, client, trouble):
    sandbox.respond_next(page(["a"], has_next=True), trouble, page(["b"], 2))
    assert [order.id for order in client.iter_orders()] == ["a", "b"]
    numbers = [received.query["pageOptions[page]"] for received in sandbox.requests]
    assert numbers == ["1", "2", "2"]


@pytest.mark.parametrize("ids", [["a", "b"], []])
def test_a_listing_that_repeats_itself_is_an_error(sandbox, client, ids):
    sandbox.respond_next(page(["a", "b"], has_next=True), page(ids, 2, has_next=True))
    assert re.search("page 2 .* no new order", str(error_of_listing(client)))
    assert len(sandbox.requests) == 2


def test_a_listing_without_end_is_given_up(sandbox, client, monkeypatch):
    monkeypatch.setattr(client_module, "MAX_PAGES", 5)
    pages = [page([f"o-{number}"], number, has_next=True) for number in range(1, 9)]
    sandbox.respond_next(*pages)
    assert "more than 5 pages" in str(error_of_listing(client))
    assert len(sandbox.requests) == 5


@pytest.mark.parametrize(
    ("first", "last", "ids"), [(4, 3, ["d"]), (3, 4, ["c"]), (4, 4, ["d"]), (3, 3, ["c"])]
)
def test_a_listing_that_changes_while_it_is_read_is_warned_of(
    sandbox, client, caplog, first, last, ids
):
    sandbox.respond_next(
        page(["a", "b"], has_next=True, itemCount=first), page(ids, 2, itemCount=last)
    )
    assert [order.id for order in client.iter_orders()] == ["a", "b", *ids]
    changed = (first, last) != (3, 3)
    said = f"it had {first} orders at first and {last} at the end, and 3 were read"
    assert (said in caplog.text) is changed


@pytest.mark.parametrize(
    ("count", "item_count"),
    [(0, 0), (7, 7), ("7", None), (True, None), (-1, None)],
)
def test_an_item_count_is_a_whole_number_or_unknown(sandbox, client, count, item_count):
    sandbox.respond_next(page([], itemCount=count))
    assert client.list_orders().item_count == item_count


# Pages that are read side by side.


def test_pages_are_read_side_by_side_and_yielded_in_order(sandbox):
    added = [sandbox.orders.add(age=timedelta(minutes=minutes))["id"] for minutes in range(400)]
    sandbox.respond_always(Stub(delay=0.2), path=LISTING)
    begin = time.monotonic()
    with client_of(sandbox) as client:
        ids = [order.id for order in client.iter_orders(readers=7)]
    together = time.monotonic() - begin

    assert ids == added[::-1]
    pages = Counter(received.query["pageOptions[page]"] for received in sandbox.requests)
    assert pages == Counter(str(number) for number in range(1, 9))
    assert together < sum(0.2 for _ in pages)  # one after the other, that is the least


# One order.


def test_an_order_is_read_with_all_its_fields(sandbox, client):
    added = sandbox.orders.add(name="n", status="onTheMoon")
    order = client.get_order(added["id"])
    assert (order.id, order.name, order.status) == (added["id"], "n", "onTheMoon")
    assert order.created_at == added["createdAt"]
    assert order.created == datetime.fromisoformat(added["createdAt"])
    assert order.other["rate"] == added["rate"]
    assert sandbox.requests[0].path == f"/integration/orders/{added['id']}"


@pytest.mark.parametrize(
    "body", [{"id": "other", "status": "pending"}, {"status": "pending"}, [], None]
)
def test_a_response_about_another_order_is_unexpected(sandbox, client, body):
    sandbox.respond_always(Stub.json(200, body))
    with pytest.raises(errors.UnexpectedResponseError) as caught:
        client.get_order(SOME_ID)
    assert caught.value.order_id == SOME_ID
