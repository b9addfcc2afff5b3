"""### Cancel orders that nobody has started in time

Every hour, cancels the orders of a few projects that are still `pending` after their service-level
time, so that they can be ordered elsewhere. **Cancelled orders cannot be restored**, so **Preview**
is on by default: it sends no cancel requests, and says for each order what would happen. Turn it
off in the form for one run that cancels; change its default in this file once the log lists exactly
the orders that you expect.

Triggering a run while the DAG is paused also unpauses it ("Unpause … on trigger" is checked in the
form). A scheduled run then starts as well, and uses the defaults, not what the form says.

Each order is read once more right before its cancel request, and skipped if it is no longer
pending, or named to be kept. More late orders than `max_orders` fail the run before anything is
cancelled.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.providers.common.compat.sdk import DAG, Param

from airflow_provider_ollang.operators.ollang import (
    BatchCancelOrdersOperator,
    FindStaleOrdersOperator,
)

# Whoever triggers a run cannot change these.
LEAST_HOURS = 4
MOST_CANCELS = 100
STATUSES = ["pending"]
KEPT_NAMES = "(?i)keep"

with DAG(
    dag_id="example_ollang_pending_watchdog",
    doc_md=__doc__,
    schedule="@hourly",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={
        "retries": 1,
        "retry_delay": timedelta(minutes=5),
        "execution_timeout": timedelta(minutes=30),
    },
    params={
        "project_ids": Param(
            ["65a1f00d3c5e7a0011223301"],
            type="array",
            items={"type": "string", "pattern": "^[A-Za-z0-9_-]{1,128}$"},
            minItems=1,
            title="Projects",
            description="Ids of the projects that have a service-level time.",
        ),
        "hours": Param(
            24,
            type="integer",
            minimum=LEAST_HOURS,
            maximum=24 * 90,
            title="Service-level time, in hours",
            description="Orders that are pending for longer are cancelled.",
        ),
        "max_orders": Param(
            50,
            type="integer",
            minimum=0,
            maximum=MOST_CANCELS,
            title="Abort above",
            description="If more late orders than this are found, the run fails and nothing is "
            "cancelled.",
        ),
        "preview": Param(
            True,
            type="boolean",
            title="Preview",
            description="Dry run: log what would be cancelled, cancel nothing. Applies to this run "
            "only: if the DAG is paused, triggering it also unpauses it, and scheduled runs use "
            "the default.",
        ),
    },
    tags=["ollang", "example"],
):
    find_late_orders = FindStaleOrdersOperator(
        task_id="find_late_orders",
        older_than="PT{{ params.hours }}H",
        statuses=STATUSES,
        project_ids="{{ params.project_ids }}",
        exclude_name_matches=KEPT_NAMES,
        max_orders="{{ params.max_orders }}",
        doc_md="Returns the ids of the orders that are pending for too long, oldest first.",
    )

    BatchCancelOrdersOperator(
        task_id="cancel_late_orders",
        order_ids=find_late_orders.output,
        require_status=STATUSES,
        exclude_name_matches=KEPT_NAMES,
        max_orders=MOST_CANCELS,
        preview="{{ params.preview }}",
        doc_md="Cancels exactly these orders, if they are still pending. That cannot be undone.",
    )
