"""### Nightly cleanup of stale Ollang orders

Finds the orders that have been pending for longer than `older_than_days`, and cancels them.
**Cancelled orders cannot be restored**, so **Preview** is on by default: it sends no cancel
requests, and says for each order what would happen. Turn it off in the form for one run that
cancels; change its default in this file once the log lists exactly the orders that you expect,
every night.

Triggering a run while the DAG is paused also unpauses it ("Unpause … on trigger" is checked in the
form). A scheduled run then starts as well, and uses the defaults, not what the form says.

What keeps it from cancelling too much:

- orders younger than a week, and those with "keep" in their names, are never cancelled;
- more stale orders than `max_orders` fail the run before anything is cancelled;
- each order is read once more right before its cancel request, and skipped if it is no longer
  pending, has been renamed to be kept, or is too young after all;
- ages are counted to the time of the run, so that a retry sees the same orders.

The report, one line of JSON for each order, is written to the folder or URL in the Airflow Variable
`ollang_reports`, such as `s3://your-bucket/ollang`. Without that variable, it is written to
`/tmp/ollang-reports` on the worker.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.providers.common.compat.sdk import DAG, Param

from airflow_provider_ollang.operators.ollang import (
    BatchCancelOrdersOperator,
    FindStaleOrdersOperator,
)

# Whoever triggers a run cannot change these.
LEAST_AGE_DAYS = 7
MOST_CANCELS = 300
STATUSES = ["pending"]
KEPT_NAMES = "(?i)keep"
# The cut-off of find_stale_orders, to be checked again. Airflow 2 has no run_after.
CUT_OFF = (
    "{{ dag_run.run_after | default(data_interval_end)"
    " - macros.timedelta(days=params.older_than_days) }}"
)
REPORTS = "{{ var.value.get('ollang_reports', '/tmp/ollang-reports') }}"

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
        "execution_timeout": timedelta(hours=2),
    },
    params={
        "older_than_days": Param(
            30,
            type="integer",
            minimum=LEAST_AGE_DAYS,
            maximum=3650,
            title="Older than, in days",
            description="Age from which an order is stale.",
        ),
        "max_orders": Param(
            100,
            type="integer",
            minimum=0,
            maximum=MOST_CANCELS,
            title="Abort above",
            description="If more stale orders than this are found, the run fails and nothing is "
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
    find_stale_orders = FindStaleOrdersOperator(
        task_id="find_stale_orders",
        older_than="P{{ params.older_than_days }}D",
        statuses=STATUSES,
        exclude_name_matches=KEPT_NAMES,
        max_orders="{{ params.max_orders }}",
        execution_timeout=timedelta(minutes=30),
        doc_md="Reads all orders and returns the ids of the stale ones, oldest first. XCom "
        "`summary` shows them as a table.",
    )

    BatchCancelOrdersOperator(
        task_id="cancel_stale_orders",
        order_ids=find_stale_orders.output,
        require_status=STATUSES,
        exclude_name_matches=KEPT_NAMES,
        created_before=CUT_OFF,
        max_orders=MOST_CANCELS,
        preview="{{ params.preview }}",
        report_path=REPORTS + "/{{ dag.dag_id }}/{{ run_id }}.jsonl",
        doc_md="Cancels these orders, which cannot be undone. XCom `counts` says how many, XCom "
        "`not_cancelled` which ones were not cancelled and why.",
    )
