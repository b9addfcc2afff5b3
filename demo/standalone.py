"""A whole Airflow (scheduler, API server, triggerer, DAG processor) on a free port."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

import psutil
import requests

from demo.airflow_version import HEALTH, PARTS, settings

START_SECONDS = 300
END_SECONDS = 20
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Process: TypeAlias = "subprocess.Popen[bytes]"


def interrupt_on_signals() -> None:
    """Let the first SIGINT, SIGTERM or SIGHUP raise KeyboardInterrupt, and ignore any later one.

    SIGINT and SIGHUP stay ignored where they are, as in a shell's background job or under nohup.
    """
    signs = [sign for sign in ENDING if signal.getsignal(sign) is not signal.SIG_IGN]

    def interrupt(*_: object) -> None:
        for sign in ENDING:  # a second one would interrupt the shutdown of Airflow
            signal.signal(sign, signal.SIG_IGN)
        raise KeyboardInterrupt

    for sign in (*signs, signal.SIGTERM):
        signal.signal(sign, interrupt)


@contextmanager
def standalone(environment: Mapping[str, str]) -> Iterator[tuple[str, Process]]:
    """Run Airflow in a prepared home; yield its URL and process, end all of it at the end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    log = Path(environment["AIRFLOW_HOME"]) / "standalone.log"
    airflow = _start({**environment, **settings(port)}, log)
    try:
        _wait_until_served(airflow, url, log)
        yield url, airflow
    finally:
        end(airflow)


def _start(environment: Mapping[str, str], log: Path) -> Process:
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


def _wait_until_served(airflow: Process, url: str, log: Path) -> None:
    give_up_at = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up_at and airflow.poll() is None:
        with suppress(requests.RequestException):
            health = requests.get(f"{url}{HEALTH}", timeout=5).json()
            if all(health[part]["status"] == "healthy" for part in PARTS):
                return
        time.sleep(0.5)
    raise SystemExit(f"{log.read_text()[-4000:]}\nAirflow did not start.")


def end(*leaders: Process) -> None:
    """End every process of these sessions: children outlive their session's first one otherwise.

    :param leaders: each the first process of its session
    """
    for sign in (signal.SIGTERM, signal.SIGKILL):
        for process in _living(leaders):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(sign)
        give_up_at = time.monotonic() + END_SECONDS
        while _living(leaders) and time.monotonic() < give_up_at:
            time.sleep(0.2)


def _living(leaders: Iterable[Process]) -> list[psutil.Process]:
    for leader in leaders:
        leader.poll()  # or it would stay a zombie
    return [process for leader in leaders for process in processes_of(leader)]


def processes_of(leader: Process) -> list[psutil.Process]:
    """Return the living processes of a session, such as a whole Airflow.

    :param leader: the session's first process
    """
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            is_alive = process.status() != psutil.STATUS_ZOMBIE
            if is_alive and os.getsid(process.pid) == leader.pid:
                found.append(process)
    return found
