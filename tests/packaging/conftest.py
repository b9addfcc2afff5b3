"""The distributions as `make build` makes them, and the wheel installed where nothing else is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
FORGE = {"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "Some-Team/provider"}


def run(*command: str | Path, cwd: Path, succeeds: bool = True, **environment: str) -> str:
    """Run a command, see that it succeeds or fails as it should, and return what it prints."""
    # Neither this checkout nor this run's Airflow may be seen by what is installed elsewhere.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**kept, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=180,
        check=False,
    )
    assert (done.returncode == 0) is succeeds, done.stdout
    return done.stdout


def make(*targets: str, cwd: Path, succeeds: bool = True, **environment: str) -> str:
    """Make targets with the tools of this environment instead of those of ``.venv``."""
    command = ("make", "--old-file=.venv/ready", f"BIN={BIN}", *targets)
    return run(*command, cwd=cwd, succeeds=succeeds, **environment)


@pytest.fixture(scope="session")
def project_files() -> list[str]:
    """Return the paths of the files that are the project's own."""
    if (ROOT / ".git").exists():
        listed = run("git", "ls-files", "-z", cwd=ROOT).split("\0")
        return sorted(path for path in listed if path and (ROOT / path).exists())
    ignored = [line.rstrip("/") for line in (ROOT / ".gitignore").read_text().splitlines()]
    paths = [path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file()]
    return sorted(
        str(path)
        for path in paths
        if not any(fnmatch(part, pattern) for part in path.parts for pattern in ignored)
    )


@pytest.fixture(scope="session")
def checkout(project_files: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with nothing but the project's files."""
    folder = tmp_path_factory.mktemp("packaging") / "checkout"
    for path in project_files:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, folder / path)
    return folder


@pytest.fixture(scope="session")
def dist(checkout: Path) -> Path:
    """Return the folder with the two distributions."""
    make("build", cwd=checkout, **FORGE)
    return checkout / "dist"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs the distributions."""
    slow = pytest.mark.slow("builds the distributions, or installs them")
    built = {"dist", "checkout"}
    for item in items:
        if built & set(getattr(item, "fixturenames", ())):
            item.add_marker(slow)


@pytest.fixture(scope="session")
def wheel(dist: Path) -> Path:
    [wheel] = dist.glob("*.whl")
    return wheel


@pytest.fixture(scope="session")
def sdist(dist: Path) -> Path:
    [sdist] = dist.glob("*.tar.gz")
    return sdist


@pytest.fixture(scope="session")
def sbom(checkout: Path, dist: Path) -> Path:
    """Return the list of packages, made of an environment in which the wheel was installed."""
    make("sbom", cwd=checkout)
    return checkout / "build" / "sbom.json"


@pytest.fixture(scope="session")
def installed(sbom: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Return a function that runs a command of that environment, in an Airflow home of its own."""
    commands = sbom.parent / "installed" / "bin"
    # The pytest plugin is for those who have pytest.
    run(
        BIN / "uv", "pip", "install", "--quiet", "--python", commands / "python", "pytest", cwd=ROOT
    )
    home = tmp_path_factory.mktemp("home")

    def run_installed(name: str, *arguments: str) -> str:
        return run(commands / name, *arguments, cwd=home, AIRFLOW_HOME=str(home))

    return run_installed
