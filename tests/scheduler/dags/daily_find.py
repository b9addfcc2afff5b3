"""A search for stale orders with a schedule, so that it can be backfilled."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_ollang.operators.ollang import FindStaleOrdersOperator

with DAG(
    dag_id="daily_find",
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
):
    FindStaleOrdersOperator(
        task_id="find", older_than="P7D", retries=2, retry_delay=timedelta(seconds=1)
    )
