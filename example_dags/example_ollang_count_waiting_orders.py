"""### Count pending Ollang orders by type

Your own task: `OllangHook` returns a client of the API, with retries and typed errors. This one
only reads. The task's XCom shows what it returns.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_ollang.hooks.ollang import OllangHook

with DAG(
    dag_id="example_ollang_count_waiting_orders",
    doc_md=__doc__,
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    tags=["ollang", "example"],
):

    @task
    def count_waiting_orders() -> dict[str, int]:
        """Return the number of pending orders of each type."""
        with OllangHook().get_conn() as client:
            orders = client.iter_orders()
            return dict(Counter(str(o.type) for o in orders if o.status == "pending"))

    count_waiting_orders()
