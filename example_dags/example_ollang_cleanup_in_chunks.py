"""### Cleanup of thousands of stale Ollang orders

One task finds them, and mapped tasks cancel 500 each, two at a time, on any of the workers.
**Cancelled orders cannot be restored**, so **Preview** is on by default: it sends no cancel
requests, and says for each order what would happen. Turn it off in the form for one run that
cancels.

Triggering a run while the DAG is paused also unpauses it ("Unpause … on trigger" is checked in the
form). A scheduled run then starts as well, and uses the defaults, not what the form says.

`max_orders` and `max_share` limit the cleanup as a whole, before it is split into chunks. The
report of each chunk, one line of JSON for each order, is written to the folder or URL in the
Airflow Variable `ollang_reports`, such as `s3://your-bucket/ollang`. Without that variable, it is
written to `/tmp/ollang-reports` on the worker.

Two tasks at 10 requests per second each make 20 per second for this DAG. If several DAGs share the
limit of one account, put their tasks into one Airflow pool instead: `pool="ollang"`, created with
`airflow pools set ollang 2 "calls of the Ollang API"`. Tasks whose pool does not exist never start.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.providers.common.compat.sdk import DAG, Param

from airflow_provider_ollang.operators.ollang import (
    BatchCancelOrdersOperator,
    FindStaleOrdersOperator,
)

# Whoever triggers a run cannot change these.
LEAST_AGE_DAYS = 14
MOST_STALE = 20_000
CHUNK = 500
STATUSES = ["pending"]
KEPT_NAMES = "(?i)keep"
# The cut-off of find_stale_orders, to be checked again. Airflow 2 has no run_after.
CUT_OFF = (
    "{{ dag_run.run_after | default(data_interval_end)"
    " - macros.timedelta(days=params.older_than_days) }}"
)
REPORTS = "{{ var.value.get('ollang_reports', '/tmp/ollang-reports') }}"

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
            5_000,
            type="integer",
            minimum=0,
            maximum=MOST_STALE,
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
        max_share=0.5,
        chunk_size=CHUNK,
        doc_md="Reads all orders once and returns the ids of the stale ones in lists of 500.",
    )

    BatchCancelOrdersOperator.partial(
        task_id="cancel_stale_orders",
        require_status=STATUSES,
        exclude_name_matches=KEPT_NAMES,
        created_before=CUT_OFF,
        max_orders=CHUNK,
        requests_per_second=10,
        preview="{{ params.preview }}",
        report_path=REPORTS + "/{{ dag.dag_id }}/{{ run_id }}.jsonl",
        max_active_tis_per_dagrun=2,
        doc_md="Cancels one list of 500 orders, which cannot be undone. Each mapped task has its "
        "own XCom `counts`.",
    ).expand(order_ids=find_stale_orders.output)
