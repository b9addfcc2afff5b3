"""What differs between the versions of Airflow for those who start one and speak to it."""

from __future__ import annotations

from importlib.metadata import version

import requests
from packaging.version import Version

AIRFLOW = Version(version("apache-airflow"))
IS_AIRFLOW_2 = AIRFLOW.major == 2
IS_BEFORE_3_1, IS_BEFORE_3_3 = Version("3.1") > AIRFLOW, Version("3.3") > AIRFLOW

API = "/api/v1" if IS_AIRFLOW_2 else "/api/v2"
HEALTH = f"{API}/health" if IS_AIRFLOW_2 else f"{API}/monitor/health"
#: Parts that the health check must call healthy; Airflow 2 parses DAGs in its scheduler.
PARTS = ("scheduler",) if IS_AIRFLOW_2 else ("scheduler", "dag_processor")
#: Asks for a run of now.
NEW_RUN: dict[str, None] = {} if IS_AIRFLOW_2 else {"logical_date": None}
#: Asks for a task's state to be set, not only for what would be.
SET_STATE = {"dry_run": False} if IS_AIRFLOW_2 else {}
#: Asks for an XCom's value as it was pushed, not as text.
XCOM_VALUE = {"stringify": "false"} if IS_AIRFLOW_2 else {"deserialize": "true"}
#: Where a task's log goes, beside its own file.
LOGGED_IN = () if IS_AIRFLOW_2 else ("standalone.log",)
#: What the log of a task has of a request's lines, which are of the lowest level.
REQUEST_LINE = (
    (b" {connectionpool.py:", b"} DEBUG - ")
    if IS_AIRFLOW_2
    else (b"urllib3.connectionpool", b'"level":"debug"')
)


def settings(port: int) -> dict[str, str]:
    """Return the environment that lets Airflow serve on a port, without a login."""
    url = f"http://127.0.0.1:{port}"
    unpaused = {"AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False"}
    if IS_AIRFLOW_2:
        return unpaused | {
            "AIRFLOW__WEBSERVER__BASE_URL": url,
            "AIRFLOW__WEBSERVER__WEB_SERVER_HOST": "127.0.0.1",
            "AIRFLOW__WEBSERVER__WEB_SERVER_PORT": str(port),
            "AIRFLOW__WEBSERVER__WORKERS": "2",
            # Without both, SQLite would get one task at a time, and the scheduler wait for it.
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "_AIRFLOW__SKIP_DATABASE_EXECUTOR_COMPATIBILITY_CHECK": "1",
        }
    return unpaused | {
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": url,
        # Without it the tasks look for the API server at its default port.
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
    }


def headers(url: str) -> dict[str, str]:
    """Return what a request to the REST API needs: 3.1 asks for a token even of an admin."""
    if IS_AIRFLOW_2:
        return {}
    token = requests.get(f"{url}/auth/token", timeout=30).json()["access_token"]
    return {"Authorization": f"Bearer {token}"}
