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

from airflow.providers.common.compat.sdk import DAG, Param

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
    default_args={
        "retries": 2,
        "retry_delay": timedelta(minutes=5),
        # While the API is down, every order is tried and tried again.
        "execution_timeout": timedelta(hours=2),
    },
    params={
        "older_than": Param(
            "P30D",
            type="string",
            pattern="^P[0-9DWTHMSY]+$",
            title="Older than",
            description="Age from which an order is stale, in ISO 8601: P30D, P6W.",
        ),
        "max_orders": Param(
            20_000,
            type="integer",
            minimum=0,
            maximum=500_000,
            title="At most",
            description="More stale orders than this fail the run: nothing is cancelled then.",
        ),
        "max_share": Param(
            0.5,
            type="number",
            minimum=0,
            maximum=1,
            title="At most, as a share of all orders",
            description="A larger share of all the account's orders fails the run likewise.",
        ),
    },
    tags=["ollang", "example"],
):
    find_stale_orders = FindStaleOrdersOperator(
        task_id="find_stale_orders",
        older_than="{{ params.older_than }}",
        max_orders="{{ params.max_orders }}",
        max_share="{{ params.max_share }}",
        chunk_size=500,
        doc_md="Reads all orders once and returns the ids of the stale ones in lists of 500.",
    )

    BatchCancelOrdersOperator.partial(
        task_id="cancel_stale_orders",
        require_status=["pending"],
        requests_per_second=10,
        pool="ollang",
        doc_md="Cancels one list of 500, for good. Each mapped task has its own XCom `counts`.",
    ).expand(order_ids=find_stale_orders.output)
