"""The connection, filled into Airflow's form and tried out there."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from airflow_provider_ollang.sandbox import Sandbox
from demo.airflow_home import run_airflow
from tests.scheduler.scheduler import Scheduler
from tests.ui import pages
from tests.ui.camera import FORM, Camera

LISTING = "/integration/orders?"
STANDARD = ["Connection ID *", "Connection Type *", "Description", "Base URL", "API key"]
EXTRA = ["Connection ID *", "Connection Type *", "Timeout (seconds)", "Max attempts", "CA bundle"]
HELP = {
    "Timeout (seconds)": "Time limit for a complete response. Default: 30.",
    "Max attempts": "Tries per request when the API is busy or unreachable",
    "CA bundle": "Path of a file on the workers with the CA certificates to trust.",
}


def test_a_connection_filled_into_the_form_works(
    page: Page, sandbox: Sandbox, environment: dict[str, str], airflow: Scheduler, camera: Camera
) -> None:
    form = pages.open_connection_form(page, "ollang_by_hand")
    url, key = pages.entry(form, "Base URL"), pages.entry(form, "API key")
    expect(form.locator("label:visible")).to_have_text(STANDARD)
    expect(url).to_have_attribute("placeholder", "https://api-integration.ollang.com (default)")
    expect(key).to_have_attribute("placeholder", "from Ollang: Project settings > API keys")
    url.fill(sandbox.url)
    key.fill(sandbox.api_key)
    expect(key).to_have_attribute("type", "password")
    camera.take("connection", clip=FORM)

    form.get_by_role("button", name="Extra Fields", exact=True).click()
    expect(form.locator("label:visible")).to_have_text(EXTRA)
    for label, text in HELP.items():
        expect(pages.field(form, label)).to_contain_text(text)
    pages.entry(form, "Timeout (seconds)").fill("20")
    pages.entry(form, "Max attempts").fill("2")
    camera.take("connection-extra", clip=FORM)
    pages.save(page, form)

    saved = airflow.call("GET", "/connections/ollang_by_hand")
    assert (saved["conn_type"], saved["host"]) == ("ollang", sandbox.url)
    assert saved["extra"] == '{"timeout": 20, "max_attempts": 2, "verify": null}'
    run_airflow(environment, "connections", "test", "ollang_by_hand")
    (request,) = sandbox.requests
    assert request.path.startswith(LISTING)
    assert request.key_accepted


def add_with_port(airflow: Scheduler, conn_id: str, sandbox: Sandbox, key: str) -> None:
    # Airflow 3.3.1 and 3.3.2 respond "Bad Request" to the Test button where a connection, of any
    # type, has no port; they do not even ask the provider then. And the form has no field for it.
    address = urlsplit(sandbox.url)
    fields = {"conn_type": "ollang", "host": f"http://{address.hostname}", "port": address.port}
    body = {"connection_id": conn_id, **fields, "password": key}
    airflow.call("POST", "/connections", json=body)


@pytest.mark.parametrize("is_good", [True, False], ids=["good", "bad"])
def test_the_test_button_says_whether_the_key_works(
    page: Page, sandbox: Sandbox, airflow: Scheduler, camera: Camera, is_good: bool
) -> None:
    conn_id, key = ("good_key", sandbox.api_key) if is_good else ("bad_key", "no-such-key")
    add_with_port(airflow, conn_id, sandbox, key)
    page.set_viewport_size({"width": 1000, "height": 430})

    response = pages.press_test(page, conn_id)

    if is_good:
        expect(response).to_contain_text("Test Connection Successful")
        expect(response).to_contain_text(f"The key works: {sandbox.url} lists 240 orders for it.")
        page.mouse.move(0, 0)
        expect(page.get_by_role("tooltip")).to_have_count(0)
        camera.take("connection-test")
    else:
        expect(response).to_contain_text("Test Connection Failed")
        expect(response).to_contain_text("HTTP 401, UNAUTHORIZED: Invalid or missing API key")
    (request,) = sandbox.requests
    assert request.path.startswith(LISTING)
    assert request.query["pageOptions[take]"] == "1"
    assert request.key_accepted is is_good
