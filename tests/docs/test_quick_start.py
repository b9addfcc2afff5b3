"""The quick start and the README's first DAG are followed, in an empty folder."""

from __future__ import annotations

import re

import pytest

from airflow_provider_ollang.sandbox import Sandbox

from .pages import PAGES, ROOT, run

pytestmark = pytest.mark.slow("runs Airflow's commands")
README, PAGE = PAGES["README.md"], PAGES["docs/quick-start.md"]


def test_the_quick_start_does_what_it_says(tmp_path):
    (tmp_path / "airflow-provider-ollang").symlink_to(ROOT)
    empty = tmp_path / "empty"
    empty.mkdir()
    install, serve, *steps = [block.code for block in PAGE.blocks]
    set_up, preview, cancel, look, reset = steps
    assert "pip install " in install
    assert "ollang-sandbox --orders 240 --seed 1" in serve
    with Sandbox(order_count=240, seed=1) as sandbox:

        def follow(*blocks: str) -> str:
            script = "".join(blocks).replace("http://127.0.0.1:8484", sandbox.url)
            return run("bash", "-euc", script, cwd=empty, seconds=400)

        printed = follow(set_up, preview)
        assert "Connection success!" in printed
        assert "would_cancel" in printed
        assert not any(request.is_cancel for request in sandbox.requests)

        variables = "".join(re.findall("export .*\n", set_up))
        printed = follow(variables, cancel, cancel, look)
        cancels = [request for request in sandbox.requests if request.is_cancel]
        assert cancels
        assert {request.status for request in cancels} == {204}
        assert f'{len(cancels)} "method":"POST"' in printed
        cancelled = len(sandbox.orders.where(status="cancelled"))
        assert f'{cancelled} "status":"cancelled"' in printed

        follow(reset)
        assert len(sandbox.orders.where(status="cancelled")) == cancelled - len(cancels)


def test_the_first_dag_of_the_readme_previews(tmp_path):
    [dag] = [block.code for block in README.blocks if block.language == "python"]
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "ollang_cleanup.py").write_text(dag)
    [command] = [block.code for block in PAGE.blocks if "airflow db migrate" in block.code]
    with Sandbox() as sandbox:
        script = command.replace("http://127.0.0.1:8484", sandbox.url)
        script = script.replace('"$PWD/airflow"', f"'{tmp_path}'")
        script = script.replace("airflow connections test ollang_default", "")
        printed = run("bash", "-euc", f"{script}\nairflow dags test ollang_cleanup", cwd=tmp_path)
        assert "would_cancel" in printed
        assert not any(request.is_cancel for request in sandbox.requests)
