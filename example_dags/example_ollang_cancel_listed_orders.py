"""### Cancel a handful of Ollang orders, one task each

Each order is a task of its own: those that were cancelled before are skipped, the others are
cancelled. That is made for dozens of orders; for hundreds use `BatchCancelOrdersOperator`, which
needs one task. **A cancelled order cannot be brought back.**
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.providers.common.compat.sdk import DAG, Param, task

from airflow_provider_ollang.operators.ollang import CancelOrderOperator

with DAG(
    dag_id="example_ollang_cancel_listed_orders",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    params={
        "order_ids": Param(
            type="array",
            items={"type": "string", "pattern": "^[A-Za-z0-9_-]{1,128}$"},
            minItems=1,
            maxItems=50,
            title="Orders",
            description="The ids of the orders to cancel, one a line.",
        ),
    },
    tags=["ollang", "example"],
):

    @task
    def listed_orders(params: dict | None = None) -> list[str]:
        """Return the order ids that the run was triggered with."""
        return (params or {})["order_ids"]

    CancelOrderOperator.partial(
        task_id="cancel_order",
        map_index_template="{{ task.order_id }}",
        doc_md="Cancels one order, for good; is skipped if there is nothing to cancel.",
    ).expand(order_id=listed_orders())
