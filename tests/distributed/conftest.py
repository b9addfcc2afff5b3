"""One run for all tests of this folder together: it takes minutes."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import pytest

from tests.distributed import servers
from tests.distributed.experiment import Observation, observe

PACKAGES = ("airflow.providers.celery", "redis", "psycopg2", "asyncpg")
SEEN = pytest.StashKey[Observation]()


@pytest.fixture(scope="session")
def seen(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Observation:
    """Return what was seen of the run."""
    _require_what_it_needs()
    found = observe(tmp_path_factory.mktemp("airflow"))
    pytestconfig.stash[SEEN] = found
    return found


def _require_what_it_needs() -> None:
    """Fail where something is not installed: a skipped test would look like a passed one."""
    if missing := [name for name in PACKAGES if importlib.util.find_spec(name) is None]:
        pytest.fail(
            f"The distributed test needs Airflow's extras celery and postgres, and "
            f"{', '.join(missing)} cannot be imported: make setup.",
            pytrace=False,
        )
    try:
        servers.programs()
    except servers.MissingError as error:
        pytest.fail(str(error), pytrace=False)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the run's figures."""
    if found := config.stash.get(SEEN, None):
        terminalreporter.section("figures of the distributed run")
        for name, figure in _figures(found):
            terminalreporter.write_line(f"{name:<60}{figure:>10}")


def _figures(seen: Observation) -> Iterator[tuple[str, int]]:
    cancels = [it for it in seen.requests if it.is_cancel]
    begun_again = (
        min(
            it.time
            for it in seen.requests
            if it.order_id in seen.lost_orders and it.time > seen.killed_at + 5
        )
        if seen.lost
        else seen.killed_at
    )
    yield "stale orders, all cancelled", len(seen.cancelled_at)
    yield "chunks", len(seen.chunks)
    yield "chunks that died with their worker, and were tried again", len(seen.lost)
    yield "orders that these had cancelled by then", len(seen.done_by_lost_tries)
    yield "processes killed", seen.killed
    yield "seconds until the first of these chunks went on", round(begun_again - seen.killed_at)
    yield "requests: pages of the listing", sum(it.is_listing for it in seen.requests)
    yield "requests: cancels", len(cancels)
    yield "requests: all", len(seen.requests)
    yield "tasks that sent requests at the same time, at most", seen.most_at_once()
    yield "seconds from the trigger to the end of the run", round(seen.seconds)
