"""The workflows do what they should and may do no more; they call make, which is tested here."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from .conftest import BIN, ROOT, make, run

WORKFLOWS = {path.name: path for path in (ROOT / ".github" / "workflows").glob("*.yml")}
PARSED = {name: yaml.safe_load(path.read_text()) for name, path in WORKFLOWS.items()}
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT, DEV_TOOLS = PYPROJECT["project"], PYPROJECT["dependency-groups"]["dev"]
CI, RELEASE, NEWEST = (PARSED[name] for name in ("ci.yml", "release.yml", "newest.yml"))
BUILDS = ("build", "wheel")


def jobs() -> Iterator[tuple[str, Any]]:
    for name, workflow in PARSED.items():
        for job_id, job in workflow["jobs"].items():
            yield f"{name}: {job_id}", job


def commands() -> list[str]:
    steps = [step for _, job in jobs() for step in job.get("steps", [])]
    return [step["run"] for step in steps if "run" in step]


def test_every_workflow_is_looked_at() -> None:
    assert set(WORKFLOWS) == {"ci.yml", "docs.yml", "newest.yml", "release.yml"}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_every_action_is_pinned_by_its_hash_and_names_its_version(name: str) -> None:
    used = re.findall(r"uses: (.*)", WORKFLOWS[name].read_text())
    pinned = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
    own = re.compile(r"\./\.github/workflows/[\w.-]+\.yml( #.*)?")
    assert used
    assert [one for one in used if not (pinned.fullmatch(one) or own.fullmatch(one))] == []


def test_a_job_may_read_and_only_publishing_may_prove_who_it_is() -> None:
    assert all(one["permissions"] == {"contents": "read"} for one in PARSED.values())
    more = {name: job["permissions"] for name, job in jobs() if "permissions" in job}
    assert more == {
        "docs.yml: publish": {"pages": "write", "id-token": "write"},
        "release.yml: publish": {"id-token": "write", "attestations": "write"},
    }
    assert RELEASE["jobs"]["publish"]["environment"] == "pypi"


def test_no_job_runs_for_ever() -> None:
    unbounded = [name for name, job in jobs() if "steps" in job and "timeout-minutes" not in job]
    assert unbounded == []


def test_no_checkout_keeps_its_token() -> None:
    steps = [step for _, job in jobs() for step in job.get("steps", [])]
    checkouts = [step for step in steps if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert {step["with"]["persist-credentials"] for step in checkouts} == {False}


def without_hash(step: dict[str, Any]) -> dict[str, Any]:
    """Return a step without its name, and its action without the hash."""
    shown = {name: value for name, value in step.items() if name != "name"}
    return shown | ({"uses": step["uses"].partition("@")[0]} if "uses" in step else {})


def test_nothing_starts_a_release_but_the_tag_of_a_version() -> None:
    # YAML reads "on" as true.
    assert RELEASE[True] == {"push": {"tags": ["v[0-9]+.[0-9]+.[0-9]+"]}}


def test_a_release_publishes_what_ci_has_tested() -> None:
    assert set(RELEASE["jobs"]) == {"tag", "ci", "publish"}
    assert RELEASE["jobs"]["ci"] == {
        "name": "CI",
        "needs": "tag",
        "uses": "./.github/workflows/ci.yml",
    }
    publish = dict(RELEASE["jobs"]["publish"])
    steps = [without_hash(step) for step in publish.pop("steps")]
    assert publish == {
        "name": "Attest and publish",
        "needs": "ci",
        "runs-on": "ubuntu-latest",
        "timeout-minutes": 15,
        "environment": "pypi",
        "permissions": {"id-token": "write", "attestations": "write"},
    }
    assert steps == [
        download("dist", "dist/"),
        download("sbom", "sbom/"),
        {"uses": "actions/attest", "with": {"subject-path": "dist/*"}},
        {
            "uses": "actions/attest",
            "with": {"subject-path": "dist/*", "sbom-path": "sbom/sbom.json"},
        },
        {"uses": "pypa/gh-action-pypi-publish", "with": {"attestations": True}},
    ]


def download(name: str, path: str) -> dict[str, Any]:
    return {"uses": "actions/download-artifact", "with": {"name": name, "path": path}}


def test_ci_tests_the_wheel_that_it_built_once() -> None:
    build, wheel = ([without_hash(it) for it in CI["jobs"][name]["steps"]] for name in BUILDS)
    uploads = [step["with"] for step in build if step.get("uses") == "actions/upload-artifact"]
    assert [step["run"] for step in build if "run" in step] == ["make build sbom"]
    assert uploads == [
        {"name": "dist", "path": "dist/", "if-no-files-found": "error"},
        {"name": "sbom", "path": "build/sbom.json", "if-no-files-found": "error"},
    ]
    assert CI["jobs"]["wheel"]["needs"] == "build"
    assert [step for step in wheel if "run" in step] == [
        {
            "run": "make test-wheel",
            "env": {"AIRFLOW": "${{ matrix.airflow }}", "ON": "${{ matrix.python }}"},
        }
    ]
    assert download("dist", "dist/") in wheel
    assert CI["jobs"]["check"]["strategy"]["matrix"] == {
        "target": ["test", "test-scheduler", "lint-workflows"]
    }


def test_no_failure_is_passed_over_and_no_secret_is_read() -> None:
    for path in WORKFLOWS.values():
        assert re.findall(r"continue-on-error|secrets\.|\bif:", path.read_text()) == []


def test_the_wheel_is_tested_on_every_version_that_the_project_names() -> None:
    matrix = CI["jobs"]["wheel"]["strategy"]["matrix"]
    classified = [one.rpartition(" ")[2] for one in PROJECT["classifiers"] if ":: 3." in one]
    assert matrix["python"] == classified
    [oldest] = [one for one in PROJECT["dependencies"] if one.startswith("apache-airflow>")]
    assert oldest.removeprefix("apache-airflow>=").startswith(matrix["airflow"][0])
    pin = re.compile(r"apache-airflow\[[a-z,]+\]==(.*)")
    [newest] = [found[1] for one in DEV_TOOLS if (found := pin.fullmatch(str(one)))]
    assert newest.startswith(matrix["airflow"][-1])


def test_each_week_the_newest_packages_are_tested_on_the_oldest_and_the_newest_python() -> None:
    assert NEWEST[True]["schedule"] == [{"cron": "17 5 * * 1"}]
    classified = CI["jobs"]["wheel"]["strategy"]["matrix"]["python"]
    [job] = NEWEST["jobs"].values()
    assert job["strategy"]["matrix"]["python"] == [classified[0], classified[-1]]


def test_every_command_is_a_target_that_exists() -> None:
    listed = set(re.findall(r"^  make ([a-z-]+)", make("help", cwd=ROOT), flags=re.MULTILINE))
    called = {target for command in commands() for target in command.split()[1:]}
    assert {command.split()[0] for command in commands()} == {"make"}
    assert called - {'"$TARGET"'} <= listed
    assert set(CI["jobs"]["check"]["strategy"]["matrix"]["target"]) <= listed


def test_a_tag_is_the_versions_and_stands_in_the_changelog(checkout: Path) -> None:
    changelog = checkout / "CHANGELOG.md"
    written = changelog.read_text()
    try:
        changelog.write_text("## [Unreleased]\n")
        refused = make("check-tag", cwd=checkout, succeeds=False, TAG=f"v{version()}")
        assert "CHANGELOG.md has no section" in refused
        changelog.write_text(f"## [{version()}] - 2026-12-01\n")
        make("check-tag", cwd=checkout, TAG=f"v{version()}")
        for tag in ("v99.0.0", f"{version()}", f"v{version()}.1", "v$(exit)"):
            refused = make("check-tag", cwd=checkout, succeeds=False, TAG=tag)
            assert f"TAG is '{tag}'" in refused
    finally:
        changelog.write_text(written)


def version() -> str:
    source = (ROOT / "airflow_provider_ollang" / "__init__.py").read_text()
    [found] = re.findall(r'^__version__ = "(.*)"', source, flags=re.MULTILINE)
    return found


def test_an_auditor_of_workflows_finds_nothing() -> None:
    run(BIN / "zizmor", "--quiet", "--offline", ".github", cwd=ROOT)
