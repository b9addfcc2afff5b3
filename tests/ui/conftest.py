"""A browser in front of the Airflow of ``make demo-ui``, for all tests of this folder together."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from airflow_provider_ollang.sandbox import Sandbox
from demo.airflow_home import EXAMPLE_DAGS, airflow_home
from demo.standalone import standalone
from tests.scheduler.scheduler import Scheduler, wait_for
from tests.ui.camera import Camera

SIZE: ViewportSize = {"width": 1200, "height": 750}
#: A task takes a few seconds to start; where other work keeps the machine busy, many.
PATIENCE_MS = 120_000
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
        yield sandbox


@pytest.fixture(scope="session")
def dags(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The examples, without their schedules: nobody but a test may touch its orders."""
    folder = tmp_path_factory.mktemp("dags")
    for path in EXAMPLE_DAGS.glob("*.py"):
        text = re.sub(r'schedule="@\w+"', "schedule=None", path.read_text())
        (folder / path.name).write_text(text)

    def add_variant(name: str, old: str, new: str, folder_of: Path) -> None:
        text = (folder_of / f"example_ollang_{name}.py").read_text()
        text = text.replace(f'"example_ollang_{name}"', f'"variant_{name}"').replace(old, new)
        (folder / f"variant_{name}.py").write_text(text)

    # A paused one with its schedule, and an approval that waits for 3 seconds.
    paused = "catchup=False, is_paused_upon_creation=True,"
    add_variant("nightly_cleanup", "catchup=False,", paused, EXAMPLE_DAGS)
    add_variant("cleanup_with_approval", "timedelta(hours=12)", "timedelta(seconds=3)", folder)
    return folder


@pytest.fixture(scope="session")
def environment(chromium: str, running_sandbox: Sandbox, dags: Path) -> Iterator[dict[str, str]]:
    with airflow_home(running_sandbox, dags) as environment:
        yield environment


@pytest.fixture(scope="session")
def airflow(environment: dict[str, str], dags: Path) -> Iterator[Scheduler]:
    number = len(list(dags.glob("*.py")))
    with standalone(environment) as (url, _):
        airflow = Scheduler(url, Path(environment["AIRFLOW_HOME"]))
        wait_for(lambda: airflow.call("GET", "/dags")["total_entries"] == number)
        yield airflow


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
    if name := os.environ.get("SCREENSHOTS"):
        folder = Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    return tmp_path_factory.mktemp("screenshots")


@pytest.fixture
def camera(page: Page, pictures: Path) -> Camera:
    return Camera(page, pictures)
