"""An Airflow that is too old, or none: a sentence instead of an import error."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import airflow_provider_ollang

PACKAGES = Path(airflow_provider_ollang.__file__).parents[1]


def import_beside(airflow: Path, module: str) -> str:
    """Import a module where only that Airflow is found, and return the last line of its error."""
    code = f"import sys; sys.path[:0] = {[str(airflow), str(PACKAGES)]}; import {module}"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, check=False, cwd=airflow
    )
    assert done.returncode == 1
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize("module", ["hooks.ollang", "operators.ollang"])
@pytest.mark.parametrize("version", ["2.10.5", "1.10.15", "2.9.0rc1"])
def test_an_older_airflow_is_named_with_what_is_needed(version, module, tmp_path):
    (tmp_path / "airflow.py").write_text(f"__version__ = {version!r}\n")
    assert import_beside(tmp_path, f"airflow_provider_ollang.{module}") == (
        "RuntimeError: airflow-provider-ollang needs Apache Airflow 2.11 or newer, found "
        f"{version}. Install or upgrade Airflow, or remove this provider."
    )


def test_a_missing_airflow_is_named_with_what_is_needed(tmp_path):
    (tmp_path / "airflow.py").write_text("raise ModuleNotFoundError(name='airflow')\n")
    said = import_beside(tmp_path, "airflow_provider_ollang.hooks.ollang")
    assert "needs Apache Airflow 2.11 or newer, found none" in said


def test_a_broken_airflow_says_itself_what_is_wrong(tmp_path):
    (tmp_path / "airflow.py").write_text("import of_airflow_something\n")
    said = import_beside(tmp_path, "airflow_provider_ollang.hooks.ollang")
    assert said == "ModuleNotFoundError: No module named 'of_airflow_something'"


def test_the_api_and_the_cleanup_need_no_airflow(tmp_path):
    (tmp_path / "airflow.py").write_text("raise SystemError('Airflow was imported')\n")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "import airflow_provider_ollang.api.client, airflow_provider_ollang.cleanup.batch"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=PACKAGES)
