from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any
from zoneinfo import ZoneInfo

import pendulum
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_ollang.api import errors
from airflow_provider_ollang.api.client import OllangClient
from airflow_provider_ollang.api.models import STATUSES, Order, format_time
from airflow_provider_ollang.cleanup.conditions import NamePattern
from airflow_provider_ollang.cleanup.stale import (
    StaleOrder,
    StaleRule,
    exceeded_safety_limit,
    find_stale_orders,
    select,
)
from airflow_provider_ollang.sandbox import Sandbox, Stub
from tests.anything import any_json
from tests.api.conftest import RawServer

NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
WEEK = timedelta(days=7)
OLD = "2026-01-01T00:00:00.000Z"
LISTING = "/integration/orders"


def rule(**fields: Any) -> StaleRule:
    return StaleRule(**{"reference_time": NOW, "older_than": WEEK, **fields})


def listed(sandbox: Sandbox, *items: Any) -> None:
    """Let the server give just these items, whatever it is asked for."""
    meta = {"page": 1, "hasNextPage": False, "itemCount": len(items)}
    sandbox.respond_always(Stub.json(200, {"data": list(items), "meta": meta}), path=LISTING)


def order(order_id: Any = "o-1", **fields: Any) -> dict[str, Any]:
    known = {"name": "n", "type": "cc", "status": "pending", "createdAt": OLD, "projectId": "p-1"}
    return {"id": order_id, **known, **fields}


def ids_found(client: OllangClient, **fields: Any) -> list[str]:
    return [found.id for found in find_stale_orders(client, rule(**fields)).orders]


# The rule, whatever the server makes of the query.


@pytest.mark.parametrize(
    ("fields", "stale"),
    [
        ({}, ["a", "b", "C"]),
        ({"statuses": ("ongoing",)}, ["d"]),
        ({"statuses": ("pending", "ongoing")}, ["a", "b", "C", "d"]),
        ({"statuses": ()}, []),
        ({"order_types": ("cc",)}, ["a", "b"]),
        ({"order_types": ("document", "other")}, ["C"]),
        ({"order_types": ()}, []),
        ({"project_ids": ("p-2",)}, ["b"]),
        ({"project_ids": ("p-1", "p-2")}, ["a", "b", "C"]),
        ({"project_ids": ()}, []),
        ({"name_matches": NamePattern("draft$")}, ["a"]),
        ({"name_matches": NamePattern("^draft$")}, []),
        ({"exclude_name_matches": NamePattern("keep")}, ["a", "C"]),
        ({"exclude_order_ids": frozenset({"A", "c"})}, ["b"]),
        ({"exclude_order_ids": ("a",), "order_types": ("cc",)}, ["b"]),
        ({"older_than": timedelta(days=30)}, ["a", "b", "C"]),
        ({"older_than": timedelta(days=31)}, []),
    ],
)
def test_every_filter_is_checked_again(sandbox, client, fields, stale):
    listed(
        sandbox,
        order("a", name="a draft"),
        order("b", name="please keep", projectId="p-2"),
        order("C", type="document", name="c"),
        order("d", status="ongoing"),
        order("e", status="completed"),
        order("young", createdAt=format_time(NOW)),
    )

    assert ids_found(client, **fields) == stale


@pytest.mark.parametrize(
    ("since_cut_off", "is_stale"),
    [(timedelta(milliseconds=-1), True), (timedelta(), True), (timedelta(milliseconds=1), False)],
)
def test_the_cut_off_itself_is_stale(sandbox, client, since_cut_off, is_stale):
    listed(sandbox, order(createdAt=format_time(NOW - WEEK + since_cut_off)))
    assert bool(ids_found(client)) is is_stale


@pytest.mark.parametrize(
    "noon",
    [
        datetime(2026, 3, 29, 12, tzinfo=ZoneInfo("Europe/Berlin")),
        pendulum.datetime(2026, 3, 29, 12, tz="Europe/Berlin"),  # as Airflow gives its times
    ],
)
def test_an_age_is_elapsed_time_where_the_clock_was_set_forward(noon):
    half_a_day = rule(reference_time=noon, older_than=timedelta(hours=12))
    assert half_a_day.cut_off == datetime(2026, 3, 28, 22, tzinfo=UTC)


def test_the_server_is_asked_for_old_orders_oldest_first(sandbox, client):
    find_stale_orders(client, rule(order_types=("cc",), project_ids=("p-1", "p-2")))
    asked = sandbox.requests[0].query
    assert asked["filter[createdAtRange][to]"] == "2026-01-24T12:00:00.000Z"
    assert asked["pageOptions[orderBy]"] == "createdAt"
    assert asked["pageOptions[orderDirection]"] == "asc"
    assert (asked["filter[type]"], asked["filter[status]"]) == ("cc", "pending")
    assert "filter[projectId]" not in asked


def test_the_finding_is_sorted_even_if_the_server_does_not_sort(sandbox, client):
    listed(
        sandbox,
        order("third", createdAt="2026-01-03T00:00:00Z"),
        order("first", createdAt="2026-01-02T00:30:00+01:00"),
        order("second", createdAt="2026-01-02T00:00:00Z"),
    )
    assert ids_found(client) == ["first", "second", "third"]


def test_a_stale_order_shows_what_a_person_needs(sandbox, client):
    listed(
        sandbox,
        order(createdAt="2026-01-01T00:00:00Z", name=None, projectId=7, sourceLanguage="en"),
    )

    (found,) = find_stale_orders(client, rule()).orders

    assert found._asdict() == {
        "id": "o-1",
        "name": None,
        "type": "cc",
        "status": "pending",
        "createdAt": "2026-01-01T00:00:00Z",
        "projectId": "7",
        "age": 30.5,
        "sourceLanguage": "en",
        "targetLanguage": None,
    }


def test_what_is_kept_of_an_order_is_bounded(sandbox, client):
    long = "x" * 500_000
    listed(sandbox, order(name=f"Trailer {long}", targetLanguage=long))
    (found,) = find_stale_orders(client, rule()).orders
    assert found.name is not None
    assert found.name.startswith("Trailer xxx")
    assert len(json.dumps(found)) < 3000


# An invalid order is never stale.


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
        *({k: v for k, v in order().items() if k != it} for it in ("id", "status", "createdAt")),
        *(order(value) for value in (None, "", "None", "null", "..", "a/b", 5, True, [], {}, " a")),
        {},
        None,
        "o-1",
        5,
    ],
)
def test_an_invalid_order_is_left_alone_and_named(sandbox, client, item):
    listed(sandbox, item, order("certain"))
    finding = find_stale_orders(client, rule())
    assert [found.id for found in finding.orders] == ["certain"]
    assert (finding.examined, len(finding.invalid)) == (2, 1)
    if isinstance(item, dict) and "id" in item:
        assert repr(item["id"]) in finding.invalid[0]


@pytest.mark.parametrize("fields", [{}, {"exclude_name_matches": NamePattern("sandbox-key")}])
def test_an_order_whose_name_holds_the_key_is_invalid_and_does_not_show_it(sandbox, client, fields):
    listed(sandbox, order("o-1", name=f"by {sandbox.api_key}"), order("o-2", name="*** plain ***"))
    finding = find_stale_orders(client, rule(**fields))
    assert [found.id for found in finding.orders] == ["o-2"]
    assert finding.invalid == ["order 'o-1' ('by ***'): its name holds the API key"]


@pytest.mark.parametrize("name", [None, 5, ["keep"], {"en": "keep"}])
def test_an_order_without_a_name_is_invalid_where_names_are_excluded(sandbox, client, name):
    listed(sandbox, order(name=name))
    finding = find_stale_orders(client, rule(exclude_name_matches=NamePattern("keep")))
    assert (finding.orders, len(finding.invalid)) == ([], 1)
    assert ids_found(client) == ["o-1"]
    assert ids_found(client, name_matches=NamePattern("keep")) == []


@pytest.mark.parametrize("status", ["archived", "reviewing", ""])
def test_an_unknown_status_is_not_stale_even_if_it_is_asked_for(sandbox, client, status):
    listed(sandbox, order(status=status))
    assert ids_found(client, statuses=(status,)) == []


plausible = {
    "id": st.sampled_from(["o-1", "None", "a/b"]),
    "name": st.sampled_from(["a", "keep this"]),
    "type": st.sampled_from(["cc", "other"]),
    "status": st.sampled_from(["pending", "ongoing", "Pending"]),
    "createdAt": st.sampled_from([OLD, "2026-01-01T00:00:00", "2026-01-30T00:00:00Z"]),
    "projectId": st.sampled_from(["p-1", "p-2"]),
}
any_order = st.fixed_dictionaries(
    {}, optional={name: any_json | values for name, values in plausible.items()}
)


@given(any_order)
def test_no_order_breaks_the_rule_and_only_a_certain_one_is_stale(fields):
    strict = rule(
        order_types=("cc",), project_ids=("p-1",), exclude_name_matches=NamePattern("keep")
    )
    order = Order.from_json(fields)

    is_valid = strict.invalid_reason(order) is None
    if is_valid and strict.matches(order) and not strict.exclusions.unmet(order):
        assert (fields["status"], fields["type"], fields["projectId"]) == ("pending", "cc", "p-1")
        assert isinstance(fields["name"], str)
        assert re.fullmatch("[A-Za-z0-9_-]{1,128}", fields["id"])
        assert order.created is not None
        assert order.created <= NOW - WEEK


@given(st.sampled_from(sorted(STATUSES)), st.datetimes(min_value=datetime(2000, 1, 1)))
def test_a_certain_order_is_stale_by_age_and_status(status, created):
    created = created.replace(tzinfo=UTC)
    certain = Order.from_json(order(status=status, createdAt=created.isoformat()))
    assert rule().invalid_reason(certain) is None
    assert rule().matches(certain) == (status == "pending" and created <= NOW - WEEK)


# Folders: a listing does not show them, so each candidate is read.


FOLDERS = {"a": "f-1", "b": "F-Legal", "c": "f-2", "d": None}


@pytest.fixture
def in_folders(sandbox: Sandbox) -> Sandbox:
    for order_id, folder in FOLDERS.items():
        sandbox.orders.add(id=order_id, createdAt=OLD, folderId=folder, name="n")
    return sandbox


@pytest.mark.parametrize(
    ("fields", "stale", "unseen"),
    [
        ({"folder_ids": ("f-1", "f-2")}, ["a", "c"], []),
        ({"folder_ids": ("f-legal", "f-2")}, ["c"], ["f-legal"]),
        ({"exclude_folder_ids": ("f-legal", "f-1")}, ["c"], []),
        ({"exclude_folder_ids": ("legal",)}, ["a", "b", "c"], ["legal"]),
        ({"folder_ids": ("f-1", "f-2"), "exclude_folder_ids": ("F-1",)}, ["c"], []),
    ],
)
def test_orders_are_told_apart_by_their_folder(in_folders, client, fields, stale, unseen):
    finding = find_stale_orders(client, rule(**fields))
    assert [found.id for found in finding.orders] == stale
    assert finding.invalid == ["order 'd' ('n'): its folderId is None, and the rule names folders"]
    assert [id_ for ids in finding.unmatched_ids.values() for id_ in ids.values()] == unseen
    assert len(in_folders.requests) == 1 + len(FOLDERS)


def test_only_candidates_are_read_and_only_for_folders(in_folders, client):
    in_folders.orders.add(id="young", folderId="f-1")
    find_stale_orders(client, rule(exclude_folder_ids=()))
    find_stale_orders(client, rule(folder_ids=("f-1",), exclude_order_ids=("A", "b", "c")))
    assert len(in_folders.requests) == 1 + (1 + 1)


@pytest.mark.parametrize("folder", [None, "", " ", 5, ["f-1"], "missing"])
@pytest.mark.parametrize("field", ["folder_ids", "exclude_folder_ids"])
def test_an_order_without_a_folder_is_invalid_where_one_is_asked_for(
    sandbox, client, folder, field
):
    without = ["folderId"] if folder == "missing" else []
    sandbox.orders.add(createdAt=OLD, folderId=folder, without=without)
    finding = find_stale_orders(client, rule(**{field: ("f-1",)}))
    assert (finding.orders, len(finding.invalid)) == ([], 1)


@pytest.mark.parametrize(
    "fields", [{"status": "ongoing"}, {"name": "keep"}, {"status": "x"}, {"createdAt": "x"}]
)
def test_all_conditions_are_checked_again_on_the_read(sandbox, client, fields):
    sandbox.orders.add(**{"id": "o-1", "createdAt": OLD, "folderId": "f-1", **fields})
    listed(sandbox, order("o-1"))
    strict = {"folder_ids": ("f-1",), "exclude_name_matches": NamePattern("keep")}
    assert ids_found(client, **strict) == []


def test_an_order_that_is_gone_by_now_is_not_stale(in_folders, client):
    listed(in_folders, order("gone"), order("a"))
    finding = find_stale_orders(client, rule(folder_ids=("f-1",)))
    assert ([found.id for found in finding.orders], finding.not_found) == (["a"], ["gone"])


@pytest.mark.parametrize("status", [401, 403, 500])
def test_an_order_that_cannot_be_read_is_an_error_and_not_a_shorter_list(
    in_folders, client, status
):
    in_folders.respond_always(Stub.json(status, {}), path=f"{LISTING}/c")
    with pytest.raises(errors.ApiError):
        find_stale_orders(client, rule(folder_ids=("f-1",)))


def test_folders_are_read_side_by_side(sandbox, client):
    ids = [f"o-{number:03}" for number in range(110)]
    for order_id in ids:
        sandbox.orders.add(id=order_id, createdAt=OLD, folderId="f-1")
    sandbox.respond_always(Stub(delay=0.1), path=f"{LISTING}/*")
    begin = time.monotonic()
    found = ids_found(client, folder_ids=("f-1",))
    together = time.monotonic() - begin

    assert sorted(found) == ids
    assert together < 0.1 * len(ids)  # one after the other, that is the least


# What does not look right.


@pytest.mark.parametrize(
    ("listing", "fails"),
    [
        ([order(f"o-{n}", createdAt="2026-01-01T00:00:00") for n in range(40)], True),
        ([order(f"o-{n}", createdAt="?") for n in range(9)], False),
        ([order(f"o-{n}", createdAt="?" if n % 2 else OLD) for n in range(20)], False),
        ([order(f"o-{n}", createdAt="?" if n % 2 else OLD) for n in range(19, 40)], True),
        ([None] * 10, True),
    ],
    ids=["40 without a zone", "9", "half of them", "one more than half", "no orders"],
)
def test_a_listing_of_mostly_invalid_orders_is_a_failure(sandbox, client, listing, fails):
    listed(sandbox, *listing)
    finding = find_stale_orders(client, rule())
    assert (finding.failure is not None) is fails
    assert finding.failure is None or f"of {len(listing)} listed" in finding.failure


@pytest.mark.parametrize(("others", "fails"), [(0, True), (1, False)])
def test_no_folder_at_all_is_a_failure_and_some_without_one_are_not(sandbox, client, others, fails):
    for number in range(10 + others):
        sandbox.orders.add(createdAt=OLD, folderId="f-1" if number >= 10 else None)
    finding = find_stale_orders(client, rule(folder_ids=("f-1",)))
    assert (finding.failure is not None) is fails


@pytest.mark.parametrize(
    ("ahead", "date", "is_refused"),
    [
        (timedelta(days=8), True, True),
        (timedelta(minutes=6), True, True),
        (timedelta(minutes=4), True, False),
        (timedelta(days=-8), True, False),
        (timedelta(days=8), None, False),
        (timedelta(days=8), "yesterday", False),
    ],
)
def test_a_reference_time_later_than_the_apis_clock_is_refused(ahead, date, is_refused):
    now = datetime.now(UTC)
    if date is not None:
        date = f"Date: {format_datetime(now, usegmt=True) if date is True else date}\r\n"
    body = json.dumps({"data": [order()], "meta": {"page": 1, "hasNextPage": False}})
    head = f"HTTP/1.1 200 OK\r\n{date or ''}Content-Length: {len(body)}\r\n\r\n"
    with RawServer((head + body).encode()) as server, server.client() as client:
        late = rule(reference_time=now + ahead)
        if not is_refused:
            assert find_stale_orders(client, late).examined == 1
            return
        with pytest.raises(errors.InvalidInputError) as caught:
            find_stale_orders(client, late)
    message = str(caught.value)
    assert (now + ahead).isoformat() in message
    assert now.replace(microsecond=0).isoformat() in message


@pytest.mark.parametrize(
    ("fields", "unseen"),
    [
        ({"exclude_order_ids": ("A", "b", "Missing")}, ["Missing"]),
        ({"project_ids": ("p-1", "p-9")}, ["p-9"]),
        ({"project_ids": ("P-1",)}, ["P-1"]),
        ({}, []),
    ],
)
def test_an_id_that_the_listing_does_not_have_is_named(sandbox, client, fields, unseen):
    listed(sandbox, order("a"), order("b", status="ongoing"))
    finding = find_stale_orders(client, rule(**fields))
    assert [id_ for ids in finding.unmatched_ids.values() for id_ in ids.values()] == unseen


# A limit.


def stale_orders(count: int) -> list[StaleOrder]:
    ids = [f"o-{number:03}" for number in range(count)]
    return [StaleOrder(it, None, None, "pending", OLD, None, 9.0) for it in ids]


def test_every_order_is_reached_although_the_oldest_are_refused_every_time():
    left = stale_orders(50)
    refused = {order.id for order in left[:5]}
    for day in range(40):
        cancelled = {order.id for order in select(left, 5, NOW + timedelta(days=day))} - refused
        left = [order for order in left if order.id not in cancelled]
    assert {order.id for order in left} == refused


def test_a_selection_is_the_same_for_a_run_and_oldest_first():
    orders = stale_orders(50)
    same_time = NOW.astimezone(timezone(timedelta(hours=5)))
    selected = select(orders, 20, NOW)
    assert len(selected) == 20
    assert selected == sorted(selected) == select(orders[::-1], 20, same_time)[::-1]
    assert selected != select(orders, 20, NOW + timedelta(days=1))
    # What other orders there are changes nothing: a retry may find a few less.
    assert set(selected[1:]) < set(select([it for it in orders if it != selected[0]], 20, NOW))


@pytest.mark.parametrize(("limit", "count"), [(None, 9), (9, 9), (10, 9), (1, 1), (0, 0)])
def test_a_limit_is_how_many_there_are_at_most(limit, count):
    assert len(select(stale_orders(9), limit, NOW)) == count


# Safety limits.


@pytest.mark.parametrize(
    ("stale", "total", "max_orders", "max_share", "is_hit"),
    [
        (0, None, None, None, False),
        (10**6, None, None, None, False),
        (5, None, 5, None, False),
        (6, None, 5, None, True),
        (0, None, 0, None, False),
        (1, None, 0, None, True),
        (1, 100, None, 0, True),
        (100, 100, None, 1, False),
        (101, 100, None, 1, True),  # more than there are
        (0, 0, None, 0.5, False),
        (1, 0, None, 1, True),
        (1, None, None, 0.5, True),  # unknown
        (5, 100, 5, 0.05, False),
        (6, 100, 5, 0.5, True),
        (5, 100, 50, 0.01, True),
    ],
)
def test_a_safety_limit_is_hit_by_more_than_it_allows(stale, total, max_orders, max_share, is_hit):
    reason = exceeded_safety_limit(stale, total, max_orders, max_share)
    assert (reason is not None) is is_hit
    assert reason is None or str(stale) in reason


@given(st.integers(1, 10**6), st.data())
def test_a_share_is_exact(total, data):
    stale = data.draw(st.integers(0, total - 1))
    share = stale / total
    assert exceeded_safety_limit(stale, total, None, share) is None
    assert exceeded_safety_limit(stale + 1, total, None, share) is not None


def test_orders_of_any_age_are_counted_by_status(sandbox, client):
    for status in ("pending", "pending", "completed", "cancelled"):
        sandbox.orders.add(status=status)
        sandbox.orders.add(status=status, age=timedelta(days=9), type="cc", projectId="p-1")
    now = datetime.now(UTC)
    only = rule(reference_time=now, order_types=("cc",), project_ids=("p-1",))
    finding = find_stale_orders(client, only, of_any_age=True)
    assert (len(finding.orders), finding.with_status) == (2, 4)
    assert {it for it in sandbox.requests[0].query if "filter" in it} == {"filter[status]"}


def test_invalid_orders_do_not_make_a_share_smaller(sandbox, client):
    listed(sandbox, order("a"), order("b", createdAt="?"), order("c", status="ongoing"))
    assert find_stale_orders(client, rule(), of_any_age=True).with_status == 1
