"""A batch that tests interrupt. Each task writes its process id beside its report."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import DAG, Param

from airflow_provider_ollang.operators.ollang import BatchCancelOrdersOperator

REPORTS = Path(os.environ["AIRFLOW_HOME"], "reports")


def write_process_id(context: Any) -> None:
    """Leave the id of the task's own process where the test finds it."""
    ti = context["ti"]
    REPORTS.mkdir(exist_ok=True)
    (REPORTS / f"{ti.run_id}.try{ti.try_number}.pid").write_text(str(os.getpid()))


for dag_id, limits in {
    "interrupted_batch": {"retries": 1, "retry_delay": timedelta(seconds=1)},
    "timed_out_batch": {"retries": 0, "execution_timeout": timedelta(seconds=8)},
}.items():
    with DAG(
        dag_id=dag_id,
        schedule=None,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        params={"order_ids": Param([], type="array")},
    ):
        BatchCancelOrdersOperator(
            task_id="cancel",
            order_ids="{{ params.order_ids }}",
            max_workers=4,
            requests_per_second=30,  # so that the batch lasts for 4 seconds
            report_path=f"{REPORTS}/{{{{ run_id }}}}.jsonl",
            pre_execute=write_process_id,
            **limits,
        )
