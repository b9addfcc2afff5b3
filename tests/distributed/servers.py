"""PostgreSQL and Redis, in folders of their own. They listen on sockets there, on no port."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.distributed.processes import Processes
from tests.scheduler.scheduler import wait_for

#: Where Debian puts what PostgreSQL keeps off the path.
DEBIAN = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
PROGRAMS = ("initdb", "postgres", "pg_isready", "redis-server", "redis-cli")
START_SECONDS = 60


class MissingError(Exception):
    """A program that the test needs is not installed."""


def programs() -> dict[str, str]:
    """Return the paths of all programs.

    :raises MissingError: one is not there
    """
    places = os.pathsep.join([*map(str, DEBIAN), os.environ["PATH"]])
    found = {name: shutil.which(name, path=places) for name in PROGRAMS}
    if missing := [name for name, path in found.items() if path is None]:
        raise MissingError(
            f"The distributed test needs PostgreSQL and Redis, and {', '.join(missing)} cannot be "
            "found: apt-get install postgresql redis-server."
        )
    return {name: str(path) for name, path in found.items()}


@contextmanager
def _folder(user: str | None) -> Iterator[Path]:
    """Yield a folder that only a user may enter: the servers ask for no password."""
    # Not below pytest's: that is closed to other users, and a socket's path must be short.
    with tempfile.TemporaryDirectory(prefix="ollang-") as folder:
        if user:
            shutil.chown(folder, user, user)
        yield Path(folder)


@contextmanager
def postgresql(logs: Path) -> Iterator[str]:
    """Yield the URL of a fresh database, for SQLAlchemy."""
    found = programs()
    user = "postgres" if os.geteuid() == 0 else None  # it refuses to be root's
    with _folder(user) as folder, Processes(logs) as processes:
        data = folder / "data"
        subprocess.run(
            [found["initdb"], "--username=airflow", "--auth=trust", "--no-sync", data],
            check=True,
            capture_output=True,
            timeout=START_SECONDS,
            cwd="/",
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )
        options = {"listen_addresses": "", "unix_socket_directories": folder, "fsync": "off"}
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        processes.start("postgres", [found["postgres"], "-D", data, *settings], user=user)
        _wait_for(processes, found["pg_isready"], "--host", str(folder))
        yield f"postgresql+psycopg2://airflow@/postgres?host={folder}"


@contextmanager
def redis(logs: Path) -> Iterator[str]:
    """Yield the URL of an empty Redis, for Celery."""
    found = programs()
    with _folder(None) as folder, Processes(logs) as processes:
        socket = str(folder / "redis")
        command = [found["redis-server"], "--port", "0", "--unixsocket", socket]
        processes.start("redis", [*command, "--save", "", "--dir", str(folder)])
        _wait_for(processes, found["redis-cli"], "-s", socket, "ping")
        yield f"redis+socket://{socket}"


def _wait_for(processes: Processes, *command: str) -> None:
    def answers() -> bool:
        processes.raise_if_ended()
        done = subprocess.run(command, check=False, capture_output=True, timeout=START_SECONDS)
        return done.returncode == 0

    wait_for(answers, START_SECONDS)
