"""Every page is tested like code: its blocks run, its links lead somewhere."""

from __future__ import annotations

import json
import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote

import pytest
from airflow.configuration import conf
from airflow.providers.common.compat.sdk import DAG

from .pages import PAGES, ROOT, commands, run

LANGUAGES = {"bash", "json", "python", "text"}
every_page = pytest.mark.parametrize("page", PAGES.values(), ids=list(PAGES))


@every_page
def test_every_block_is_of_a_kind_that_is_tested(page):
    assert {block.language for block in page.blocks} <= LANGUAGES


@every_page
def test_every_json_block_is_json(page):
    for block in page.blocks:
        if block.language == "json":
            json.loads(block.code)


@every_page
def test_the_python_blocks_of_a_page_run_in_their_order(page):
    namespace: dict[str, object] = {}
    with DAG("page", start_date=datetime(2026, 1, 1, tzinfo=UTC), schedule=None):
        for block in page.blocks:
            if block.language == "python" and not block.file:
                exec(compile(block.code, page.name, "exec"), namespace)  # noqa: S102 - our own


@pytest.mark.slow("a pytest of its own, with Airflow in it")
def test_the_example_of_testing_a_dag_passes_where_it_is_copied_to(tmp_path):
    page = PAGES["docs/guides/test-your-dag.md"]
    files = {block.file: block.code for block in page.blocks if block.file}
    for name, code in files.items():
        assert f"`{name}`" in page.path.read_text(), "a reader sees no block's file otherwise"
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(code)
    assert "pytest" in page.commands
    printed = run(
        sys.executable, "-m", "pytest", "-p", "no:cacheprovider", cwd=tmp_path, seconds=600
    )
    tests = re.findall(r"^def test_", files["tests/test_my_cleanup.py"], flags=re.MULTILINE)
    assert f"{len(tests)} passed" in printed


def test_the_make_targets_exist():
    written = " ".join(page.path.read_text() for page in PAGES.values())
    mentioned = set(re.findall(r"(?:^|`)make ([a-z-]+)", written, flags=re.MULTILINE))
    listed = set(re.findall(r"^  make ([a-z-]+)", run("make", "help"), flags=re.MULTILINE))
    assert {"demo", "demo-ui", "test"} <= mentioned
    assert mentioned <= listed | {"help"}


@pytest.mark.parametrize("export", commands("export AIRFLOW__"))
def test_the_options_of_airflow_exist(export):
    section, option = export.removeprefix("export AIRFLOW__").partition("=")[0].split("__")
    assert conf.has_option(section, option)


@every_page
def test_every_link_inside_the_repository_leads_somewhere(page):
    for link in page.links:
        if re.match(r"https?://|mailto:", link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = Path(os.path.normpath(page.path.parent / path)) if path else page.path
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        if anchor:
            assert anchor in PAGES[target.relative_to(ROOT).as_posix()].anchors, link


@pytest.mark.slow("builds the whole site")
def test_the_site_is_built_without_a_warning(tmp_path):
    run(sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site"))
    for name in ("index.html", "project/security/index.html", "reference/operators/index.html"):
        assert (tmp_path / "site" / name).is_file()


def test_every_example_dag_is_listed():
    examples = {f"example_dags/{path.name}" for path in (ROOT / "example_dags").glob("*.py")}
    assert examples <= set(PAGES["README.md"].links)
