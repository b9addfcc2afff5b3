"""### Cancel a handful of Ollang orders, one task each

Each order gets its own task. Orders that are already cancelled, or no longer `pending`, are
skipped. This suits dozens of orders; for hundreds use `BatchCancelOrdersOperator`, which needs one
task. **Cancelled orders cannot be restored**, so **Preview** is on by default: it sends no cancel
requests, and says which orders it would cancel. Turn it off in the form to cancel.

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
            description="The ids of the orders to cancel, one per line.",
        ),
        "preview": Param(
            True,
            type="boolean",
            title="Preview",
            description="Dry run: log which orders would be cancelled, cancel nothing.",
        ),
    },
    tags=["ollang", "example"],
):

    @task
    def orders_to_cancel(params: dict | None = None) -> list[str]:
        """Return the order ids that the run was triggered with; an empty list in a preview."""
        if not params["preview"]:
            return params["order_ids"]
        log.info("Preview: would cancel these orders if they are pending: %s", params["order_ids"])
        return []

    CancelOrderOperator.partial(
        task_id="cancel_order",
        require_status=["pending"],
        map_index_template="{{ task.order_id }}",
        doc_md="Cancels one order, which cannot be undone. Skipped if it is no longer pending.",
    ).expand(order_id=orders_to_cancel())
