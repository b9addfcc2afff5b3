from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_ollang.api import errors
from airflow_provider_ollang.api.client import OllangClient
from airflow_provider_ollang.api.models import STATUSES, Order, format_time
from airflow_provider_ollang.cleanup.stale import (
    StaleRule,
    count_all_orders,
    find_stale_orders,
    tripped_wire,
)
from airflow_provider_ollang.sandbox import Answer, Sandbox

NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
WEEK = timedelta(days=7)
OLD = "2026-01-01T00:00:00.000Z"
LISTING = "/integration/orders"


def rule(**fields: Any) -> StaleRule:
    return StaleRule(**{"reference_time": NOW, "older_than": WEEK, **fields})


def listed(sandbox: Sandbox, *items: Any) -> None:
    """Let the server give just these items, whatever it is asked for."""
    meta = {"page": 1, "hasNextPage": False, "itemCount": len(items)}
    sandbox.answer_always(Answer.json(200, {"data": list(items), "meta": meta}), path=LISTING)


def order(order_id: Any = "o-1", **fields: Any) -> dict[str, Any]:
    known = {"name": "n", "type": "cc", "status": "pending", "createdAt": OLD, "projectId": "p-1"}
    return {"id": order_id, **known, **fields}


def ids_found(client: OllangClient, **fields: Any) -> list[str]:
    return [found.id for found in find_stale_orders(client, rule(**fields)).orders]


# The rule, whatever the server makes of the query.


@pytest.mark.parametrize(
    ("fields", "stale"),
    [
        ({}, ["a", "b", "c"]),
        ({"statuses": ("ongoing",)}, ["d"]),
        ({"statuses": ("pending", "ongoing")}, ["a", "b", "c", "d"]),
        ({"statuses": ()}, []),
        ({"order_types": ("cc",)}, ["a", "b"]),
        ({"order_types": ("document", "other")}, ["c"]),
        ({"order_types": ()}, []),
        ({"project_ids": ("p-2",)}, ["b"]),
        ({"project_ids": ("p-1", "p-2")}, ["a", "b", "c"]),
        ({"project_ids": ()}, []),
        ({"name_matches": re.compile("draft$")}, ["a"]),
        ({"name_matches": re.compile("^draft$")}, []),
        ({"exclude_name_matches": re.compile("keep")}, ["a", "c"]),
        ({"exclude_order_ids": frozenset({"a", "c"})}, ["b"]),
        ({"exclude_order_ids": ("a",), "order_types": ("cc",)}, ["b"]),
        ({"older_than": timedelta(days=30)}, ["a", "b", "c"]),
        ({"older_than": timedelta(days=31)}, []),
    ],
)
def test_every_filter_is_checked_again(
    sandbox: Sandbox, client: OllangClient, fields: dict[str, Any], stale: list[str]
) -> None:
    listed(
        sandbox,
        order("a", name="a draft"),
        order("b", name="please keep", projectId="p-2"),
        order("c", type="document", name="c"),
        order("d", status="ongoing"),
        order("e", status="completed"),
        order("young", createdAt=format_time(NOW)),
    )

    assert ids_found(client, **fields) == stale


@pytest.mark.parametrize(
    ("since_cut_off", "is_stale"),
    [(timedelta(milliseconds=-1), True), (timedelta(), True), (timedelta(milliseconds=1), False)],
)
def test_the_cut_off_itself_is_stale(
    sandbox: Sandbox, client: OllangClient, since_cut_off: timedelta, is_stale: bool
) -> None:
    listed(sandbox, order(createdAt=format_time(NOW - WEEK + since_cut_off)))

    assert bool(ids_found(client)) is is_stale


def test_the_server_is_asked_for_old_orders_oldest_first(
    sandbox: Sandbox, client: OllangClient
) -> None:
    find_stale_orders(client, rule(order_types=("cc",), project_ids=("p-1", "p-2")))

    asked = sandbox.requests[0].query
    assert asked["filter[createdAtRange][to]"] == "2026-01-24T12:00:00.000Z"
    assert asked["pageOptions[orderBy]"] == "createdAt"
    assert asked["pageOptions[orderDirection]"] == "asc"
    assert (asked["filter[type]"], asked["filter[status]"]) == ("cc", "pending")
    assert "filter[projectId]" not in asked


def test_the_finding_is_sorted_even_if_the_server_does_not_sort(
    sandbox: Sandbox, client: OllangClient
) -> None:
    listed(
        sandbox,
        order("third", createdAt="2026-01-03T00:00:00Z"),
        order("first", createdAt="2026-01-02T00:30:00+01:00"),
        order("second", createdAt="2026-01-02T00:00:00Z"),
    )

    assert ids_found(client) == ["first", "second", "third"]


def test_a_stale_order_shows_what_a_person_needs(sandbox: Sandbox, client: OllangClient) -> None:
    listed(sandbox, order(createdAt="2026-01-01T00:00:00Z", name=None, projectId=7))

    (found,) = find_stale_orders(client, rule()).orders

    assert found._asdict() == {
        "id": "o-1",
        "name": None,
        "type": "cc",
        "status": "pending",
        "createdAt": "2026-01-01T00:00:00Z",
        "projectId": "7",
        "age": 30.5,
    }


def test_many_pages_are_one_finding(sandbox: Sandbox, client: OllangClient) -> None:
    for age in range(1, 121):
        sandbox.orders.add(age=timedelta(days=age))

    finding = find_stale_orders(client, rule(reference_time=datetime.now(UTC)))

    assert len(finding.orders) == 114
    assert [found.age for found in finding.orders] == [float(age) for age in range(120, 6, -1)]


def test_a_listing_that_breaks_off_is_no_finding(sandbox: Sandbox, client: OllangClient) -> None:
    meta = {"page": 1, "hasNextPage": True}
    sandbox.answer_next(Answer.json(200, {"data": [order()], "meta": meta}))
    sandbox.answer_always(Answer(500))

    with pytest.raises(errors.ServerError):
        find_stale_orders(client, rule())


def test_an_order_that_is_listed_twice_is_found_once(
    sandbox: Sandbox, client: OllangClient
) -> None:
    listed(sandbox, order("a"), order("b"), order("a"))

    finding = find_stale_orders(client, rule())

    assert ([found.id for found in finding.orders], finding.examined) == (["a", "b"], 2)


# In doubt, an order is not stale.


@pytest.mark.parametrize(
    "item",
    [
        *(
            order(createdAt=value)
            for value in (None, "", "yesterday", "2026-01-01", 0, 1.5, [], {})
        ),
        order(createdAt="2026-01-01T00:00:00"),  # no zone
        order(createdAt="2026-02-30T00:00:00Z"),
        *(order(createdAt=f"{year}-01-01T00:00:00Z") for year in ("0001", "1970", "1999")),
        *(order(status=value) for value in (None, "", "Pending", "PENDING", "archived", 1, [], {})),
        *(order(value) for value in (None, "", "None", "null", "..", "a/b", 5, True, [], {}, " a")),
        {},
        None,
        "o-1",
        5,
    ],
)
def test_an_order_in_doubt_is_left_alone_and_named(
    sandbox: Sandbox, client: OllangClient, item: Any
) -> None:
    listed(sandbox, item, order("certain"))

    finding = find_stale_orders(client, rule())

    assert [found.id for found in finding.orders] == ["certain"]
    assert (finding.examined, len(finding.doubtful)) == (2, 1)
    if isinstance(item, dict) and "id" in item:
        assert repr(item["id"]) in finding.doubtful[0]


@pytest.mark.parametrize("missing", ["id", "status", "createdAt"])
def test_an_order_that_lacks_a_field_is_left_alone(
    sandbox: Sandbox, client: OllangClient, missing: str
) -> None:
    item = order()
    del item[missing]
    listed(sandbox, item)

    finding = find_stale_orders(client, rule())

    assert (finding.orders, len(finding.doubtful)) == ([], 1)


@pytest.mark.parametrize("fields", [{}, {"exclude_name_matches": re.compile("sandbox-key")}])
def test_an_order_whose_name_holds_the_key_is_in_doubt_and_does_not_show_it(
    sandbox: Sandbox, client: OllangClient, fields: dict[str, Any]
) -> None:
    listed(sandbox, order("o-1", name=f"by {sandbox.api_key}"), order("o-2", name="*** plain ***"))
    finding = find_stale_orders(client, rule(**fields))

    assert [found.id for found in finding.orders] == ["o-2"]
    assert finding.doubtful == ["order 'o-1' ('by ***'): its name holds the API key"]


@pytest.mark.parametrize("name", [None, 5, ["keep"], {"en": "keep"}])
def test_an_order_without_a_name_is_in_doubt_where_names_are_excluded(
    sandbox: Sandbox, client: OllangClient, name: Any
) -> None:
    listed(sandbox, order(name=name))

    finding = find_stale_orders(client, rule(exclude_name_matches=re.compile("keep")))

    assert (finding.orders, len(finding.doubtful)) == ([], 1)
    assert ids_found(client) == ["o-1"]
    assert ids_found(client, name_matches=re.compile("keep")) == []


@pytest.mark.parametrize("status", ["archived", "reviewing", ""])
def test_an_unknown_status_is_not_stale_even_if_it_is_asked_for(
    sandbox: Sandbox, client: OllangClient, status: str
) -> None:
    listed(sandbox, order(status=status))

    assert ids_found(client, statuses=(status,)) == []


def test_a_date_in_the_future_is_never_stale(sandbox: Sandbox, client: OllangClient) -> None:
    listed(sandbox, order(createdAt="2999-01-01T00:00:00Z"))

    assert ids_found(client) == []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
plausible = {
    "id": st.sampled_from(["o-1", "None", "a/b"]),
    "name": st.sampled_from(["a", "keep this"]),
    "type": st.sampled_from(["cc", "other"]),
    "status": st.sampled_from(["pending", "ongoing", "Pending"]),
    "createdAt": st.sampled_from([OLD, "2026-01-01T00:00:00", "2026-01-30T00:00:00Z"]),
    "projectId": st.sampled_from(["p-1", "p-2"]),
}
any_order = st.fixed_dictionaries(
    {}, optional={name: json_values | values for name, values in plausible.items()}
)


@pytest.mark.parametrize("collection", [tuple, frozenset])
@given(fields=any_order)
def test_no_order_breaks_the_rule_and_only_a_certain_one_is_stale(
    collection: Any, fields: dict[str, Any]
) -> None:
    strict = rule(
        statuses=collection(["pending"]),
        order_types=collection(["cc"]),
        project_ids=collection(["p-1"]),
        exclude_name_matches=re.compile("keep"),
        exclude_order_ids=collection(["o-9"]),
    )
    order = Order.from_json(json.loads(json.dumps(fields)))

    if strict.doubt(order) is None and strict.is_stale(order):
        assert fields["status"] == "pending"
        assert (fields["type"], fields["projectId"]) == ("cc", "p-1")
        assert isinstance(fields["name"], str)
        assert re.fullmatch("[A-Za-z0-9_-]{1,128}", fields["id"])
        assert order.created is not None
        assert order.created <= NOW - WEEK


@given(st.sampled_from(sorted(STATUSES)), st.datetimes(min_value=datetime(2000, 1, 1)))
def test_a_certain_order_is_stale_by_age_and_status(status: str, created: datetime) -> None:
    created = created.replace(tzinfo=UTC)
    certain = Order.from_json(order(status=status, createdAt=created.isoformat()))

    assert rule().doubt(certain) is None
    assert rule().is_stale(certain) == (status == "pending" and created <= NOW - WEEK)


# Tripwires.


@pytest.mark.parametrize(
    ("stale", "total", "max_orders", "max_share", "trips"),
    [
        (0, None, None, None, False),
        (10**6, None, None, None, False),
        (5, None, 5, None, False),
        (6, None, 5, None, True),
        (0, None, 0, None, False),
        (1, None, 0, None, True),
        (0, 100, None, 0, False),
        (1, 100, None, 0, True),
        (29, 100, None, 0.29, False),
        (30, 100, None, 0.29, True),
        (7, 100, None, 0.07, False),
        (57, 100, None, 0.57, False),
        (1, 3, None, 1 / 3, False),
        (100, 100, None, 1, False),
        (101, 100, None, 1, True),  # the world is wrong
        (0, 0, None, 0, False),
        (0, 0, None, 0.5, False),
        (1, 0, None, 0.5, True),
        (1, 0, None, 1, True),
        (1, None, None, 0.5, True),  # unknown
        (5, 100, 5, 0.05, False),
        (6, 100, 5, 0.5, True),
        (5, 100, 50, 0.01, True),
    ],
)
def test_a_wire_is_tripped_by_more_than_its_limit(
    stale: int,
    total: int | None,
    max_orders: int | None,
    max_share: float | None,
    trips: bool,
) -> None:
    reason = tripped_wire(stale, total=total, max_orders=max_orders, max_share=max_share)

    assert (reason is not None) is trips
    assert reason is None or str(stale) in reason


@given(st.integers(1, 10**6), st.data())
def test_a_share_is_exact(total: int, data: st.DataObject) -> None:
    stale = data.draw(st.integers(0, total - 1))
    share = stale / total

    assert tripped_wire(stale, total=total, max_orders=None, max_share=share) is None
    assert tripped_wire(stale + 1, total=total, max_orders=None, max_share=share) is not None


def test_all_orders_are_counted_by_an_unfiltered_listing(
    sandbox: Sandbox, client: OllangClient
) -> None:
    for status in ("pending", "completed", "cancelled"):
        sandbox.orders.add(status=status)

    assert count_all_orders(client) == 3
    assert not any(name.startswith("filter") for name in sandbox.requests[0].query)


@pytest.mark.parametrize("count", [None, "3", -1, True, 2.5, []])
def test_an_unknown_count_is_an_error(sandbox: Sandbox, client: OllangClient, count: Any) -> None:
    meta = {"page": 1, "hasNextPage": False, "itemCount": count}
    sandbox.answer_always(Answer.json(200, {"data": [], "meta": meta}))

    with pytest.raises(errors.UnexpectedAnswerError, match="itemCount"):
        count_all_orders(client)
