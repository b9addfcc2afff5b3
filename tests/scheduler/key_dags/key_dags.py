"""DAGs that use a connection's key in every way there is, and meet trouble with it."""

from __future__ import annotations

import logging
import os
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import DAG, Param, task

from airflow_provider_ollang.hooks.ollang import OllangHook
from airflow_provider_ollang.operators.ollang import (
    BatchCancelOrdersOperator,
    CancelOrderOperator,
    FindStaleOrdersOperator,
)

REPORTS = Path(os.environ["AIRFLOW_HOME"], "reports")
CONNECTION = "{{ params.conn_id }}"

log = logging.getLogger(__name__)


def dag(dag_id: str) -> DAG:
    return DAG(
        dag_id=dag_id,
        schedule=None,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        params={
            "conn_id": Param("", type="string"),
            "conn_ids": Param([], type="array"),
            "order_ids": Param([], type="array"),
        },
        default_args={"retries": 0},
        render_template_as_native_obj=True,
    )


def batch(task_id: str, **options: Any) -> BatchCancelOrdersOperator:
    return BatchCancelOrdersOperator(
        task_id=task_id,
        order_ids="{{ params.order_ids }}",
        report_path=f"{REPORTS}/{{{{ run_id }}}}.{task_id}.jsonl",
        ollang_conn_id=CONNECTION,
        **options,
    )


with dag("clean_up_with_the_key"):
    found = FindStaleOrdersOperator(task_id="find", older_than="P7D", ollang_conn_id=CONNECTION)
    found >> [batch("preview", preview=True), batch("cancel")]


with dag("meet_trouble_with_the_key"):
    order_ids = task(lambda params=None: params["order_ids"], task_id="list")()
    cancel = {"ollang_conn_id": CONNECTION, "execution_timeout": timedelta(seconds=5)}
    CancelOrderOperator.partial(task_id="cancel", **cancel).expand(order_id=order_ids)


with dag("misplace_the_key"):
    conn_ids = task(lambda params=None: params["conn_ids"], task_id="list")()
    cancel = {"task_id": "cancel", "order_id": "echo-message"}
    CancelOrderOperator.partial(**cancel).expand(ollang_conn_id=conn_ids)


with dag("handle_the_key_carelessly"):

    @task
    def log_all(params: Any = None) -> None:
        hook = OllangHook(params["conn_id"])
        with hook.get_conn() as client:
            client.list_orders()
            for shown in (hook, vars(hook), client, vars(client)):
                log.warning("%s %r", shown, shown)

    @task
    def crash(params: Any = None) -> None:
        client = OllangHook(params["conn_id"]).get_conn()
        raise RuntimeError(f"an error of the user's own, with {client}")

    @task
    def log_an_error(params: Any = None) -> None:
        with OllangHook(params["conn_id"]).get_conn() as client:
            try:
                client.cancel_order("echo-broken-off")
            except Exception:
                log.exception("It was %r", client)
                raise

    @task
    def die(params: Any = None) -> None:
        with OllangHook(params["conn_id"]).get_conn() as client:
            client.list_orders()
            os.kill(os.getpid(), signal.SIGKILL)

    for careless in (log_all, crash, log_an_error, die):
        careless()
