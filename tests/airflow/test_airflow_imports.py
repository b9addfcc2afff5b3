"""What importing the package costs: Airflow's provider discovery does it in every process."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any


def loaded(command: Callable[..., Any], code: str) -> set[str]:
    """Return the top-level packages that are loaded once ``code`` has run in a new process."""
    show = "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    ended = command("-c", f"import json, sys\n{code}\n{show}")
    assert ended.returncode == 0, ended.stderr
    return set(json.loads(ended.stdout.splitlines()[-1]))


def test_the_package_and_its_provider_info_load_nothing_heavy(command):
    found = loaded(
        command, "import airflow_provider_ollang; airflow_provider_ollang.get_provider_info()"
    )
    assert found.isdisjoint({"airflow", "requests", "tenacity", "pendulum", "urllib3"})


#: Airflow loads tenacity itself in some versions: what is loaded of ours tells.
PARSE = """
import airflow_provider_ollang.hooks.ollang
from airflow_provider_ollang.operators.ollang import (
    BatchCancelOrdersOperator,
    CancelOrderOperator,
    FindStaleOrdersOperator,
)
BatchCancelOrdersOperator(task_id="batch", order_ids=["abc"], report_path="/tmp/r.jsonl")
CancelOrderOperator(task_id="cancel", order_id="abc")
FindStaleOrdersOperator(task_id="find", older_than="P7D")
heavy = ("api.client", "api.retry", "cleanup.batch", "sandbox")
found = [name for name in heavy if f"airflow_provider_ollang.{name}" in sys.modules]
assert not found, found
"""
AIRFLOW = "from airflow.providers.common.compat.sdk import BaseHook, BaseOperator"


def test_parsing_a_dag_loads_neither_requests_nor_tenacity(command):
    added = loaded(command, PARSE) - loaded(
        command, f"{AIRFLOW}, AirflowException, ObjectStoragePath"
    )
    assert added.isdisjoint({"requests", "tenacity", "urllib3", "wtforms", "starlette", "uvicorn"})
