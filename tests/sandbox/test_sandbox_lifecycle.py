"""What becomes of created orders by the clock, and the call when one is completed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from airflow_provider_ollang.sandbox import Sandbox
from tests.api.conftest import wait_until

from .conftest import Client
from .test_sandbox_create import BODY, CREATE


@contextmanager
def receiver(status: int = 200) -> Iterator[tuple[str, list[dict[str, object]]]]:
    """Run a server, and yield its URL with the calls that it received."""
    calls: list[dict[str, object]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            calls.append({"path": self.path, **body})
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/done?run=7", calls
        server.shutdown()


def create(sandbox: Sandbox, **fields: object) -> list[str]:
    response = Client(sandbox).post(CREATE, json=BODY | fields)
    return [entry["orderId"] for entry in response.json()]


def status_of(sandbox: Sandbox, order_id: str) -> str:
    return str(Client(sandbox).get(f"/integration/orders/{order_id}").json()["status"])


def test_a_created_order_goes_through_its_life():
    with Sandbox(order_count=0, lifecycle="pending=0.5,ongoing=0.5") as sandbox:
        standing = sandbox.orders.add()["id"]
        order_id, _ = create(sandbox, orderType="cc")
        seen = []

        def is_completed() -> bool:
            seen.append(status_of(sandbox, order_id))
            return seen[-1] == "completed"

        wait_until(is_completed)

        assert list(dict.fromkeys(seen)) == ["pending", "ongoing", "completed"]
        assert sandbox.orders.get(order_id)["vttUrl"].startswith("https://")
        assert sandbox.orders.where(status="pending") == [sandbox.orders.get(standing)]
        assert Client(sandbox).list_ids(status="completed", orderBy="createdAt")
        assert Client(sandbox).cancel(order_id).status_code == 400


def test_a_created_order_can_be_cancelled_until_it_is_completed_and_stays_so():
    with Sandbox(order_count=0, lifecycle="pending=0.2,ongoing=0.6") as sandbox:
        order_id, other = create(sandbox)
        assert Client(sandbox).cancel(order_id).status_code == 204
        wait_until(lambda: status_of(sandbox, other) == "ongoing")
        assert Client(sandbox).cancel(other).status_code == 204
        time.sleep(0.8)
        assert len(sandbox.orders.where(status="cancelled")) == 2


def test_a_completed_order_is_reported_to_its_callback_url():
    with receiver() as (url, calls), Sandbox(lifecycle="pending=0.1") as sandbox:
        order_ids = create(sandbox, orderType="cc", callbackUrl=url)
        wait_until(lambda: len(calls) == 2)

        [call] = [call for call in calls if call["orderId"] == order_ids[0]]
        order = sandbox.orders.get(order_ids[0])
        assert call.pop("completedAt").endswith("Z")
        assert call == {
            "path": "/done?run=7",
            "orderId": order["id"],
            "status": "completed",
            "orderType": "cc",
            "targetLanguage": "fr",
            "orderDocs": order["orderDocs"],
            "vttUrl": order["vttUrl"],
        }


def test_a_callback_can_come_twice_whatever_its_receiver_says():
    with (
        receiver(status=500) as (url, calls),
        Sandbox(lifecycle="pending=0", callback_twice=1) as sandbox,
    ):
        order_ids = create(sandbox, callbackUrl=url)
        wait_until(lambda: len(calls) == 4)
        assert sorted(call["orderId"] for call in calls) == sorted(order_ids * 2)


def test_neither_a_cancelled_order_nor_a_missing_receiver_makes_trouble():
    with receiver() as (url, calls), Sandbox(lifecycle="pending=0.2") as sandbox:
        create(sandbox, callbackUrl="http://127.0.0.1:1/")
        cancelled, other = create(sandbox, callbackUrl=url)
        Client(sandbox).cancel(cancelled)
        wait_until(lambda: calls)
        time.sleep(0.1)
        assert [call["orderId"] for call in calls] == [other]
