"""Orders that tasks create and wait for, in every way that a test ends them."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import DAG, Param

from airflow_provider_ollang.operators.ollang import CreateOrderOperator
from airflow_provider_ollang.sensors.ollang import OrderStatusSensor

WAITS: dict[str, dict[str, Any]] = {
    # Airflow 2 may fail the try after a clear: the row of the old trigger goes meanwhile.
    "wait_deferred": {"deferrable": True, "timeout": 600, "retries": 1},
    "wait_deferred_briefly": {"deferrable": True, "timeout": 15},
    "wait_here": {"deferrable": False, "timeout": 600},
    "wait_here_and_retry": {"deferrable": False, "timeout": 600, "retries": 1},
}


def write_process_id(context: Any) -> None:
    """Leave the id of the task's own process where the test finds it."""
    ti = context["ti"]
    path = Path(os.environ["AIRFLOW_HOME"], "processes", f"{ti.run_id}.{ti.try_number}")
    path.parent.mkdir(exist_ok=True)
    path.write_text(str(os.getpid()))


for dag_id, options in WAITS.items():
    with DAG(
        dag_id=dag_id,
        schedule=None,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        params={"order_ids": Param([], type="array")},
    ):
        OrderStatusSensor(
            task_id="wait",
            order_ids="{{ params.order_ids }}",
            poke_interval=1,
            cancel_on_kill=True,
            pre_execute=write_process_id,
            retry_delay=timedelta(seconds=1),
            **options,
        )

with DAG(dag_id="create_orders", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)):
    CreateOrderOperator(
        task_id="create",
        project_id="65a1f00d3c5e7a0011223301",
        order_type="subtitle",
        target_languages=["fr", "de"],
        pre_execute=write_process_id,
        retries=1,
        retry_delay=timedelta(seconds=1),
    )
