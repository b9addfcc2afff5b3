"""### Cancel one Ollang order

Trigger it with an order's id. The task is skipped if the order was cancelled before, or if it has
moved on from `pending`. **A cancelled order cannot be brought back.**
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.providers.common.compat.sdk import DAG, Param

from airflow_provider_ollang.operators.ollang import CancelOrderOperator

with DAG(
    dag_id="example_ollang_cancel_one_order",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    params={
        "order_id": Param(
            type="string",
            pattern="^[A-Za-z0-9_-]{1,128}$",
            title="Order",
            description="The id of the order to cancel, as the Ollang dashboard shows it.",
        ),
    },
    tags=["ollang", "example"],
):
    CancelOrderOperator(
        task_id="cancel_order",
        order_id="{{ params.order_id }}",
        require_status=["pending"],
        doc_md="Cancels the order, for good; is skipped if there is nothing to cancel.",
    )
