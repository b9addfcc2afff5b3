"""A batch that runs whatever becomes of its finder, which a clear does not let run again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow.providers.common.compat.sdk import DAG, AirflowFailException, task

from airflow_provider_ollang.operators.ollang import (
    BatchCancelOrdersOperator,
    FindStaleOrdersOperator,
)


@task
def gate(dag_run: Any = None) -> None:
    if dag_run.clear_number:
        raise AirflowFailException("closed")


with DAG(dag_id="old_list", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)):
    find = FindStaleOrdersOperator(task_id="find", older_than="P7D")
    gate() >> find
    for task_id, order_ids in {
        "cancel": find.output,
        "cancel_pulled": "{{ ti.xcom_pull(task_ids='find') }}",
    }.items():
        find >> BatchCancelOrdersOperator(
            task_id=task_id,
            order_ids=order_ids,
            max_orders="{{ 100 if dag_run.clear_number else 0 }}",
            trigger_rule="all_done",
        )
