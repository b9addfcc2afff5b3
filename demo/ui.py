"""``make demo-ui``: Airflow with its whole UI, the example DAGs and a sandbox, until Ctrl-C."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import psutil
from rich.console import Console

from airflow_provider_ollang.sandbox import Sandbox
from demo.airflow_home import airflow_home, run_airflow

START_SECONDS = 120
END_SECONDS = 20

console = Console(highlight=False)


def main() -> int:
    """Serve until Ctrl-C or SIGTERM, then end every process that was started."""
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    with Sandbox(latency_ms=50) as sandbox, airflow_home(sandbox) as environment:
        port = _free_port()
        url = f"http://127.0.0.1:{port}"
        environment |= {
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__BASE_URL": url,
            # Without it the tasks look for the API server at its default port.
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        }
        run_airflow(environment, "pools", "set", "ollang", "2", "tasks that call the Ollang API")
        log = Path(environment["AIRFLOW_HOME"]) / "standalone.log"
        console.print(f"Starting Airflow; its log is {log}")
        airflow = _start(environment, log)
        try:
            _wait_until_served(airflow, url, log)
            console.print(f"Airflow: {url}")
            console.print(f"Sandbox: {sandbox.url}/_sandbox/orders")
            console.print("Ctrl-C ends both.")
            return airflow.wait()
        except KeyboardInterrupt:
            return 0
        finally:
            _end(airflow)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _start(environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start Airflow in a session of its own, so that its children can be ended with it."""
    command = [sys.executable, "-m", "airflow", "standalone"]
    with log.open("wb") as stream:
        return subprocess.Popen(  # noqa: S603 - our own command
            command,
            env=environment,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _wait_until_served(airflow: subprocess.Popen[bytes], url: str, log: Path) -> None:
    give_up_at = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up_at and airflow.poll() is None:
        try:
            with urlopen(f"{url}/api/v2/monitor/health", timeout=5):  # noqa: S310 - our own URL
                return
        except (URLError, OSError):
            time.sleep(0.5)
    raise SystemExit(f"{log.read_text()[-4000:]}\nAirflow did not start.")


def _end(airflow: subprocess.Popen[bytes]) -> None:
    """End every process of Airflow's session: its children outlive it otherwise."""
    console.print("Ending Airflow …")
    for sign in (signal.SIGTERM, signal.SIGKILL):
        for process in _session(airflow.pid):
            process.send_signal(sign)
        give_up_at = time.monotonic() + END_SECONDS
        while _session(airflow.pid) and time.monotonic() < give_up_at:
            airflow.poll()
            time.sleep(0.2)


def _session(session_id: int) -> list[psutil.Process]:
    """Return the living processes of a session."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            is_alive = process.status() != psutil.STATUS_ZOMBIE
            if is_alive and os.getsid(process.pid) == session_id:
                found.append(process)
    return found


if __name__ == "__main__":
    sys.exit(main())
