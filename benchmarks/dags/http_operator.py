"""Cancels orders as Airflow can without this package: one mapped task each."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime

from airflow.providers.common.compat.sdk import DAG
from airflow.providers.http.operators.http import HttpOperator

for dag_id, order_ids in json.loads(os.environ["BENCHMARK_ORDER_IDS"]).items():
    with DAG(dag_id=dag_id, schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)):
        HttpOperator.partial(task_id="cancel", http_conn_id="ollang_http", method="POST").expand(
            endpoint=[f"/integration/orders/cancel/{order_id}" for order_id in order_ids]
        )
