"""### Cleanup of stale Ollang orders that a person approves

Finds stale orders, shows them as a table, and waits for a person under *Required Actions* in
Airflow's UI. After **Approve**, exactly the orders of that table are cancelled. Each is read once
more right before its cancel request, and skipped if it is no longer pending or has been renamed to
be kept. After **Reject**, or without a response within 12 hours, nothing is cancelled, even if
somebody marks the approval as success: only a person's response returns a list.

**Cancelled orders cannot be restored**, so **Preview** is on by default: even after an approval, it
sends no cancel requests, and says for each order what would happen. Turn it off in the form for one
run that cancels.

Triggering a run while the DAG is paused also unpauses it ("Unpause … on trigger" is checked in the
form). A scheduled run then starts as well, and uses the defaults, not what the form says.

The report, one line of JSON for each order, is written to the folder or URL in the Airflow Variable
`ollang_reports`, such as `s3://your-bucket/ollang`. Without that variable, it is written to
`/tmp/ollang-reports` on the worker.

Needs Airflow 3.1 or newer, with `apache-airflow-providers-standard` 1.12.2 or newer. On an older
Airflow, this file defines no DAG.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from airflow.providers.common.compat.sdk import (
    DAG,
    AirflowOptionalProviderFeatureException,
    Param,
)

from airflow_provider_ollang.operators.ollang import (
    BatchCancelOrdersOperator,
    FindStaleOrdersOperator,
)

try:
    from airflow_provider_ollang.operators.approval import ApproveOrdersOperator
except AirflowOptionalProviderFeatureException as error:
    ApproveOrdersOperator = None
    logging.getLogger(__name__).warning(
        "example_ollang_cleanup_with_approval is left out: %s", error
    )

# Whoever triggers a run cannot change these.
LEAST_AGE_DAYS = 7
MOST_STALE = 500
MOST_SHOWN = 100  # the rows of a summary
STATUSES = ["pending"]
KEPT_NAMES = "(?i)keep"
# The cut-off of find_stale_orders, to be checked again. Airflow 2 has no run_after.
CUT_OFF = (
    "{{ dag_run.run_after | default(data_interval_end)"
    " - macros.timedelta(days=params.older_than_days) }}"
)
REPORTS = "{{ var.value.get('ollang_reports', '/tmp/ollang-reports') }}"

if ApproveOrdersOperator:
    with DAG(
        dag_id="example_ollang_cleanup_with_approval",
        doc_md=__doc__,
        schedule="@weekly",
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
        params={
            "older_than_days": Param(
                30,
                type="integer",
                minimum=LEAST_AGE_DAYS,
                maximum=3650,
                title="Older than, in days",
                description="Age from which an order is stale.",
            ),
            "limit": Param(
                50,
                type="integer",
                minimum=1,
                maximum=MOST_SHOWN,
                title="Orders per approval",
                description="How many orders to ask about. Each run picks different ones.",
            ),
            "preview": Param(
                True,
                type="boolean",
                title="Preview",
                description="Dry run: ask, then log what would be cancelled, cancel nothing. "
                "Applies to this run only: if the DAG is paused, triggering it also unpauses it, "
                "and scheduled runs use the default.",
            ),
        },
        tags=["ollang", "example"],
    ):
        find_stale_orders = FindStaleOrdersOperator(
            task_id="find_stale_orders",
            older_than="P{{ params.older_than_days }}D",
            statuses=STATUSES,
            exclude_name_matches=KEPT_NAMES,
            limit="{{ params.limit }}",
            max_orders=MOST_STALE,
            execution_timeout=timedelta(minutes=30),
            doc_md="Reads all orders and returns the ids of the stale ones, oldest first.",
        )

        approve_cancels = ApproveOrdersOperator(
            task_id="approve_cancels",
            order_ids=find_stale_orders.output,
            body=find_stale_orders.output["summary"],
            preview="{{ params.preview }}",
            response_timeout=timedelta(hours=12),
            # Who may respond; if left out, everybody who may edit the DAG's runs.
            # assigned_users=[{"id": "42", "name": "anna"}],
            doc_md="Waits for a person under *Required Actions*. Without a response it fails, and "
            "nothing is cancelled.",
        )

        BatchCancelOrdersOperator(
            task_id="cancel_approved_orders",
            order_ids=approve_cancels.output,
            require_status=STATUSES,
            exclude_name_matches=KEPT_NAMES,
            created_before=CUT_OFF,
            max_orders=MOST_SHOWN,
            preview="{{ params.preview }}",
            report_path=REPORTS + "/{{ dag.dag_id }}/{{ run_id }}.jsonl",
            execution_timeout=timedelta(hours=1),
            doc_md="Cancels exactly the approved orders, which cannot be undone.",
        )
