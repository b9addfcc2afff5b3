"""What CI tests, and what a release demands of its tag. zizmor checks the rest in ``make lint``."""

import re
import tomllib

import yaml

from airflow_provider_ollang import __version__

from .conftest import ROOT, make

WORKFLOWS = ROOT / ".github" / "workflows"
CI, RELEASE = (
    yaml.safe_load((WORKFLOWS / name).read_text())["jobs"] for name in ("ci.yml", "release.yml")
)
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT, DEV_TOOLS = PYPROJECT["project"], PYPROJECT["dependency-groups"]["dev"]


def test_a_release_publishes_what_ci_has_tested():
    publish = RELEASE["publish"]
    assert (RELEASE["ci"]["uses"], publish["needs"]) == ("./.github/workflows/ci.yml", "ci")
    assert not any("run" in step for step in publish["steps"])  # nothing is built there
    assert "secrets." not in (WORKFLOWS / "release.yml").read_text()


def test_the_wheel_is_tested_on_every_version_that_the_project_names():
    matrix = CI["wheel"]["strategy"]["matrix"]
    classified = [one.rpartition(" ")[2] for one in PROJECT["classifiers"] if ":: 3." in one]
    assert matrix["python"] == classified
    [oldest] = [one for one in PROJECT["dependencies"] if one.startswith("apache-airflow>")]
    assert oldest.removeprefix("apache-airflow>=").startswith(matrix["airflow"][0])
    pin = re.compile(r"apache-airflow\[[a-z,]+\]==(.*)")
    [newest] = [found[1] for one in DEV_TOOLS if (found := pin.fullmatch(str(one)))]
    assert newest.startswith(matrix["airflow"][-1])


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
