"""What Airflow does about a long wait that the API asks for, and the metrics that it sends."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from airflow_provider_ollang.sandbox import Sandbox, Stub
from demo.airflow_version import IS_BEFORE_3_3
from tests.scheduler.scheduler import Scheduler, wait_for

CANCELLED, SKIPPED, FAILED = (
    f"airflow.ollang.orders.{name}" for name in ("cancelled", "skipped", "failed")
)


@pytest.fixture
def order_id(sandbox: Sandbox) -> str:
    sandbox.reset()
    sandbox.respond_normally()
    sandbox.orders.clear()
    return sandbox.orders.add()["id"]


def begin(scheduler: Scheduler, order_id: str) -> str:
    return scheduler.trigger("one_cancel", {"order_id": order_id})


def wait_for_state(scheduler: Scheduler, run_id: str, state: str) -> None:
    wait_for(lambda: scheduler.states("one_cancel", run_id)["cancel"] == state)


def sent(sandbox: Sandbox) -> Counter[str | None]:
    return Counter(request.order_id for request in sandbox.requests if request.is_cancel)


@pytest.mark.skipif(IS_BEFORE_3_3, reason="before 3.3, Airflow has no retry policies")
def test_a_wait_of_an_hour_holds_no_worker_and_outlasts_the_tasks_own_delay(
    scheduler, sandbox, order_id
):
    sandbox.respond_next(Stub(status=429, headers={"Retry-After": "3600"}), method="POST")
    run_id = begin(scheduler, order_id)
    wait_for_state(scheduler, run_id, "up_for_retry")
    time.sleep(8)  # the task's own delay is a second
    assert scheduler.states("one_cancel", run_id) == {"cancel": "up_for_retry"}
    assert sent(sandbox) == {order_id: 1}
    assert "the API asks to wait 3600 s" in scheduler.log("one_cancel", run_id, "cancel")


def test_without_such_a_wait_the_task_is_tried_again_after_its_own_delay(
    scheduler, sandbox, order_id
):
    sandbox.respond_next(Stub(status=501), method="POST")
    run_id = begin(scheduler, order_id)
    assert scheduler.wait_for_run("one_cancel", run_id) == "success"
    assert sent(sandbox) == {order_id: 2}


@pytest.mark.skipif(IS_BEFORE_3_3, reason="before 3.3, Airflow keeps no state of a task")
def test_after_a_retry_the_counts_are_those_of_the_run_and_metrics_count_once(
    scheduler, sandbox, statsd, order_id
):
    ids = [order_id, *(sandbox.orders.add()["id"] for _ in range(2))]
    before = statsd.counts().get(CANCELLED, 0)
    sandbox.respond_next(Stub(status=501), path=f"/integration/orders/cancel/{order_id}")
    run_id = scheduler.trigger("interrupted_batch", {"order_ids": ids})
    assert scheduler.wait_for_run("interrupted_batch", run_id) == "success"

    found = {
        key: scheduler.xcom("interrupted_batch", run_id, "cancel", key)
        for key in ("counts", "cancelled", "not_cancelled")
    }
    assert found["counts"] == {"total": 3, "cancelled": 3}
    assert (sorted(found["cancelled"]), found["not_cancelled"]) == (sorted(ids), [])
    assert sent(sandbox)[order_id] == 2
    wait_for(lambda: statsd.counts().get(CANCELLED, 0) == before + 3, seconds=20)


def test_each_order_is_counted_by_what_became_of_it(scheduler, sandbox, statsd, order_id):
    ids = [order_id, *(sandbox.orders.add()["id"] for _ in range(4))]
    ids += [sandbox.orders.add(status="completed")["id"] for _ in range(3)]
    before = Counter(statsd.counts())
    sandbox.respond_next(Stub(status=501), path=f"/integration/orders/cancel/{order_id}")
    run_id = scheduler.trigger("interrupted_batch", {"order_ids": ids})
    assert scheduler.wait_for_run("interrupted_batch", run_id) == "success"

    # The second try skips three once more, before 3.3 also those that the first one cancelled.
    counted = {CANCELLED: 5, SKIPPED: 10 if IS_BEFORE_3_3 else 6, FAILED: 1}
    wait_for(lambda: Counter(statsd.counts()) - before == counted, seconds=20)
