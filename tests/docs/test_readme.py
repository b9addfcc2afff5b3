"""The README is tested like code: its blocks run, its links lead somewhere."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_ollang.hooks.ollang import OllangHook

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
COMMANDS = [line for language, block in BLOCKS if language == "bash" for line in block.splitlines()]


def commands(start: str) -> list[str]:
    found = [command for command in COMMANDS if command.startswith(start)]
    assert found, f"the README has no command that starts with {start!r}"
    return found


def run(*command: str, **environment: str) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        command,
        env={**os.environ, "PATH": path, **environment},
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    ).stdout


def test_every_python_block_runs_in_a_dag() -> None:
    namespace: dict[str, object] = {}
    with DAG("readme", start_date=datetime(2026, 1, 1, tzinfo=UTC), schedule=None) as dag:
        for language, block in BLOCKS:
            if language == "python":
                exec(compile(block, "README.md", "exec"), namespace)  # noqa: S102 - our own
    assert set(dag.task_ids) == {
        "find_stale_orders",
        "cancel_stale_orders",
        "find_in_chunks",
        "cancel_chunks",
        "cancel_order",
    }


def test_every_block_is_of_a_kind_that_is_tested() -> None:
    assert {language for language, _ in BLOCKS} == {"bash", "python"}
    known = (
        "make ",
        "pip install ",
        "airflow connections add ",
        "airflow dags test ",
        "export AIRFLOW_CONN_",
        "ollang-",
    )
    assert [command for command in COMMANDS if not command.startswith(known)] == []


def test_the_make_targets_exist() -> None:
    mentioned = set(re.findall(r"(?:^|`)make ([a-z-]+)", README, flags=re.MULTILINE))
    listed = set(re.findall(r"^  make ([a-z-]+)", run("make", "help"), flags=re.MULTILINE))
    assert {"demo", "demo-ui", "test"} <= mentioned
    assert mentioned <= listed | {"help"}


@pytest.mark.parametrize("export", commands("export AIRFLOW_CONN_"))
def test_a_connection_in_the_environment_gives_a_client(
    export: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, _, value = shlex.split(export)[1].partition("=")
    monkeypatch.setenv(name, value)
    client = OllangHook().get_conn()
    assert client.base_url in ("https://api-integration.ollang.com", "http://127.0.0.1:8484")


def test_the_connection_from_the_command_line_gives_a_client(tmp_path: Path) -> None:
    home = {"AIRFLOW_HOME": str(tmp_path)}
    run("airflow", "db", "migrate", **home)
    (command,) = commands("airflow connections add ")
    run(*shlex.split(command), **home)
    listed = run("airflow", "connections", "get", "ollang_default", "--output", "json", **home)
    assert '"conn_type": "ollang"' in listed
    assert '"password": "your-api-key"' in listed


def test_the_sandbox_takes_the_options_that_the_readme_names() -> None:
    help_text = run("ollang-sandbox", "--help")
    mentioned = set(re.findall(r"`?(--[a-z-]+)", " ".join(commands("ollang-sandbox"))))
    mentioned |= {"--latency-ms", "--rate-limit", "--faults"}
    assert {option for option in mentioned if option not in help_text} == set()


def test_every_link_inside_the_repository_leads_somewhere() -> None:
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)[^)]*\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_example_dag_is_listed() -> None:
    examples = {path.name for path in (ROOT / "example_dags").glob("*.py")}
    assert {name for name in examples if f"[{name}](example_dags/{name})" not in README} == set()
