"""The tests against the built wheel, on every Airflow and Python that are supported.

``make test-matrix`` builds the wheel and runs all of it; ``make test-wheel AIRFLOW=2.11`` runs one
Airflow with the wheel that is there.
"""

from __future__ import annotations

import re
import shutil
import tarfile
import tomllib
from pathlib import Path

import nox

#: The newest packages of a day are installed, so that a run today and one next year are alike: for
#: each Airflow some days after its last release, since what is newer can break it.
CUT_OFFS = {
    "2.11": "2026-03-21",
    "3.0": "2025-09-10",
    "3.1": "2026-04-05",
    "3.2": "2026-06-05",
    "3.3": "2026-11-20",
}
#: Packages that are younger than one of these days, and need none of the others.
YOUNGER = ("ollang-sdk=2026-09-06", "apache-airflow-providers-common-compat=2026-11-20")
#: What each Airflow is tested on. Their own metadata allow it.
PYTHONS = {
    "2.11": ("3.11", "3.12"),
    "3.0": ("3.11", "3.12"),
    "3.1": ("3.11", "3.12", "3.13"),
    "3.2": ("3.11", "3.12", "3.13"),
    "3.3": ("3.11", "3.12", "3.13", "3.14"),
}
#: What an Airflow needs beside its core for all tests to make sense.
ALSO = {"3.0": ("apache-airflow-providers-fab",)}  # without it no provider has a form there
OLDEST_AIRFLOW, NEWEST_AIRFLOW = "2.11", "3.3"
FOLDERS = ("tests/api", "tests/cleanup", "tests/sandbox", "tests/airflow")

nox.options.default_venv_backend = "uv"
nox.options.reuse_existing_virtualenvs = False
nox.options.error_on_missing_interpreters = True

DIST = Path("dist").absolute()


@nox.session
@nox.parametrize(
    ("python", "airflow"),
    [
        nox.param(python, airflow, id=f"airflow-{airflow}, python-{python}")
        for airflow, pythons in PYTHONS.items()
        for python in pythons
    ],
)
def tests(session: nox.Session, airflow: str) -> None:
    """Test with the newest packages that this Airflow allows."""
    _test(session, airflow)


@nox.session(python="3.11")
@nox.parametrize("airflow", [OLDEST_AIRFLOW, NEWEST_AIRFLOW])
def oldest(session: nox.Session, airflow: str) -> None:
    """Test with the oldest of each package that this one allows."""
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    wanted = [it for it in project["dependencies"] if not it.startswith("apache-airflow>")]
    pins = [re.sub(">=", "==", it) for it in wanted]
    _test(session, airflow, *pins)


@nox.session(python=["3.11", "3.14"])
def newest(session: nox.Session) -> None:
    """Test with the newest Airflow and packages there are: what users will install next."""
    _install(session)
    _run_tests(session)


@nox.session(python="3.11")
@nox.parametrize(
    "airflow", [nox.param(it, id=f"airflow-{it}") for it in ("2.11", "3.1", "3.2", "3.3")]
)
def scheduler(session: nox.Session, airflow: str) -> None:
    """Test on a real scheduler of another Airflow than the development setup's."""
    _test(session, airflow, tests=("tests/scheduler",), workers=0)


def _test(
    session: nox.Session,
    airflow: str,
    *pins: str,
    tests: tuple[str, ...] = FOLDERS,
    workers: int = 2,
) -> None:
    _install(
        session,
        *("--exclude-newer", f"{CUT_OFFS[airflow]}T00:00:00Z"),
        *(f"--exclude-newer-package={package}" for package in YOUNGER),
        *(f"apache-airflow=={airflow}.*", *pins, *ALSO.get(airflow, ())),
    )
    _run_tests(session, tests, workers)


def _install(session: nox.Session, *options: str) -> None:
    [wheel] = DIST.glob("*.whl")
    group = nox.project.dependency_groups(nox.project.load_toml("pyproject.toml"), "test")
    session.install(*options, f"{wheel}[sandbox]", *group)


def _run_tests(session: nox.Session, tests: tuple[str, ...] = FOLDERS, workers: int = 2) -> None:
    session.chdir(_unpack_tests(Path(session.create_tmp())))
    session.run(
        *("python", "-c"),
        "import airflow_provider_ollang as it; assert 'site-packages' in it.__file__, it.__file__",
    )
    session.run(
        *("python", "-m", "pytest", "--numprocesses", str(workers), "--dist", "worksteal"),
        *(session.posargs or tests),
        # Nox's own folder for temporary files is too deep for the sockets that Airflow 2 has there.
        env={"AIRFLOW_HOME": str(Path(session.create_tmp()) / "airflow"), "TMPDIR": None},
    )


def _unpack_tests(folder: Path) -> Path:
    """Unpack the source distribution without the package, so that the wheel is what is tested."""
    [sdist] = DIST.glob("*.tar.gz")
    checkout = folder / "checkout"
    shutil.rmtree(checkout, ignore_errors=True)
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (folder / sdist.name.removesuffix(".tar.gz")).rename(checkout)
    shutil.rmtree(checkout / "airflow_provider_ollang")
    return checkout
