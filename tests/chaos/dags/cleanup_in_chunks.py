"""The cleanup in chunks, with a report, and with retries that do not wait."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from airflow.providers.common.compat.sdk import DAG
from airflow.sdk import ExceptionRetryPolicy

from airflow_provider_ollang.operators.ollang import (
    BatchCancelOrdersOperator,
    FindStaleOrdersOperator,
)

with DAG(
    dag_id="cleanup_in_chunks",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    default_args={
        "retries": 5,
        "retry_policy": ExceptionRetryPolicy(rules=[]),
        "retry_delay": timedelta(seconds=1),
    },
):
    find = FindStaleOrdersOperator(
        task_id="find",
        older_than=timedelta(days=7),
        exclude_name_matches="keep",
        max_orders=20_000,
        chunk_size=os.environ["CLEANUP_CHUNK_SIZE"],
    )
    BatchCancelOrdersOperator.partial(
        task_id="cancel",
        require_status=["pending"],
        report_path=f"{os.environ['AIRFLOW_HOME']}/reports/batch.jsonl",
        pool=os.environ.get("CLEANUP_POOL", "default_pool"),
    ).expand(order_ids=find.output)
