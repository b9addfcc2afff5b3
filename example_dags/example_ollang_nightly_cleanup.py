"""### Nightly clean-up of stale Ollang orders

Finds the orders that have been waiting for longer than `older_than`, and cancels them.
**A cancelled order cannot be brought back.** Preview it first: it then sends no cancel and says for
each order what would happen. Unpausing starts a scheduled run at once, so either change the default
of `preview` to `True` before that, or run it while it is still paused:

    airflow dags test example_ollang_nightly_cleanup --conf '{"preview": true}'

What guards against cancelling too much:

- more stale orders than `max_orders` fail the run before anything is cancelled;
- each order is read once more just before its cancel, and left alone if it has moved on;
- ages are counted to the time of the run, so that a retry sees the same orders.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.providers.common.compat.sdk import DAG, Param

from airflow_provider_ollang.operators.ollang import (
    BatchCancelOrdersOperator,
    FindStaleOrdersOperator,
)

with DAG(
    dag_id="example_ollang_nightly_cleanup",
    doc_md=__doc__,
    schedule="@daily",
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
            "P7D",
            type="string",
            pattern="^P[0-9DWTHMSY]+$",
            title="Older than",
            description="Age from which an order is stale, in ISO 8601: P7D, P2W, PT12H.",
        ),
        "statuses": Param(
            ["pending"],
            type="array",
            items={"type": "string", "enum": ["pending", "ongoing"]},
            examples=["pending", "ongoing"],
            minItems=1,
            title="Statuses",
            description="Only orders with one of these statuses are cancelled. An order that is "
            "ongoing is being worked on.",
        ),
        "max_orders": Param(
            200,
            type="integer",
            minimum=0,
            maximum=10_000,
            title="At most",
            description="More stale orders than this fail the run: nothing is cancelled then.",
        ),
        "preview": Param(
            False,
            type="boolean",
            title="Preview",
            description="Cancel nothing, only say what would happen.",
        ),
    },
    tags=["ollang", "example"],
):
    find_stale_orders = FindStaleOrdersOperator(
        task_id="find_stale_orders",
        older_than="{{ params.older_than }}",
        statuses="{{ params.statuses }}",
        max_orders="{{ params.max_orders }}",
        doc_md="Reads all orders and returns the ids of the stale ones, oldest first. XCom "
        "`summary` shows them as a table.",
    )

    BatchCancelOrdersOperator(
        task_id="cancel_stale_orders",
        order_ids=find_stale_orders.output,
        require_status="{{ params.statuses }}",
        max_orders="{{ params.max_orders }}",
        preview="{{ params.preview }}",
        doc_md="Cancels exactly these orders, for good. XCom `counts` says what became of them, "
        "XCom `not_cancelled` which ones were left and why.",
        # A record of what became of each order, on any storage that Airflow knows:
        # report_path="s3://your-bucket/ollang/{{ run_id }}.jsonl",
    )
