"""The clean-up that a person approves, answered through Airflow's own REST API."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_ollang.sandbox import Sandbox
from tests.scheduler.scheduler import Scheduler, wait_for

DAG_ID = "example_ollang_cleanup_with_approval"
APPROVAL, BATCH = "approve_cancels", "cancel_approved_orders"


@pytest.fixture(autouse=True)
def orders(sandbox: Sandbox) -> list[str]:
    """Three stale orders, one of them with a name that would forge the table, and a young one."""
    sandbox.reset()
    sandbox.orders.clear()
    names = ["plain", "| [x](javascript:alert(1))\n| forged | row |", "https://evil.example"]
    stale = [sandbox.orders.add(age=timedelta(days=30 - i), name=n) for i, n in enumerate(names)]
    sandbox.orders.add(age=timedelta(days=1), name="young")
    return [order["id"] for order in stale]


def statuses(sandbox: Sandbox) -> list[str]:
    return [order["status"] for order in sandbox.orders]


def question(scheduler: Scheduler, dag_id: str, run_id: str) -> Any:
    """Return what a person is asked, once it is asked."""

    def asked() -> Any:
        path = f"/dags/{dag_id}/dagRuns/{run_id}/hitlDetails"
        return scheduler.call("GET", path)["hitl_details"]

    return wait_for(asked)[0]


def answer(scheduler: Scheduler, run_id: str, option: str) -> None:
    # Airflow 3.3.2 fails the approval, and nothing is cancelled, if the answer comes before the
    # scheduler has heard that the asking process ended. Nowhere shows when; no person is as quick.
    time.sleep(8)
    path = f"/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances/{APPROVAL}/-1/hitlDetails"
    scheduler.call("PATCH", path, json={"chosen_options": [option]})


def test_what_was_approved_is_cancelled_and_what_moved_on_is_left_alone(
    scheduler: Scheduler, sandbox: Sandbox, orders: list[str]
) -> None:
    run_id = scheduler.trigger(DAG_ID)
    question(scheduler, DAG_ID, run_id)
    assert statuses(sandbox) == ["pending"] * 4
    sandbox.orders.change(orders[1], status="ongoing")
    sandbox.orders.add(age=timedelta(days=40), name="found by nobody")

    answer(scheduler, run_id, "Approve")

    assert scheduler.wait_for_run(DAG_ID, run_id) == "success", scheduler.states(DAG_ID, run_id)
    assert [sandbox.orders.get(i)["status"] for i in orders] == [
        "cancelled",
        "ongoing",
        "cancelled",
    ]
    assert sorted(statuses(sandbox)) == ["cancelled", "cancelled", "ongoing", "pending", "pending"]
    counts = scheduler.xcom(DAG_ID, run_id, BATCH, "counts")
    assert counts == {"total": 3, "cancelled": 2, "status_changed": 1}
    (moved_on,) = scheduler.xcom(DAG_ID, run_id, BATCH, "not_cancelled")
    assert (moved_on["id"], moved_on["outcome"]) == (orders[1], "status_changed")


def test_the_question_shows_one_row_for_each_order_and_no_link(
    scheduler: Scheduler, orders: list[str]
) -> None:
    run_id = scheduler.trigger(DAG_ID)
    body = question(scheduler, DAG_ID, run_id)["body"]
    answer(scheduler, run_id, "Reject")

    rows = [line for line in body.splitlines() if line.startswith("|")][2:]
    assert [row.split(" | ")[0] for row in rows] == [f"| {order_id}" for order_id in orders]
    assert [row.count("|") for row in rows] == [7] * 3
    assert "](" not in body
    assert "http" not in body.replace("https&#8203;&#58;", "")


def test_after_a_rejection_nothing_is_cancelled(scheduler: Scheduler, sandbox: Sandbox) -> None:
    run_id = scheduler.trigger(DAG_ID)
    question(scheduler, DAG_ID, run_id)
    answer(scheduler, run_id, "Reject")

    assert scheduler.wait_for_run(DAG_ID, run_id) == "success"
    assert scheduler.states(DAG_ID, run_id)[BATCH] == "skipped"
    assert statuses(sandbox) == ["pending"] * 4


def test_without_an_answer_in_time_nothing_is_cancelled(
    scheduler: Scheduler, sandbox: Sandbox
) -> None:
    dag_id = "impatient_cleanup_with_approval"
    run_id = scheduler.trigger(dag_id)

    assert scheduler.wait_for_run(dag_id, run_id) == "failed"
    states = scheduler.states(dag_id, run_id)
    assert (states[APPROVAL], states[BATCH]) == ("failed", "upstream_failed")
    assert statuses(sandbox) == ["pending"] * 4


def test_nobody_is_asked_about_nothing(scheduler: Scheduler, sandbox: Sandbox) -> None:
    sandbox.orders.clear()
    run_id = scheduler.trigger(DAG_ID)

    assert scheduler.wait_for_run(DAG_ID, run_id) == "success"
    assert scheduler.states(DAG_ID, run_id)[APPROVAL] == "skipped"
