"""### Clean-up of stale Ollang orders that a person approves

Finds stale orders, shows them as a table, and waits for a person under *Required Actions* in
Airflow's UI. After **Approve**, exactly the orders of that table are cancelled; each is read once
more just before its cancel, and left alone if it has moved on. After **Reject**, or without an
answer within 12 hours, nothing is cancelled. **A cancelled order cannot be brought back.**

A table shows at most 100 orders, so `limit` keeps to the 100 oldest; the next run takes the others.

Needs Airflow 3.1 or newer, which brought approvals, with `apache-airflow-providers-standard` 1.12.2
or newer; on an older Airflow this file defines no DAG.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from airflow.providers.common.compat.sdk import (
    DAG,
    AirflowOptionalProviderFeatureException,
    Param,
    task,
)

from airflow_provider_ollang.operators.ollang import (
    BatchCancelOrdersOperator,
    FindStaleOrdersOperator,
)

try:
    from airflow.providers.standard.operators.hitl import ApprovalOperator
except (ImportError, AirflowOptionalProviderFeatureException):
    ApprovalOperator = None
    logging.getLogger(__name__).warning(
        "example_ollang_cleanup_with_approval is left out: approvals need Airflow 3.1 or newer."
    )

if ApprovalOperator:
    with DAG(
        dag_id="example_ollang_cleanup_with_approval",
        doc_md=__doc__,
        schedule="@weekly",
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        params={
            "older_than": Param(
                "P7D",
                type="string",
                pattern="^P[0-9DWTHMSY]+$",
                title="Older than",
                description="Age from which an order is stale, in ISO 8601: P7D, P2W, PT12H.",
            ),
            "limit": Param(
                100,
                type="integer",
                minimum=1,
                maximum=100,
                title="At most",
                description="The oldest so many are asked about; the next run takes the others.",
            ),
        },
        tags=["ollang", "example"],
    ):
        find_stale_orders = FindStaleOrdersOperator(
            task_id="find_stale_orders",
            older_than="{{ params.older_than }}",
            limit="{{ params.limit }}",
            doc_md="Reads all orders and returns the ids of the stale ones, oldest first.",
        )

        @task.short_circuit
        def is_anything_stale(order_ids: list[str]) -> bool:
            """Skip the rest where there is nothing to ask a person about."""
            return bool(order_ids)

        approve_cancels = ApprovalOperator(
            task_id="approve_cancels",
            subject="Cancel these stale Ollang orders, for good?",
            body=find_stale_orders.output["summary"],
            response_timeout=timedelta(hours=12),
            doc_md="Waits for a person under *Required Actions*. No answer is a no.",
        )

        cancel_approved_orders = BatchCancelOrdersOperator(
            task_id="cancel_approved_orders",
            order_ids=find_stale_orders.output,
            require_status=["pending"],
            doc_md="Cancels exactly the orders that were approved, for good.",
        )

        is_anything_stale(find_stale_orders.output) >> approve_cancels >> cancel_approved_orders
