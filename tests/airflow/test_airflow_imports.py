"""What importing the package costs: Airflow's provider discovery does it in every process."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from typing import Any

import pytest

MODULES = (
    "airflow_provider_ollang",
    "airflow_provider_ollang.provider_info",
    "airflow_provider_ollang.hooks.ollang",
    "airflow_provider_ollang.operators.ollang",
    "airflow_provider_ollang.operators.parameters",
)


def loaded(command: Callable[..., Any], code: str) -> set[str]:
    """Return the top-level packages that are loaded once ``code`` has run in a new process."""
    show = "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    ended = command("-c", f"import json, sys\n{textwrap.dedent(code)}\n{show}")
    assert ended.returncode == 0, ended.stderr
    return set(json.loads(ended.stdout.splitlines()[-1]))


def test_the_package_and_its_provider_info_load_nothing_heavy(
    command: Callable[..., Any],
) -> None:
    found = loaded(
        command, "import airflow_provider_ollang; airflow_provider_ollang.get_provider_info()"
    )
    assert found.isdisjoint({"airflow", "requests", "tenacity", "pendulum", "urllib3"})


AIRFLOW = "from airflow.providers.common.compat.sdk import BaseHook, BaseOperator"


@pytest.fixture(scope="module")
def airflows_own(command: Callable[..., Any]) -> set[str]:
    return loaded(command, f"{AIRFLOW}, AirflowException, ObjectStoragePath")


def test_parsing_a_dag_loads_neither_requests_nor_tenacity(
    command: Callable[..., Any], airflows_own: set[str]
) -> None:
    code = """
    import airflow_provider_ollang.hooks.ollang
    from airflow_provider_ollang.operators.ollang import (
        BatchCancelOrdersOperator,
        CancelOrderOperator,
        FindStaleOrdersOperator,
    )
    BatchCancelOrdersOperator(task_id="batch", order_ids=["abc"], report_path="/tmp/r.jsonl")
    CancelOrderOperator(task_id="cancel", order_id="abc")
    FindStaleOrdersOperator(task_id="find", older_than="P7D")
    """
    added = loaded(command, code) - airflows_own
    assert added.isdisjoint({"requests", "tenacity", "urllib3", "wtforms", "starlette", "uvicorn"})


def test_parsing_a_dag_loads_no_module_of_ours_that_needs_them(
    command: Callable[..., Any],
) -> None:
    """Airflow loads tenacity itself in some versions: what we load of ours tells all the same."""
    code = """
    import sys
    import airflow_provider_ollang.operators.ollang
    heavy = ("api.client", "api.retry", "cleanup.batch", "api.session", "sandbox")
    loaded = [name for name in heavy if f"airflow_provider_ollang.{name}" in sys.modules]
    assert not loaded, loaded
    """
    ended = command("-c", textwrap.dedent(code))
    assert ended.returncode == 0, ended.stderr


def test_importing_warns_of_nothing_deprecated(command: Callable[..., Any]) -> None:
    code = f"""
    import importlib, warnings
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for module in {MODULES}:
            importlib.import_module(module)
    ours = [str(each) for each in caught if "airflow_provider_ollang" in each.filename]
    assert not ours, ours
    """
    ended = command("-c", textwrap.dedent(code))
    assert ended.returncode == 0, ended.stderr
