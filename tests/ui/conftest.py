"""A browser in front of the Airflow of ``make demo-ui``, for all tests of this folder together."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from airflow_provider_ollang.sandbox import Sandbox
from demo.airflow_home import airflow_home, run_airflow
from demo.standalone import standalone
from tests.scheduler.scheduler import Scheduler, wait_for
from tests.ui.camera import Camera

SIZE = {"width": 1200, "height": 750}
#: A task takes a few seconds to start; where other work keeps the machine busy, many.
PATIENCE_MS = 120_000
#: The examples that have a schedule: each runs once as soon as Airflow has read it.
SCHEDULED = {
    "example_ollang_nightly_cleanup",
    "example_ollang_cleanup_in_chunks",
    "example_ollang_cleanup_with_approval",
    "example_ollang_count_waiting_orders",
}
CHROMIUM_OPTIONS = [
    "--no-sandbox",  # root cannot start Chromium with its sandbox
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    pytest.exit("These tests need the browser Chromium: apt-get install chromium", returncode=4)


@pytest.fixture(scope="session")
def running_sandbox() -> Iterator[Sandbox]:
    with Sandbox(latency_ms=50) as sandbox:
        sandbox.orders.clear()
        yield sandbox


@pytest.fixture(scope="session")
def environment(chromium: str, running_sandbox: Sandbox) -> Iterator[dict[str, str]]:
    with airflow_home(running_sandbox) as environment:
        run_airflow(environment, "pools", "set", "ollang", "2", "calls of the Ollang API")
        yield environment


@pytest.fixture(scope="session")
def airflow(environment: dict[str, str]) -> Iterator[Scheduler]:
    with standalone(environment) as (url, _):
        airflow = Scheduler(url, Path(environment["AIRFLOW_HOME"]))
        wait_for(lambda: _scheduled_runs_have_ended(airflow))
        yield airflow


def _scheduled_runs_have_ended(airflow: Scheduler) -> bool:
    """Tell whether the examples have run for the first time, on no orders, out of the tests' way.

    Orders that a test adds are then cancelled by nobody but that test.
    """
    runs = airflow.call("GET", "/dags/~/dagRuns")["dag_runs"]
    return {run["dag_id"] for run in runs if run["state"] == "success"} == SCHEDULED


@pytest.fixture
def sandbox(airflow: Scheduler, running_sandbox: Sandbox) -> Sandbox:
    """The sandbox that Airflow's connection leads to: 240 orders, and no request received."""
    running_sandbox.reset()
    return running_sandbox


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def page(airflow: Scheduler, browser: Browser) -> Iterator[Page]:
    """A window that remembers nothing of the tests before."""
    context = browser.new_context(
        base_url=airflow.url, viewport=SIZE, locale="en-GB", timezone_id="UTC"
    )
    context.set_default_timeout(PATIENCE_MS)
    yield context.new_page()
    context.close()


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the environment variable SCREENSHOTS names, or else one that will go."""
    folder = os.environ.get("SCREENSHOTS")
    return Path(folder) if folder else tmp_path_factory.mktemp("screenshots")


@pytest.fixture
def camera(page: Page, pictures: Path) -> Camera:
    return Camera(page, pictures)
