"""A cleanup has no past to fill in: in a backfill it refuses, and says why."""

from __future__ import annotations

import pytest

from demo.airflow_version import IS_AIRFLOW_2
from tests.scheduler.scheduler import wait_for


@pytest.mark.skipif(IS_AIRFLOW_2, reason="Airflow 2 has no backfills in its REST API")
def test_a_backfill_is_refused_and_a_run_that_is_triggered_is_not(scheduler):
    days = {"from_date": "2026-02-01T00:00:00Z", "to_date": "2026-02-03T00:00:00Z"}
    body = {"dag_id": "daily_find", "max_active_runs": 3, **days}

    def created() -> bool:  # on SQLite the API gives up while the scheduler writes
        response = scheduler.send("POST", "/backfills", json=body)
        return response.ok or "already" in response.text

    wait_for(created)
    triggered = scheduler.trigger("daily_find")

    def backfilled() -> list[str] | None:
        found = scheduler.call("GET", "/dags/daily_find/dagRuns", params={"limit": 50})["dag_runs"]
        runs = [run["dag_run_id"] for run in found if run["run_type"] == "backfill"]
        return runs if len(runs) == 3 else None

    for run_id in wait_for(backfilled):
        assert scheduler.wait_for_run("daily_find", run_id) == "failed"
        assert "A cleanup cannot run in a backfill" in scheduler.log("daily_find", run_id, "find")
    assert scheduler.wait_for_run("daily_find", triggered) == "success"
