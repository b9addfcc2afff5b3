"""One order, cancelled by a task that is tried twice, a second apart if nothing else counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.providers.common.compat.sdk import DAG, Param

from airflow_provider_ollang.operators.ollang import CancelOrderOperator

with DAG(
    dag_id="one_cancel",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    params={"order_id": Param("", type="string")},
):
    CancelOrderOperator(
        task_id="cancel",
        order_id="{{ params.order_id }}",
        retries=1,
        retry_delay=timedelta(seconds=1),
    )
