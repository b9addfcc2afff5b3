"""### Create Ollang orders, and cancel them if the work that needs them fails

Creating the orders is the setup of the work, and cancelling them its teardown. That runs whether
the work succeeded or not: a finished order cannot be cancelled, so only what a failed pipeline has
left behind is. **Everything that needs the orders must be between the two**, including the wait for
them. Marking the wait or the run as success ends the wait: the teardown then cancels what is not
finished. The teardown does not change whether the run failed or succeeded.

**Cancelled orders cannot be restored**, so **Preview** is on by default: the teardown then says
what it would cancel. **Each run creates orders, and an order costs money, in a preview too.**

For one order, or one task for each order, this is the teardown:

    CancelOrderOperator.partial(task_id="cancel_order").expand(
        order_id=create_orders.output
    ).as_teardown(setups=create_orders)

Its task is skipped for an order that is finished or cancelled.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from airflow.providers.common.compat.sdk import DAG, Param, task

from airflow_provider_ollang.operators.ollang import (
    BatchCancelOrdersOperator,
    CreateOrderOperator,
)
from airflow_provider_ollang.sensors.ollang import OrderStatusSensor

log = logging.getLogger(__name__)

with DAG(
    dag_id="example_ollang_create_with_teardown",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    params={
        "project_id": Param(
            type="string",
            pattern="^[A-Za-z0-9_-]{1,128}$",
            title="Project",
            description="The id of the Ollang project to create the orders in.",
        ),
        "preview": Param(
            True,
            type="boolean",
            title="Preview",
            description="Dry run of the teardown: log what would be cancelled, cancel nothing. The "
            "orders are created anyway.",
        ),
    },
    tags=["ollang", "example"],
):
    create_orders = CreateOrderOperator(
        task_id="create_orders",
        project_id="{{ params.project_id }}",
        order_type="document",
        target_languages=["fr", "de"],
        doc_md="Creates the orders and returns their ids.",
    ).as_setup()

    @task
    def prepare_publication(order_ids: list[str]) -> None:
        """Do what the orders are needed for; if it fails, nobody needs them anymore."""
        log.info("Preparing for the results of %d orders.", len(order_ids))

    wait_for_orders = OrderStatusSensor(
        task_id="wait_for_orders",
        order_ids=create_orders.output,
        deferrable=True,
        poke_interval=60,
        timeout=timedelta(days=2),
        doc_md="Waits until every order is completed or delivered; fails if one of them fails.",
    )

    cancel_leftovers = BatchCancelOrdersOperator(
        task_id="cancel_leftovers",
        order_ids=create_orders.output,
        require_status=["pending", "ongoing"],
        max_orders=10,
        preview="{{ params.preview }}",
        doc_md="Cancels those of the orders that are not finished, which cannot be undone.",
    ).as_teardown(setups=create_orders)

    prepare_publication(create_orders.output) >> wait_for_orders >> cancel_leftovers
