"""What the workflows promise beyond what zizmor checks in ``make lint``."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_provider_ollang import __version__

from .conftest import ROOT, make

WORKFLOWS = {path.name: path for path in (ROOT / ".github" / "workflows").glob("*.yml")}
LOADED = {name: yaml.safe_load(path.read_text()) for name, path in WORKFLOWS.items()}
CI, RELEASE = LOADED["ci.yml"]["jobs"], LOADED["release.yml"]["jobs"]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT, DEV_TOOLS = PYPROJECT["project"], PYPROJECT["dependency-groups"]["dev"]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_every_action_is_pinned_by_its_hash_and_names_its_version(name):
    used = re.findall(r"uses: (.*)", WORKFLOWS[name].read_text())
    pinned = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
    own = re.compile(r"\./\.github/workflows/[\w.-]+\.yml( #.*)?")
    assert used
    assert [one for one in used if not (pinned.fullmatch(one) or own.fullmatch(one))] == []


def passed_on(job: dict[str, Any], action: str) -> list[str]:
    """Return the names of the artifacts that a job uploads or downloads."""
    steps = [step for step in job["steps"] if f"actions/{action}-artifact@" in step.get("uses", "")]
    return [step["with"]["name"] for step in steps]


def test_a_release_publishes_what_ci_has_tested():
    assert RELEASE["ci"] | {"name": ""} == {
        "name": "",
        "needs": "tag",
        "uses": "./.github/workflows/ci.yml",
    }
    assert RELEASE["publish"]["needs"] == "ci"
    assert not any("run" in step for step in RELEASE["publish"]["steps"])
    assert passed_on(RELEASE["publish"], "download") == ["dist", "sbom"]
    assert passed_on(CI["build"], "upload") == ["dist", "sbom"]
    assert passed_on(CI["wheel"], "download") == ["dist"]
    assert [name for name in CI if "needs" not in CI[name]] == ["check", "build"]
    for path in WORKFLOWS.values():
        assert re.findall(r"continue-on-error|secrets\.|\bif:", path.read_text()) == []


def test_the_wheel_is_tested_on_every_version_that_the_project_names():
    matrix = CI["wheel"]["strategy"]["matrix"]
    classified = [one.rpartition(" ")[2] for one in PROJECT["classifiers"] if ":: 3." in one]
    assert matrix["python"] == classified
    [oldest] = [one for one in PROJECT["dependencies"] if one.startswith("apache-airflow>")]
    assert oldest.removeprefix("apache-airflow>=").startswith(matrix["airflow"][0])
    pin = re.compile(r"apache-airflow\[[a-z,]+\]==(.*)")
    [newest] = [found[1] for one in DEV_TOOLS if (found := pin.fullmatch(str(one)))]
    assert newest.startswith(matrix["airflow"][-1])


def test_every_command_is_a_target_that_exists():
    jobs = [job for workflow in LOADED.values() for job in workflow["jobs"].values()]
    commands = [step["run"] for job in jobs for step in job.get("steps", []) if "run" in step]
    called = {word for command in commands for word in command.split()}
    targets = set(CI["check"]["strategy"]["matrix"]["target"]) | called - {"make", '"$TARGET"'}
    listed = re.findall(r"^  make ([a-z-]+)", make("help", cwd=ROOT), flags=re.MULTILINE)
    assert targets <= set(listed)


def test_a_tag_is_the_versions_and_stands_in_the_changelog(tmp_path):
    (tmp_path / "Makefile").symlink_to(ROOT / "Makefile")
    (tmp_path / "airflow_provider_ollang").symlink_to(ROOT / "airflow_provider_ollang")
    changelog, right = tmp_path / "CHANGELOG.md", f"v{__version__}"

    changelog.write_text("## [Unreleased]\n")
    printed = make("check-tag", cwd=tmp_path, succeeds=False, TAG=right)
    assert "CHANGELOG.md has no section" in printed
    changelog.write_text(f"## [{__version__}] - 2026-12-01\n")
    make("check-tag", cwd=tmp_path, TAG=right)
    for tag in ("v99.0.0", __version__, f"{right}.1", "v$(exit)"):
        printed = make("check-tag", cwd=tmp_path, succeeds=False, TAG=tag)
        assert f"TAG is '{tag}'" in printed
