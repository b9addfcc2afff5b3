"""A list that Airflow keeps over a clear is not cancelled."""

from __future__ import annotations

from datetime import timedelta


def test_a_list_from_before_a_clear_is_not_cancelled(scheduler, sandbox):
    sandbox.reset()
    sandbox.orders.clear()
    sandbox.orders.add(age=timedelta(days=30))
    run_id = scheduler.trigger("old_list")
    assert scheduler.wait_for_run("old_list", run_id) == "failed"
    assert "max_orders=0" in scheduler.log("old_list", run_id, "cancel")

    scheduler.clear("old_list", run_id)

    assert scheduler.wait_for_run("old_list", run_id) == "failed"
    assert scheduler.states("old_list", run_id)["find"] == "upstream_failed"
    for task_id in ("cancel", "cancel_pulled"):
        log = scheduler.log("old_list", run_id, task_id, 2)
        assert "order_ids is from before the run was cleared" in log
    assert not any(request.is_cancel for request in sandbox.requests)
