"""Which orders the finder returns, what it pushes, and what makes it fail."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowTaskTimeout,
    timeout,
)
from airflow.utils.types import DagRunType

from airflow_provider_ollang.operators.ollang import FindStaleOrdersOperator
from airflow_provider_ollang.sandbox import Sandbox, Stub

PROJECT = "65a1f00d3c5e7a0011223301"
AddOrders = Callable[..., list[str]]
LISTING = "/integration/orders"
LANGUAGES = {"sourceLanguage", "targetLanguage"}
ORDER_FIELDS = {"id", "name", "type", "status", "createdAt", "projectId", "age"} | LANGUAGES


def find(**parameters: Any) -> FindStaleOrdersOperator:
    return FindStaleOrdersOperator(task_id="find", **{"older_than": "P7D"} | parameters)


def test_returns_the_stale_orders_oldest_first(add_orders: AddOrders, run: Any) -> None:
    nine, thirty, eight, _young = add_orders(9, 30, 8, 6)
    assert run.execute(find()) == [thirty, nine, eight]


def test_oldest_first_does_not_rely_on_the_servers_order(
    sandbox: Sandbox, add_orders: AddOrders, run: Any
) -> None:
    ids = add_orders(9, 30, 8)
    orders = [sandbox.orders.get(order_id) for order_id in ids]
    meta = {"page": 1, "itemCount": 3, "hasNextPage": False}
    sandbox.respond_always(Stub.json(200, {"data": orders, "meta": meta}))
    assert run.execute(find()) == [ids[1], ids[0], ids[2]]


def test_reads_every_page_and_only_reads(sandbox: Sandbox, add_orders: AddOrders, run: Any) -> None:
    ids = add_orders(*range(130, 9, -1))
    assert run.execute(find()) == ids
    assert len(ids) > 100
    assert {request.method for request in sandbox.requests} == {"GET"}
    assert len(sandbox.requests) == 3


def test_asks_for_orders_up_to_the_cut_off_in_ascending_order(
    sandbox: Sandbox, make_run: Any
) -> None:
    run = make_run(datetime(2026, 1, 31, 6, tzinfo=UTC))
    run.execute(find())
    [request] = sandbox.requests
    assert request.query["pageOptions[orderBy]"] == "createdAt"
    assert request.query["pageOptions[orderDirection]"] == "asc"
    cut_off = datetime.fromisoformat(request.query["filter[createdAtRange][to]"])
    assert cut_off == datetime(2026, 1, 24, 6, tzinfo=UTC)


def test_an_order_just_as_old_as_the_limit_is_stale(sandbox: Sandbox, make_run: Any) -> None:
    at, after = "2026-01-24T06:00:00.000Z", "2026-01-24T06:00:00.001Z"
    stale = sandbox.orders.add(createdAt=at)
    sandbox.orders.add(createdAt=after)
    run = make_run(datetime(2026, 1, 31, 6, tzinfo=UTC))
    assert run.execute(find(older_than=timedelta(days=7))) == [stale["id"]]


def test_pushes_the_orders_with_all_that_a_person_needs(
    sandbox: Sandbox, add_orders: AddOrders, run: Any
) -> None:
    add_orders(10, 20, 2)
    run.execute(find())
    orders = run.xcoms["orders"]
    assert [set(order) for order in orders] == [ORDER_FIELDS, ORDER_FIELDS]
    assert [order["age"] for order in orders] == [20.0, 10.0]
    for order in orders:
        held = sandbox.orders.get(order["id"])
        assert {name: held[name] for name in ORDER_FIELDS - {"age"}} == {
            name: order[name] for name in ORDER_FIELDS - {"age"}
        }


def test_pushes_a_summary_that_lists_the_orders(add_orders: AddOrders, run: Any) -> None:
    ten, young = add_orders(10, 2, name="Annual report")
    run.execute(find())
    rows = run.xcoms["summary"].splitlines()
    assert "1 stale order" in rows[0]
    assert (
        rows[-1] == f"| 10.0 | Annual report | en → fr | document | {PROJECT} | pending | {ten} |"
    )
    assert young not in run.xcoms["summary"]


def test_nothing_stale_is_an_empty_list(add_orders: AddOrders, run: Any) -> None:
    add_orders(1, 2)
    assert run.execute(find()) == []
    assert run.xcoms["orders"] == []
    assert "0 stale orders" in run.xcoms["summary"]


def test_nothing_stale_makes_no_chunks(run: Any, sandbox: Sandbox) -> None:
    assert run.execute(find(chunk_size=5)) == []


@pytest.mark.parametrize(
    ("chunk_size", "sizes"), [(1, [1] * 5), (2, [2, 2, 1]), (5, [5]), (500, [5]), ("3", [3, 2])]
)
def test_chunks_hold_every_order_once_and_in_order(
    add_orders: AddOrders, run: Any, chunk_size: Any, sizes: list[int]
) -> None:
    ids = add_orders(50, 40, 30, 20, 10)
    chunks = run.execute(find(chunk_size=chunk_size))
    assert [len(chunk) for chunk in chunks] == sizes
    assert [order_id for chunk in chunks for order_id in chunk] == ids


@pytest.mark.parametrize("limit", [2, "2"])
def test_limit_returns_that_many_and_says_how_many_are_left(
    add_orders: AddOrders, run: Any, logged: Callable[[], str], limit: Any
) -> None:
    ids = add_orders(50, 40, 30, 20, 10)
    found = run.execute(find(limit=limit))
    assert found == sorted(found, key=ids.index)
    assert [order["id"] for order in run.xcoms["orders"]] == found
    assert len(found) == 2
    assert "3 more are left for later runs" in run.xcoms["summary"]
    assert "5 stale (3 of them left for later runs)" in logged()


def test_each_run_takes_other_orders_and_each_try_of_a_run_the_same(
    add_orders: AddOrders, make_run: Any
) -> None:
    """Orders that are refused, or rejected by a person, every time do not hold up the others."""
    ids = add_orders(*range(40, 60))
    refused, reached = set(ids[-5:]), set()
    for days in range(25):
        at = datetime.now(UTC) - timedelta(days=days)
        first, retry = (set(make_run(at).execute(find(limit=5))) for _ in range(2))
        assert first == retry
        reached |= first - refused
    assert reached == set(ids) - refused


def test_limit_comes_before_chunks(add_orders: AddOrders, run: Any) -> None:
    add_orders(50, 40, 30, 20)
    assert [len(chunk) for chunk in run.execute(find(limit=3, chunk_size=2))] == [2, 1]


def test_a_limit_of_0_returns_none(add_orders: AddOrders, run: Any) -> None:
    add_orders(10, 20)
    assert run.execute(find(limit=0)) == []


FILTERS = [
    pytest.param({"statuses": ["ongoing"]}, {"status": "ongoing"}, id="statuses"),
    pytest.param(
        {"statuses": ["ongoing", "delayed"]}, {"status": "delayed"}, id="several statuses"
    ),
    pytest.param({"order_types": ["cc"]}, {"type": "cc"}, id="order_types"),
    pytest.param({"order_types": "['cc', 'other']"}, {"type": "other"}, id="several types"),
    pytest.param({"project_ids": ["p1"]}, {"projectId": "p1"}, id="project_ids"),
    pytest.param({"project_ids": ["p0", "p1"]}, {"projectId": "p1"}, id="several projects"),
    pytest.param({"name_matches": r"^\[test\]"}, {"name": "[test] one"}, id="name_matches"),
    pytest.param({"name_matches": "draft"}, {"name": "my draft v2"}, id="found anywhere"),
    pytest.param({"folder_ids": ["f1"]}, {"folderId": "f1"}, id="folder_ids"),
    pytest.param({"exclude_folder_ids": ["F9"]}, {"folderId": "f1"}, id="exclude_folder_ids"),
]


@pytest.mark.parametrize("is_obeyed", [True, False], ids=["server filters", "server does not"])
@pytest.mark.parametrize(("parameters", "fields"), FILTERS)
def test_only_orders_that_pass_the_filter_are_stale(
    sandbox: Sandbox, run: Any, parameters: Any, fields: Any, is_obeyed: bool
) -> None:
    other = {"status": "pending", "type": "document", "projectId": "p9", "name": "else"}
    other["folderId"] = "f9"
    if "statuses" in parameters:
        other["status"] = "completed"
    old = timedelta(days=30)
    sandbox.orders.add(age=old, **other)
    sandbox.orders.add(age=timedelta(days=1), **other | fields)
    wanted = sandbox.orders.add(age=old, **other | fields)
    if not is_obeyed:
        meta = {"page": 1, "itemCount": 3, "hasNextPage": False}
        data = {"data": list(sandbox.orders), "meta": meta}
        sandbox.respond_always(Stub.json(200, data), path=LISTING)
    assert run.execute(find(**parameters)) == [wanted["id"]]


@pytest.mark.parametrize("name", ["order_types", "project_ids", "folder_ids"])
def test_any_can_be_given_where_a_trigger_form_cannot_leave_a_filter_out(
    sandbox: Sandbox, make_run: Any, add_orders: AddOrders, name: str
) -> None:
    ids = add_orders(30, 20)
    run = make_run(params={"value": ["*"]})
    assert run.execute(find(**{name: "{{ params.value }}"})) == ids
    assert len(sandbox.requests) == 1


@pytest.mark.parametrize(
    "parameters", [{"exclude_order_ids": ["no-such-order"]}, {"project_ids": ["p1 ::group::"]}]
)
def test_an_id_that_no_order_has_is_named_in_a_warning(
    add_orders: AddOrders, run: Any, logged: Callable[[], str], parameters: Any
) -> None:
    add_orders(30)
    run.execute(find(**parameters))
    [(name, [value])] = parameters.items()
    said = logged()
    assert f"{name}: no order that was read for this rule has '{value[:2]}" in said
    assert "::group::" not in said


@pytest.mark.parametrize("name", ["x ::group::nothing\n\x1b[1m", "x" * 900_000])
def test_no_name_makes_the_log_unreadable(
    sandbox: Sandbox, run: Any, logged: Callable[[], str], name: str
) -> None:
    sandbox.orders.add(age=timedelta(days=30), name=name)
    sandbox.orders.add(age=timedelta(days=30), name=name, createdAt="?")
    run.execute(find())
    said = logged()
    assert "Stale: " in said
    assert "Skipped as invalid: " in said
    assert "::group" not in said
    assert "\x1b[1m" not in said
    assert "x" * 100 not in said


def test_xcom_holds_the_oldest_1000_orders_and_the_result_all(
    sandbox: Sandbox, add_orders: AddOrders, run: Any
) -> None:
    ids = add_orders(*range(2000, 995, -1))
    assert run.execute(find()) == ids
    assert [order["id"] for order in run.xcoms["orders"]] == ids[:1000]
    with pytest.raises(AirflowFailException):
        run.execute(find(max_orders=5))
    assert len(run.xcoms["orders_found"]) == 1000


@pytest.mark.parametrize(
    "dag_run",
    [
        SimpleNamespace(run_after=datetime.now(UTC), run_type=DagRunType.BACKFILL_JOB),
        SimpleNamespace(run_id="backfill__2026-01-01T00:00:00+00:00"),  # Airflow 2
    ],
)
def test_a_backfill_is_refused_without_a_request(sandbox: Sandbox, run: Any, dag_run: Any) -> None:
    with pytest.raises(AirflowFailException, match="backfill"):
        find().execute(run.context | {"dag_run": dag_run, "data_interval_end": datetime.now(UTC)})
    assert sandbox.requests == []


def test_a_listing_of_mostly_invalid_orders_fails_after_it_was_published(
    sandbox: Sandbox, run: Any, logged: Callable[[], str]
) -> None:
    for _ in range(40):
        sandbox.orders.add(createdAt="2020-01-01T00:00:00")
    with pytest.raises(AirflowFailException, match="40 of 40 listed orders are invalid"):
        run.execute(find())
    assert run.xcoms["orders_found"] == []
    assert "40 invalid orders" in run.xcoms["summary"]
    assert "Skipped as invalid: " in logged()


def test_excluded_names_and_ids_are_never_stale(sandbox: Sandbox, run: Any) -> None:
    old = timedelta(days=30)
    sandbox.orders.add(age=old, name="Keep me - keep")
    listed = sandbox.orders.add(age=old, name="Listed")
    wanted = sandbox.orders.add(age=old, name="Stale")
    parameters = {"exclude_name_matches": "- keep$", "exclude_order_ids": [listed["id"]]}
    assert run.execute(find(**parameters)) == [wanted["id"]]


def test_only_pending_orders_are_stale_unless_told_otherwise(sandbox: Sandbox, run: Any) -> None:
    for status in ("ongoing", "completed", "delivered", "cancelled", "revision", "review"):
        sandbox.orders.add(age=timedelta(days=90), status=status)
    assert run.execute(find()) == []


DOUBTS = [
    pytest.param({"createdAt": "yesterday"}, (), id="date"),
    pytest.param({"createdAt": "2020-01-01"}, (), id="date without a zone"),
    pytest.param({"createdAt": 1577836800}, (), id="a number for a date"),
    pytest.param({}, ["createdAt"], id="no date"),
    pytest.param({"status": "onHold"}, (), id="unknown status"),
    pytest.param({"status": None}, (), id="no status"),
    pytest.param({}, ["id"], id="no id"),
    pytest.param({"id": "a/b"}, (), id="an id that is none"),
]


@pytest.mark.parametrize(("fields", "without"), DOUBTS)
def test_an_order_in_doubt_is_left_alone_counted_and_named(
    sandbox: Sandbox, run: Any, logged: Callable[[], str], fields: Any, without: Any
) -> None:
    order = {"name": "Doubtful one", "createdAt": "2020-01-01T00:00:00Z"} | fields
    sandbox.orders.add(**order, without=without)
    # The status filter is for the server to obey: it would hide invalid orders.
    data = {"data": list(sandbox.orders), "meta": {"page": 1, "hasNextPage": False}}
    sandbox.respond_always(Stub.json(200, data))
    assert run.execute(find()) == []
    assert "Doubtful one" in logged()
    assert "1 invalid orders" in run.xcoms["summary"]


def guarded(**parameters: Any) -> dict[str, Any]:
    return parameters


WIRES = [
    pytest.param(
        guarded(max_orders=2), "Safety limit hit.*3 stale orders, max_orders=2", id="number"
    ),
    pytest.param(guarded(max_orders="2"), "max_orders=2", id="number as text"),
    pytest.param(guarded(max_orders=0), "max_orders=0", id="0 allows none"),
    pytest.param(guarded(max_share=0.42), "3 of 7 orders.* are stale", id="share"),
    pytest.param(guarded(max_share="0.42"), "max_share", id="share as text"),
    pytest.param(guarded(max_share=0), "max_share", id="a share of 0 allows none"),
    pytest.param(guarded(max_orders=2, limit=1), "max_orders", id="before limit"),
    pytest.param(guarded(max_share=0.2, limit=1), "max_share", id="share before limit"),
    pytest.param(guarded(max_orders=2, chunk_size=1), "max_orders", id="before chunks"),
    pytest.param(guarded(max_orders=9, max_share=0.1), "max_share", id="the stricter one"),
]


@pytest.fixture
def ten_orders(add_orders: AddOrders) -> list[str]:
    """Return the three stale orders of ten, oldest first; seven are pending."""
    stale = add_orders(30, 20, 10)
    add_orders(1, 2, 3, 4)
    add_orders(40, 50, 60, status="completed")
    return stale


@pytest.mark.parametrize(("parameters", "said"), WIRES)
def test_a_tripwire_fails_without_retries_after_it_has_pushed_what_it_found(
    ten_orders: list[str], run: Any, parameters: Any, said: str
) -> None:
    with pytest.raises(AirflowFailException, match=said):
        run.execute(find(**parameters))
    assert [order["id"] for order in run.xcoms["orders_found"]] == ten_orders
    # A task that takes these would go on once somebody marks the failed one as success.
    assert "orders" not in run.xcoms
    assert all(order_id in run.xcoms["summary"] for order_id in ten_orders)


@pytest.mark.parametrize(
    "parameters",
    [
        guarded(max_orders=3),
        guarded(max_share=0.43),
        guarded(max_share=1),
        guarded(max_orders=1000, max_share="0.43"),
    ],
)
def test_what_a_tripwire_allows_passes(ten_orders: list[str], run: Any, parameters: Any) -> None:
    assert run.execute(find(**parameters)) == ten_orders


@pytest.mark.parametrize("parameters", [guarded(max_orders=0), guarded(max_share=0)])
def test_a_tripwire_of_0_is_not_touched_by_nothing(
    add_orders: AddOrders, run: Any, parameters: Any
) -> None:
    add_orders(1, 2)
    assert run.execute(find(**parameters)) == []


def test_max_share_is_not_diluted_by_the_accounts_history(add_orders: AddOrders, run: Any) -> None:
    add_orders(*[30] * 5)
    add_orders(*range(100, 195), status="delivered")
    with pytest.raises(AirflowFailException, match="5 of 5 orders"):
        run.execute(find(max_share=0.5))


def test_ages_count_to_the_runs_own_time(add_orders: AddOrders, make_run: Any) -> None:
    _eight, twelve = add_orders(8, 12)
    run = make_run(datetime.now(UTC) - timedelta(days=3))
    assert run.execute(find()) == [twelve]
    assert run.xcoms["orders"][0]["age"] == 9.0


def test_a_retry_sees_the_same_cut_off(sandbox: Sandbox, make_run: Any, make_ti: Any) -> None:
    time = datetime(2026, 1, 31, 6, tzinfo=UTC)
    for number in (1, 2):
        make_run(time, ti=make_ti(try_number=number)).execute(find())
    first, second = (request.path for request in sandbox.requests)
    assert first == second


def test_before_airflow_3_ages_count_to_the_end_of_the_data_interval(
    add_orders: AddOrders, make_ti: Any
) -> None:
    _eight, twelve = add_orders(8, 12)
    end = datetime.now(UTC) - timedelta(days=3)
    context = {"dag_run": SimpleNamespace(), "data_interval_end": end, "ti": make_ti()}
    assert find().execute(context) == [twelve]


@pytest.mark.parametrize("as_text", [False, True], ids=["datetime", "text"])
def test_reference_time_overrules_the_runs_time(
    add_orders: AddOrders, run: Any, as_text: bool
) -> None:
    _eight, twelve = add_orders(8, 12)
    time = datetime.now(UTC) - timedelta(days=3)
    operator = find(reference_time=time.isoformat() if as_text else time)
    assert run.execute(operator) == [twelve]


def test_reference_time_takes_a_template(add_orders: AddOrders, make_run: Any) -> None:
    _eight, twelve = add_orders(8, 12)
    run = make_run(params={"at": datetime.now(UTC) - timedelta(days=3)})
    assert run.execute(find(reference_time="{{ params.at }}")) == [twelve]


def test_a_time_in_the_future_is_refused_without_a_request(sandbox: Sandbox, run: Any) -> None:
    ahead = datetime.now(UTC) + timedelta(days=1)
    with pytest.raises(AirflowFailException, match=r"reference_time.*future"):
        run.execute(find(reference_time=ahead))
    assert sandbox.requests == []


def test_a_run_in_the_future_is_refused_without_a_request(sandbox: Sandbox, make_run: Any) -> None:
    run = make_run(datetime.now(UTC) + timedelta(days=1))
    with pytest.raises(AirflowFailException, match="future"):
        run.execute(find())
    assert sandbox.requests == []


@pytest.mark.parametrize("age", ["P9999999D", timedelta.max])
def test_an_age_beyond_all_dates_is_refused_without_a_request(
    sandbox: Sandbox, run: Any, age: Any
) -> None:
    with pytest.raises(AirflowFailException, match="older_than"):
        run.execute(find(older_than=age))
    assert sandbox.requests == []


BROKEN_OFF = [
    pytest.param(Stub(fault="503"), AirflowException, id="503"),
    pytest.param(Stub(fault="reset-before"), AirflowException, id="reset"),
    pytest.param(Stub(200, body=b"<html>"), AirflowException, id="no JSON"),
    pytest.param(Stub.json(200, {"data": []}), AirflowException, id="no meta"),
    pytest.param(Stub.json(200, []), AirflowException, id="a bare list"),
    pytest.param(Stub(302, {"location": "/"}), AirflowException, id="redirect"),
    pytest.param(Stub.json(401, {"code": "UNAUTHORIZED"}), AirflowFailException, id="401"),
    pytest.param(Stub.json(400, {"message": ["bad query"]}), AirflowFailException, id="400"),
]


@pytest.mark.parametrize(("answer", "kind"), BROKEN_OFF)
def test_a_listing_cut_short_is_an_error_and_not_a_shorter_list(
    sandbox: Sandbox, add_orders: AddOrders, run: Any, answer: Stub, kind: type
) -> None:
    add_orders(*range(130, 9, -1))
    sandbox.respond_next(Stub(), path=LISTING)  # the first page comes as it should
    sandbox.respond_always(answer, path=LISTING)
    with pytest.raises(AirflowException) as caught:
        run.execute(find())
    assert type(caught.value) is kind
    assert "orders" not in run.xcoms


def test_trouble_that_passes_leaves_the_listing_whole(
    sandbox: Sandbox, add_orders: AddOrders, run: Any
) -> None:
    ids = add_orders(*range(130, 9, -1))
    sandbox.respond_next(Stub(), Stub(fault="503"), Stub(fault="reset-after"))
    assert run.execute(find()) == ids


def test_a_name_cannot_break_the_summarys_table(add_orders: AddOrders, run: Any) -> None:
    name = "x |\n| fake | row | [a](http://e.example) <b>"
    add_orders(30, name=name)
    run.execute(find())
    rows = [row for row in run.xcoms["summary"].splitlines() if row.startswith("|")]
    assert len(rows) == 3
    assert {row.count("|") for row in rows} == {8}
    assert "<b>" not in rows[-1]
    assert "](" not in rows[-1]


def test_a_pattern_that_takes_for_ever_is_ended_by_the_execution_timeout(
    add_orders: AddOrders, run: Any
) -> None:
    add_orders(30, name="a" * 60 + "!")
    begin = time.monotonic()
    with pytest.raises(AirflowTaskTimeout), timeout(1):  # as Airflow runs execute()
        run.execute(find(name_matches="(a+)+$"))
    assert time.monotonic() - begin < 30
