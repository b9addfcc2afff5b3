"""Which orders the finder returns, what it pushes, and what makes it fail."""

from __future__ import annotations

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
from airflow_provider_ollang.sandbox import Stub

PROJECT = "65a1f00d3c5e7a0011223301"
LISTING = "/integration/orders"
LANGUAGES = {"sourceLanguage", "targetLanguage"}
ORDER_FIELDS = {"id", "name", "type", "status", "createdAt", "projectId"} | LANGUAGES


def find(**parameters: Any) -> FindStaleOrdersOperator:
    return FindStaleOrdersOperator(task_id="find", **{"older_than": "P7D"} | parameters)


def test_returns_the_stale_orders_oldest_first(add_orders, run):
    nine, thirty, eight, _young = add_orders(9, 30, 8, 6)
    assert run.execute(find()) == [thirty, nine, eight]


def test_reads_every_page_and_only_reads(sandbox, add_orders, run):
    ids = add_orders(*range(130, 9, -1))
    assert run.execute(find()) == ids
    assert len(ids) > 100
    assert {request.method for request in sandbox.requests} == {"GET"}
    assert len(sandbox.requests) == 3


def test_asks_for_orders_up_to_the_cut_off_in_ascending_order(sandbox, make_run):
    run = make_run(datetime(2026, 1, 31, 6, tzinfo=UTC))
    run.execute(find())
    [request] = sandbox.requests
    assert request.query["pageOptions[orderBy]"] == "createdAt"
    assert request.query["pageOptions[orderDirection]"] == "asc"
    cut_off = datetime.fromisoformat(request.query["filter[createdAtRange][to]"])
    assert cut_off == datetime(2026, 1, 24, 6, tzinfo=UTC)


def test_pushes_the_orders_with_all_that_a_person_needs_and_a_table_of_them(
    sandbox, add_orders, run
):
    _old, ten, young = add_orders(20, 10, 2, name="Annual report")
    run.execute(find())
    orders = run.xcoms["orders"]
    assert [order.pop("age") for order in orders] == [20.0, 10.0]
    for order in orders:
        assert order.keys() == ORDER_FIELDS
        assert order.items() <= sandbox.orders.get(order["id"]).items()
    rows = run.xcoms["summary"].splitlines()
    assert "2 stale orders" in rows[0]
    row = f"| 10.0 | Annual report | en → fr | document | {PROJECT} | pending | {ten} |"
    assert rows[-1] == row
    assert young not in run.xcoms["summary"]


@pytest.mark.parametrize("parameters", [{}, {"chunk_size": 5}, {"max_orders": 0}, {"max_share": 0}])
def test_nothing_stale_is_an_empty_list(add_orders, run, parameters):
    add_orders(1, 2)
    assert run.execute(find(**parameters)) == []
    assert run.xcoms["orders"] == []
    assert "0 stale orders" in run.xcoms["summary"]


@pytest.mark.parametrize(
    ("chunk_size", "sizes"), [(1, [1] * 5), (2, [2, 2, 1]), (5, [5]), (500, [5]), ("3", [3, 2])]
)
def test_chunks_hold_every_order_once_and_in_order(add_orders, run, chunk_size, sizes):
    ids = add_orders(50, 40, 30, 20, 10)
    chunks = run.execute(find(chunk_size=chunk_size))
    assert [len(chunk) for chunk in chunks] == sizes
    assert [order_id for chunk in chunks for order_id in chunk] == ids


@pytest.mark.parametrize("limit", [2, "2"])
def test_limit_returns_that_many_and_says_how_many_are_left(add_orders, run, logged, limit):
    ids = add_orders(50, 40, 30, 20, 10)
    found = run.execute(find(limit=limit))
    assert found == sorted(found, key=ids.index)
    assert [order["id"] for order in run.xcoms["orders"]] == found
    assert len(found) == 2
    assert "3 more left for later runs" in run.xcoms["summary"]
    assert "5 stale (3 of them left for later runs)" in logged()


def test_limit_is_the_same_for_each_try_of_a_run_and_comes_before_chunks(add_orders, make_run):
    add_orders(*range(40, 60))
    at = datetime.now(UTC)
    first, retry, other = (
        make_run(at - timedelta(days=days)).execute(find(limit=8, chunk_size=5))
        for days in (0, 0, 1)
    )
    assert first == retry != other
    assert [len(chunk) for chunk in first] == [5, 3]
    assert make_run(at).execute(find(limit=0)) == []


FILTERS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"statuses": ["ongoing", "delayed"]}, {"status": "delayed"}),
    ({"order_types": "['cc', 'other']"}, {"type": "other"}),
    ({"project_ids": ["p0", "p1"]}, {"projectId": "p1"}),
    ({"name_matches": r"^\[test\]"}, {"name": "[test] one"}),
    ({"exclude_name_matches": "else$"}, {"name": "else - or not"}),
    ({"exclude_order_ids": ["other"]}, {"id": "wanted"}),
    ({"folder_ids": ["f1"]}, {"folderId": "f1"}),
    ({"exclude_folder_ids": ["F9"]}, {"folderId": "f1"}),
]


@pytest.mark.parametrize("is_obeyed", [True, False], ids=["server filters", "server does not"])
@pytest.mark.parametrize(("parameters", "fields"), FILTERS)
def test_only_orders_that_pass_the_filter_are_stale(
    sandbox, run, logged, parameters, fields, is_obeyed
):
    other = {"status": "pending", "type": "document", "projectId": "p9", "name": "or else"}
    other |= {"folderId": "f9", **({"status": "completed"} if "statuses" in parameters else {})}
    old = timedelta(days=30)
    sandbox.orders.add(age=old, **other | {"id": "other"})
    sandbox.orders.add(age=timedelta(days=1), **other | fields | {"id": "young"})
    wanted = sandbox.orders.add(age=old, **other | fields)
    if not is_obeyed:
        meta = {"page": 1, "itemCount": 3, "hasNextPage": False}
        data = {"data": list(sandbox.orders), "meta": meta}
        sandbox.respond_always(Stub.json(200, data), path=LISTING)
    assert run.execute(find(**parameters)) == [wanted["id"]]
    excluded = sum(name.startswith("exclude") for name in parameters)
    assert f"1 stale, {excluded} excluded" in logged()


@pytest.mark.parametrize("name", ["order_types", "project_ids", "folder_ids"])
def test_any_can_be_given_where_a_trigger_form_cannot_leave_a_filter_out(
    sandbox, make_run, add_orders, name
):
    ids = add_orders(30, 20)
    run = make_run(params={"value": ["*"]})
    assert run.execute(find(**{name: "{{ params.value }}"})) == ids
    assert len(sandbox.requests) == 1


@pytest.mark.parametrize(
    "parameters", [{"exclude_order_ids": ["no-such-order"]}, {"project_ids": ["p1 ::group::"]}]
)
def test_an_id_that_no_order_has_is_named_in_a_warning(add_orders, run, logged, parameters):
    add_orders(30)
    run.execute(find(**parameters))
    [(name, [value])] = parameters.items()
    said = logged()
    assert f"{name}: none of the orders read has '{value[:2]}" in said
    assert "::group::" not in said


@pytest.mark.parametrize("name", ["x ::group::nothing\n\x1b[1m", "x" * 900_000])
def test_no_name_makes_the_log_unreadable(sandbox, run, logged, name):
    sandbox.orders.add(age=timedelta(days=30), name=name)
    sandbox.orders.add(age=timedelta(days=30), name=name, createdAt="?")
    run.execute(find())
    said = logged()
    assert "Stale: " in said
    assert "Skipped as invalid: " in said
    assert "::group" not in said
    assert "\x1b[1m" not in said
    assert "x" * 100 not in said


def test_xcom_holds_the_oldest_1000_orders_and_the_result_all(sandbox, add_orders, run):
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
def test_a_backfill_is_refused_without_a_request(sandbox, run, dag_run):
    with pytest.raises(AirflowFailException, match="backfill"):
        find().execute(run.context | {"dag_run": dag_run, "data_interval_end": datetime.now(UTC)})
    assert sandbox.requests == []


@pytest.mark.parametrize(
    ("run_type", "catchup", "days", "is_refused"),
    [
        ("scheduled", True, 2, True),
        ("scheduled", True, 0.5, False),
        ("scheduled", False, 2, False),
        ("manual", True, 2, False),
    ],
)
def test_a_run_that_catches_up_on_the_past_is_refused(
    run_type, catchup, days, is_refused, sandbox, make_run
):
    time = datetime.now(UTC) - timedelta(days=days)
    run = make_run(time=time, run_type=run_type, catchup=catchup)
    operator = FindStaleOrdersOperator(task_id="find", older_than="P7D")
    if is_refused:
        with pytest.raises(AirflowFailException, match="Set catchup=False"):
            run.execute(operator)
        assert sandbox.requests == []
    else:
        assert run.execute(operator) is not None


def test_a_listing_of_mostly_invalid_orders_fails_after_it_was_published(sandbox, run, logged):
    for _ in range(40):
        sandbox.orders.add(createdAt="2020-01-01T00:00:00")
    with pytest.raises(AirflowFailException, match="40 of 40 listed orders are invalid"):
        run.execute(find())
    assert run.xcoms["orders_found"] == []
    assert "40 skipped as invalid" in run.xcoms["summary"]
    assert "Skipped as invalid: " in logged()


def test_only_pending_orders_are_stale_unless_told_otherwise(sandbox, run):
    for status in ("ongoing", "completed", "delivered", "cancelled", "revision", "review"):
        sandbox.orders.add(age=timedelta(days=90), status=status)
    assert run.execute(find()) == []


WIRES: list[tuple[dict[str, Any], str]] = [
    ({"max_orders": "2"}, "Safety limit hit.*3 stale orders, max_orders=2"),
    ({"max_orders": 0}, "max_orders=0"),
    ({"max_share": "0.42"}, "3 of 7 orders.* are stale"),
    ({"max_share": 0}, "max_share"),
    ({"max_orders": 2, "limit": 1}, "max_orders"),
    ({"max_share": 0.2, "limit": 1}, "max_share"),
    ({"max_orders": 2, "chunk_size": 1}, "max_orders"),
    ({"max_orders": 9, "max_share": 0.1}, "max_share"),
]


@pytest.fixture
def ten_orders(add_orders: Callable[..., list[str]]) -> list[str]:
    """Return the three stale orders of ten, oldest first; seven are pending."""
    stale = add_orders(30, 20, 10)
    add_orders(1, 2, 3, 4)
    add_orders(40, 50, 60, status="completed")
    return stale


@pytest.mark.parametrize(("parameters", "said"), WIRES)
def test_a_safety_limit_fails_without_retries_after_it_has_pushed_what_it_found(
    ten_orders, run, parameters, said
):
    with pytest.raises(AirflowFailException, match=said):
        run.execute(find(**parameters))
    assert [order["id"] for order in run.xcoms["orders_found"]] == ten_orders
    # A task that takes these would go on once somebody marks the failed one as success.
    assert "orders" not in run.xcoms
    assert all(order_id in run.xcoms["summary"] for order_id in ten_orders)


@pytest.mark.parametrize(
    "parameters", [{"max_orders": 3}, {"max_share": 1}, {"max_orders": 1000, "max_share": "0.43"}]
)
def test_what_a_safety_limit_allows_passes(ten_orders, run, parameters):
    assert run.execute(find(**parameters)) == ten_orders


def test_max_share_is_not_diluted_by_the_accounts_history(add_orders, run):
    add_orders(*[30] * 5)
    add_orders(*range(100, 195), status="delivered")
    with pytest.raises(AirflowFailException, match="5 of 5 orders"):
        run.execute(find(max_share=0.5))


def test_ages_count_to_the_runs_own_time(add_orders, make_run):
    _eight, twelve = add_orders(8, 12)
    run = make_run(datetime.now(UTC) - timedelta(days=3))
    assert run.execute(find()) == [twelve]
    assert run.xcoms["orders"][0]["age"] == 9.0


def test_a_retry_sees_the_same_cut_off(sandbox, make_run, make_ti):
    time = datetime(2026, 1, 31, 6, tzinfo=UTC)
    for number in (1, 2):
        make_run(time, ti=make_ti(try_number=number)).execute(find())
    first, second = (request.path for request in sandbox.requests)
    assert first == second


def test_before_airflow_3_ages_count_to_the_end_of_the_data_interval(add_orders, run):
    _eight, twelve = add_orders(8, 12)
    end = datetime.now(UTC) - timedelta(days=3)
    airflow_2 = {"dag_run": SimpleNamespace(), "data_interval_end": end}
    run.task = find()
    assert run.task.execute(run.context | airflow_2) == [twelve]


@pytest.mark.parametrize("source", ["{{ params.at }}", datetime.now(UTC) - timedelta(days=3)])
def test_reference_time_overrules_the_runs_time(add_orders, make_run, source):
    _eight, twelve = add_orders(8, 12)
    run = make_run(params={"at": datetime.now(UTC) - timedelta(days=3)})
    assert run.execute(find(reference_time=source)) == [twelve]


@pytest.mark.parametrize("is_the_runs_own", [False, True])
def test_a_time_in_the_future_is_refused_without_a_request(sandbox, make_run, is_the_runs_own):
    ahead = datetime.now(UTC) + timedelta(days=1)
    run = make_run(ahead) if is_the_runs_own else make_run()
    operator = find() if is_the_runs_own else find(reference_time=ahead)
    with pytest.raises(AirflowFailException, match=r"reference_time.*future"):
        run.execute(operator)
    assert sandbox.requests == []


BROKEN_OFF = [
    (Stub(fault="503"), AirflowException),
    (Stub(200, body=b"<html>"), AirflowException),
    (Stub.json(401, {"code": "UNAUTHORIZED"}), AirflowFailException),
    (Stub.json(400, {"message": ["bad query"]}), AirflowFailException),
]


@pytest.mark.parametrize(("response", "kind"), BROKEN_OFF)
def test_a_listing_cut_short_is_an_error_and_not_a_shorter_list(
    sandbox, add_orders, run, response, kind
):
    add_orders(*range(130, 9, -1))
    sandbox.respond_next(Stub(), path=LISTING)  # the first page comes as it should
    sandbox.respond_always(response, path=LISTING)
    with pytest.raises(AirflowException) as caught:
        run.execute(find())
    assert type(caught.value) is kind
    assert "orders" not in run.xcoms


def test_a_pattern_that_takes_for_ever_is_ended_by_the_execution_timeout(add_orders, run):
    add_orders(30, name="a" * 60 + "!")
    with pytest.raises(AirflowTaskTimeout), timeout(1):  # as Airflow runs execute()
        run.execute(find(name_matches="(a+)+$"))
