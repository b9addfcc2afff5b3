"""Orders that tasks create and wait for, in every way that a test ends them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG, Param

from airflow_provider_ollang.operators.ollang import CreateOrderOperator
from airflow_provider_ollang.sensors.ollang import OrderStatusSensor

WAITS: dict[str, dict[str, Any]] = {
    "wait_deferred": {"deferrable": True, "timeout": 600},
    "wait_deferred_briefly": {"deferrable": True, "timeout": 4},
    "wait_here": {"deferrable": False, "timeout": 600},
    "wait_here_and_retry": {"deferrable": False, "timeout": 600, "retries": 1},
}

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
            retry_delay=timedelta(seconds=1),
            **options,
        )

with DAG(dag_id="create_orders", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)):
    CreateOrderOperator(
        task_id="create",
        project_id="65a1f00d3c5e7a0011223301",
        order_type="subtitle",
        target_languages=["fr", "de"],
        retries=1,
        retry_delay=timedelta(seconds=1),
    )
