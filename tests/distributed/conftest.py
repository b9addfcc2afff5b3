"""One run for all tests of this folder together: it takes minutes."""

from __future__ import annotations

import importlib.util
import signal

import pytest

from tests.distributed import servers
from tests.distributed.experiment import observe
from tests.distributed.observation import Observation

PACKAGES = ("airflow.providers.celery", "redis", "psycopg2", "asyncpg")


@pytest.fixture(scope="session")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Observation:
    """Return what was seen of the run."""
    _require_what_it_needs()
    # Told to end, pytest would leave all that was started behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return observe(tmp_path_factory.mktemp("airflow"))


def _require_what_it_needs() -> None:
    """Fail where something is not installed: a skipped test would look like a passed one."""
    if missing := [name for name in PACKAGES if importlib.util.find_spec(name) is None]:
        pytest.exit(
            "The distributed test needs Airflow's extras celery and postgres, and "
            f"{', '.join(missing)} cannot be imported: make setup.",
            returncode=1,
        )
    if missing := servers.missing():
        pytest.exit(
            f"The distributed test needs PostgreSQL and Redis, and {', '.join(missing)} cannot be "
            "found: apt-get install postgresql redis-server.",
            returncode=1,
        )
