"""A temporary Airflow, set up for the example DAGs and a sandbox."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from airflow_provider_ollang.sandbox import Sandbox

EXAMPLE_DAGS = Path(__file__).parent.parent / "example_dags"


@contextmanager
def airflow_home(sandbox: Sandbox, dags_folder: Path = EXAMPLE_DAGS) -> Iterator[dict[str, str]]:
    """Yield the environment of an Airflow with a new SQLite database; all of it is deleted."""
    with tempfile.TemporaryDirectory(prefix="ollang-demo-") as home:
        connection = {"conn_type": "ollang", "host": sandbox.url, "password": sandbox.api_key}
        environment = {
            **os.environ,
            # `airflow standalone` starts its parts as `airflow`, found on the path.
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "AIRFLOW_HOME": home,
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags_folder),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW_CONN_OLLANG_DEFAULT": json.dumps(connection),
            "AIRFLOW_VAR_OLLANG_REPORTS": f"{home}/reports",
        }
        # Airflow 2 needs it to let everybody in without a login.
        Path(home, "webserver_config.py").write_text('AUTH_ROLE_PUBLIC = "Admin"\n')
        run_airflow(environment, "db", "migrate")
        yield environment


def run_airflow(environment: Mapping[str, str], *arguments: str) -> None:
    """Run an ``airflow`` command; show its output only if it fails."""
    command = [sys.executable, "-m", "airflow", *arguments]
    done = subprocess.run(  # noqa: S603 - our own command
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        raise SystemExit(f"{done.stdout}\n`airflow {' '.join(arguments)}` failed.")
