"""The wheel in an environment of its own, as a user gets it."""

import json

from airflow_provider_ollang import __version__
from airflow_provider_ollang.provider_info import CONNECTION_TYPE

from .conftest import BIN, run

IMPORT_ALL = """
import importlib, pkgutil
import airflow_provider_ollang as package
assert "site-packages" in package.__file__, package.__file__
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    print(importlib.import_module(module.name).__name__)
"""
DISCOVER = """
from airflow.providers_manager import ProvidersManager
manager = ProvidersManager()
provider = manager.providers["airflow-provider-ollang"]
print("found:", provider.version, manager.hooks["ollang"].hook_name)
"""
USERS_FILE = """
from datetime import timedelta

from airflow.providers.common.compat.sdk import XComArg

from airflow_provider_ollang.api.client import OllangClient
from airflow_provider_ollang.operators.approval import ApproveOrdersOperator
from airflow_provider_ollang.operators.ollang import (
    BatchCancelOrdersOperator,
    CancelOrderOperator,
    FindStaleOrdersOperator,
)
from airflow_provider_ollang.sensors.ollang import OrderStatusSensor

find = FindStaleOrdersOperator(task_id="find", older_than=timedelta(days=9))
summary = XComArg(find, key="summary")
approve = ApproveOrdersOperator(task_id="ask", order_ids=find.output, body=summary)
BatchCancelOrdersOperator(task_id="all", order_ids=approve.output, preview="{{ params.preview }}")
CancelOrderOperator(task_id="one", order_id=find.output)
OrderStatusSensor(task_id="wait", order_ids=find.output)

with OllangClient("key") as client:
    client.cancel_order(5)
    reveal_type(client.get_order("o-1").status)
"""


def test_every_module_can_be_imported(installed, project_files):
    imported = installed("python", "-c", IMPORT_ALL).split()
    modules = [path for path in project_files if path.startswith("airflow_provider_ollang/")]
    expected = [path[:-3].removesuffix("/__init__").replace("/", ".") for path in modules]
    assert {"airflow_provider_ollang", *imported} == {
        name for name, path in zip(expected, modules, strict=True) if path.endswith(".py")
    }


def test_airflow_discovers_the_provider(installed):
    printed = installed("python", "-c", DISCOVER)
    assert f"found: {__version__} {CONNECTION_TYPE['hook-name']}" in printed


def test_mypy_reads_the_types(installed, tmp_path):
    users_file = tmp_path / "clean_up.py"
    users_file.write_text(USERS_FILE)
    where = installed("python", "-c", "import sys; print(sys.executable)").strip()
    printed = run(
        *(BIN / "mypy", "--python-executable", where, "--strict", users_file.name),
        cwd=tmp_path,
        succeeds=False,
    )
    assert 'error: Argument 1 to "cancel_order" of "OllangClient" has incompatible' in printed
    assert "Revealed type is" in printed
    assert "import-untyped" not in printed
    assert "Found 1 error in 1 file" in printed


def test_without_its_extra_the_sandbox_says_what_to_install(wheel, tmp_path):
    run(BIN / "uv", "venv", "--quiet", "bare", cwd=tmp_path)
    uv_install = (BIN / "uv", "pip", "install", "--quiet", "--python", "bare")
    run(*uv_install, "--no-deps", wheel, cwd=tmp_path)

    message = (
        "the sandbox needs its extra: pip install 'airflow-provider-ollang[sandbox]', "
        "in a checkout pip install '.[sandbox]'\n"
    )
    printed = run(tmp_path / "bare/bin/ollang-sandbox", cwd=tmp_path, succeeds=False)
    assert printed == f"ollang-sandbox: {message}"
    imports = ("-c", "from airflow_provider_ollang.sandbox import Sandbox")
    printed = run(tmp_path / "bare/bin/python", *imports, cwd=tmp_path, succeeds=False)
    assert printed.endswith(f"\nImportError: {message}")


def test_the_list_of_packages_has_the_dependencies_and_no_path(sbom):
    listed = json.loads(sbom.read_text())
    assert listed["bomFormat"] == "CycloneDX"
    about = listed["metadata"]["component"]
    assert (about["type"], about["name"]) == ("library", "airflow-provider-ollang")
    assert about["version"] == __version__
    versions = {component["name"]: component["version"] for component in listed["components"]}
    assert {"apache-airflow", "requests", "tenacity"} <= versions.keys()
    assert {"pytest", "hypothesis", "mypy"}.isdisjoint(versions)
    assert "file://" not in sbom.read_text()
