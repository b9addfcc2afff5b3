"""docs/quick-start.md is followed from its third step on, in an empty folder."""

from __future__ import annotations

from pathlib import Path

from airflow_provider_ollang.sandbox import Sandbox

from .pages import PAGES, ROOT, run

PAGE = PAGES["docs/quick-start.md"]


def test_the_quick_start_does_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "airflow-provider-ollang").symlink_to(ROOT)
    (tmp_path / "empty").mkdir()
    install, serve, *steps, reset = [block.code for block in PAGE.blocks]
    assert "pip install " in install
    assert "ollang-sandbox --orders 240 --seed 1" in serve
    with Sandbox(order_count=240, seed=1) as sandbox:
        script = "".join(steps).replace("http://127.0.0.1:8484", sandbox.url)
        printed = run("bash", "-euc", script, cwd=tmp_path / "empty", seconds=400)
        tested, previewed, no_cancel, cancelled, nothing, received = (
            printed.index(said)
            for said in (
                "Connection success!",
                "Previewing ",
                "preview: no cancel was sent",
                "cancelled  ",
                "There is no order to cancel.",
                '"method":"POST"',
            )
        )
        assert tested < previewed < no_cancel < cancelled < nothing < received
        cancels = [request for request in sandbox.requests if request.is_cancel]
        assert {request.status for request in cancels} == {204}
        assert f'{len(cancels)} "method":"POST"' in printed
        now_cancelled = len(sandbox.orders.where(status="cancelled"))
        assert f'{now_cancelled} "status":"cancelled"' in printed

        run("bash", "-euc", reset.replace("http://127.0.0.1:8484", sandbox.url), cwd=tmp_path)
        assert len(sandbox.orders.where(status="cancelled")) == now_cancelled - len(cancels)
        assert len(cancels) > 0
