"""### Create Ollang orders, wait for them, use the result

Creates one order for each language, waits for all of them in the triggerer, which holds no worker,
and looks at what was delivered. **Each run creates orders, and an order costs money.**

If a response is lost, nothing is ordered twice: the task looks for what it has created. A retry,
and on Airflow 3.3 a cleared task too, adopts those orders.

A delivery's `vttUrl` is a signed URL: whoever has it can read the file for a week. Keep it out of
XCom and logs: the last task reads each order itself.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from airflow.providers.common.compat.sdk import DAG, Param, task

from airflow_provider_ollang.hooks.ollang import OllangHook
from airflow_provider_ollang.operators.ollang import CreateOrderOperator
from airflow_provider_ollang.sensors.ollang import OrderStatusSensor

log = logging.getLogger(__name__)

with DAG(
    dag_id="example_ollang_create_and_wait",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    params={
        "project_id": Param(
            type="string",
            pattern="^[A-Za-z0-9_-]{1,128}$",
            title="Project",
            description="The id of the Ollang project to create the orders in.",
        ),
        "target_languages": Param(
            ["fr"],
            type="array",
            items={"type": "string"},
            minItems=1,
            title="Languages",
            description="Codes of the languages to translate into, such as fr or pt-BR.",
        ),
    },
    tags=["ollang", "example"],
):
    create_orders = CreateOrderOperator(
        task_id="create_orders",
        project_id="{{ params.project_id }}",
        order_type="subtitle",
        target_languages="{{ params.target_languages }}",
        doc_md="Creates the orders and returns their ids: one for each language, and one for the "
        "captions that come with subtitles.",
    )

    wait_for_orders = OrderStatusSensor(
        task_id="wait_for_orders",
        order_ids=create_orders.output,
        deferrable=True,
        poke_interval=60,
        timeout=timedelta(days=2),
        doc_md="Waits until every order is completed or delivered; fails if one of them fails.",
    )

    @task
    def use_result(orders: list[dict]) -> int:
        """Look at each delivered order, and return how many subtitle files there are."""
        files = 0
        with OllangHook().get_conn() as client:
            for delivered in orders:
                order = client.get_order(delivered["id"])
                log.info("%s (%s): %s", order.name, order.target_language, order.status)
                files += bool(order.other.get("vttUrl"))  # download it here, and hand on the file
        return files

    use_result(wait_for_orders.output)
