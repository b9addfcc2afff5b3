"""What PostgreSQL rejects: the finder's XComs are stored there anyway."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

from airflow_provider_ollang.sandbox import Sandbox, Stub
from demo.airflow_home import run_airflow
from tests.airflow import dag_runner
from tests.distributed import servers

DAG = """
from datetime import datetime, timedelta
from airflow.sdk import DAG
from airflow_provider_ollang.operators.ollang import FindStaleOrdersOperator

with DAG("find", schedule=None, start_date=datetime(2026, 1, 1)):
    FindStaleOrdersOperator(task_id="find", older_than=timedelta(days=7))
"""


def test_names_that_postgresql_rejects_are_stored_without_what_it_rejects(tmp_path):
    file = tmp_path / "find.py"
    file.write_text(DAG)
    with Sandbox(order_count=0) as sandbox, servers.postgresql(tmp_path) as database:
        order = sandbox.orders.add(age=timedelta(days=30))
        orders = [order | {"name": "Trailer\0.mp4"}, order | {"id": "o-2", "name": "half \ud83d"}]
        page = {"data": orders, "meta": {"page": 1, "itemCount": 2, "hasNextPage": False}}
        sandbox.respond_always(Stub.json(200, page))
        connection = {"conn_type": "ollang", "host": sandbox.url, "password": sandbox.api_key}
        environment = {
            **os.environ,
            "AIRFLOW_HOME": str(tmp_path),
            "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
            "AIRFLOW_CONN_OLLANG_DEFAULT": json.dumps(connection),
        }
        run_airflow(environment, "db", "migrate")
        output = tmp_path / "output.txt"
        order = {"file": str(file), "output": str(output), "conf": {}, "environment": {}}
        done = subprocess.run(
            [sys.executable, dag_runner.__file__],
            input=json.dumps(order | {"time": datetime.now(UTC).isoformat()}),
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            timeout=180,
            check=False,
        )
    assert json.loads(done.stdout)["state"] == "success", output.read_text()
