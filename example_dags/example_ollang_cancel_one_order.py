"""### Cancel one Ollang order

Trigger it with an order's id. The task is skipped if the order is already cancelled, or no longer
`pending`. **Cancelled orders cannot be restored**, so **Preview** is on by default: it sends no
cancel request, and says which order it would cancel. Turn it off in the form to cancel.

Triggering a run while the DAG is paused also unpauses it ("Unpause … on trigger" is checked in the
form). This DAG has no schedule, so no other run starts.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from airflow.providers.common.compat.sdk import DAG, Param, task

from airflow_provider_ollang.operators.ollang import CancelOrderOperator

log = logging.getLogger(__name__)

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
        "preview": Param(
            True,
            type="boolean",
            title="Preview",
            description="Dry run: log which order would be cancelled, cancel nothing.",
        ),
    },
    tags=["ollang", "example"],
):

    @task.short_circuit
    def is_not_preview(params: dict | None = None) -> bool:
        """Skip the cancel request in a preview."""
        if params["preview"]:
            log.info("Preview: would cancel order %s if it is pending.", params["order_id"])
        return not params["preview"]

    is_not_preview() >> CancelOrderOperator(
        task_id="cancel_order",
        order_id="{{ params.order_id }}",
        require_status=["pending"],
        doc_md="Cancels the order, which cannot be undone. Skipped if it is no longer pending.",
    )
