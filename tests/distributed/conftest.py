"""One run for all tests of this folder together: it takes minutes."""

from __future__ import annotations

import importlib.util
import signal
from collections.abc import Iterator

import pytest

from tests.distributed import servers
from tests.distributed.experiment import observe
from tests.distributed.observation import Observation

PACKAGES = ("airflow.providers.celery", "redis", "psycopg2", "asyncpg")
SEEN = pytest.StashKey[Observation]()


@pytest.fixture(scope="session")
def seen(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Observation:
    """Return what was seen of the run."""
    _require_what_it_needs()
    # Told to end, pytest would leave all that was started behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    found = observe(tmp_path_factory.mktemp("airflow"))
    pytestconfig.stash[SEEN] = found
    return found


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


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the run's figures."""
    if found := config.stash.get(SEEN, None):
        terminalreporter.section("figures of the distributed run")
        for name, figure in _figures(found):
            terminalreporter.write_line(f"{name:<60}{round(figure, 1):>10,}")


def _figures(seen: Observation) -> Iterator[tuple[str, float]]:
    requests = seen.requests
    yield "stale orders that are cancelled", len(seen.stale & seen.cancelled_at.keys())
    yield "chunks", len(seen.chunks)
    yield "chunks that died with their worker, and were tried again", len(seen.lost)
    yield "orders of these that were cancelled by then", len(seen.done_by_lost_tries)
    yield "processes that were killed", seen.killed
    yield "seconds until the first of these chunks was tried again", seen.seconds_until_tried_again
    yield "requests for a page of the listing", sum(it.is_listing for it in requests)
    yield "requests for a cancel", sum(it.is_cancel for it in requests)
    yield "requests", len(requests)
    yield "tasks under way at the same time, at most", seen.most_at_once()
    yield "seconds from a chunk's first request to its last, median", seen.seconds_a_chunk()
    yield "seconds from the trigger to the end of the run", seen.seconds
