"""### Clean-up of thousands of stale Ollang orders

One task finds them, and mapped tasks cancel 500 each, on as many workers as there are. The pool
`ollang` bounds how many of them run at once, and with it the requests a second that reach the
API. Make it before the first run:

    airflow pools set ollang 2 "tasks that call the Ollang API"

`max_orders` and `max_share` guard the clean-up as a whole, before it is cut into chunks.
**A cancelled order cannot be brought back.**
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_ollang.operators.ollang import (
    BatchCancelOrdersOperator,
    FindStaleOrdersOperator,
)

with DAG(
    dag_id="example_ollang_cleanup_in_chunks",
    doc_md=__doc__,
    schedule="@weekly",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    tags=["ollang", "example"],
):
    find_stale_orders = FindStaleOrdersOperator(
        task_id="find_stale_orders",
        older_than=timedelta(days=30),
        max_orders=20_000,
        max_share=0.5,
        chunk_size=500,
    )

    BatchCancelOrdersOperator.partial(
        task_id="cancel_stale_orders",
        require_status=["pending"],
        requests_per_second=10,
        pool="ollang",
    ).expand(order_ids=find_stale_orders.output)
