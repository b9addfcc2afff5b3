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


def _find(name: str) -> str | None:
    return shutil.which(name, path=os.pathsep.join([*map(str, DEBIAN), os.environ["PATH"]]))


def missing() -> list[str]:
    """Return the programs that are not installed."""
    return [name for name in PROGRAMS if _find(name) is None]


def _path(name: str) -> str:
    found = _find(name)
    assert found, name
    return found


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
    user = "postgres" if os.geteuid() == 0 else None  # it refuses to be root's
    with _folder(user) as folder, Processes(logs) as processes:
        data = folder / "data"
        subprocess.run(
            [_path("initdb"), "--username=airflow", "--auth=trust", "--no-sync", data],
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
        processes.start("postgres", [_path("postgres"), "-D", data, *settings], user=user)
        _wait_for(processes, _path("pg_isready"), "--host", str(folder))
        yield f"postgresql+psycopg2://airflow@/postgres?host={folder}"


@contextmanager
def redis(logs: Path) -> Iterator[str]:
    """Yield the URL of an empty Redis, for Celery."""
    with _folder(None) as folder, Processes(logs) as processes:
        socket = str(folder / "redis")
        command = [_path("redis-server"), "--port", "0", "--unixsocket", socket]
        processes.start("redis", [*command, "--save", "", "--dir", str(folder)])
        _wait_for(processes, _path("redis-cli"), "-s", socket, "ping")
        yield f"redis+socket://{socket}"


def _wait_for(processes: Processes, *command: str) -> None:
    def responds() -> bool:
        processes.raise_if_ended()
        done = subprocess.run(command, check=False, capture_output=True, timeout=START_SECONDS)
        return done.returncode == 0

    wait_for(responds, START_SECONDS)
