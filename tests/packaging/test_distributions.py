"""What is in the wheel and in the source distribution, and what is not."""

from __future__ import annotations

import re
import tarfile
import tomllib
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

from airflow_provider_ollang import __version__

from .conftest import BIN, FORGE, ROOT, run

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
NAME = f"airflow_provider_ollang-{__version__}"
#: What a checkout has for its own forge alone.
NOT_DISTRIBUTED = {".ci/run"}


def content_of_wheel(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def content_of_sdist(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        files = {member.name: archive.extractfile(member) for member in archive.getmembers()}
        return {name.removeprefix(f"{NAME}/"): file.read() for name, file in files.items() if file}


@pytest.fixture(scope="session")
def metadata(wheel: Path) -> Message:
    return message_from_bytes(content_of_wheel(wheel)[f"{NAME}.dist-info/METADATA"])


def test_the_wheel_holds_the_package_and_nothing_else(wheel, project_files):
    package = {path for path in project_files if path.startswith("airflow_provider_ollang/")}
    assert {Path(path).suffix for path in package} == {".py", ".typed"}
    about = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")
    assert set(content_of_wheel(wheel)) == package | {f"{NAME}.dist-info/{path}" for path in about}


def test_the_source_distribution_holds_the_projects_files_and_nothing_else(sdist, project_files):
    expected = {*project_files, "PKG-INFO"} - NOT_DISTRIBUTED
    assert set(content_of_sdist(sdist)) == expected


def test_a_wheel_of_the_checkout_is_byte_for_byte_that_of_the_source_distribution(
    wheel, checkout, tmp_path
):
    command = (BIN / "python", "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path)
    run(*command, cwd=checkout, **FORGE)
    assert (tmp_path / wheel.name).read_bytes() == wheel.read_bytes()


# Put together here, so that this very file passes.
REGISTRIES = "|".join(name.replace(" ", r"\.") for name in ("pypi org", "pythonhosted org"))
TRACES = re.compile(rf"{REGISTRIES}|--(?:extra-)?index-url[ =]|(?<![\w.])/(?:root|home|Users)/\w")


def test_no_line_names_a_registry_or_somebodys_home(wheel, sdist):
    found = [
        f"{name}: {line}"
        for content in (content_of_wheel(wheel), content_of_sdist(sdist))
        for name, packed in content.items()
        for line in packed.decode(errors="replace").splitlines()  # pictures are no text
        if TRACES.search(line)
    ]
    assert found == []


def test_the_metadata_has_what_the_index_shows(metadata):
    assert metadata["Version"] == __version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == PYPROJECT["project"]["requires-python"]
    assert metadata["Description-Content-Type"] == "text/markdown"
    readme = metadata.get_payload(decode=True).decode()
    links = re.findall(r"(!?)\[[^]]*\]\(([^)]+)\)", readme)
    assert len(links) > 20
    for is_picture, link in links:
        within = f"https://github.com/Some-Team/provider/{'raw' if is_picture else 'blob'}/main/"
        path = link.removeprefix(within).partition("#")[0]
        assert (ROOT / path).exists() if link.startswith(within) else link.startswith("https:")


def test_the_addresses_are_those_of_the_repository_that_built_it(metadata):
    source = "https://github.com/Some-Team/provider"
    assert set(metadata.get_all("Project-URL") or []) == {
        "Ollang API, https://api-docs.ollang.com",
        f"Source, {source}",
        "Documentation, https://some-team.github.io/provider/",
        f"Changelog, {source}/blob/main/CHANGELOG.md",
        f"Issues, {source}/issues",
    }


def test_each_dependency_has_a_lower_bound_and_no_other(metadata):
    required = metadata.get_all("Requires-Dist") or []
    bounded = re.compile(r"[a-z-]+>=[0-9.]+(?:; extra == 'sandbox')?")
    assert [one for one in required if not bounded.fullmatch(one)] == []
    ours = PYPROJECT["project"]
    assert len(required) == sum(
        map(len, (ours["dependencies"], *ours["optional-dependencies"].values()))
    )
