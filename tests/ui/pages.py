"""Airflow's pages, as a person uses them."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect


def open_connection_form(page: Page, conn_id: str) -> Locator:
    """Ask for a new connection, choose the type Ollang, and return the form."""
    page.goto("/connections")
    page.get_by_role("button", name="Add Connection").click()
    form = page.get_by_role("dialog")
    entry(form, "Connection ID").fill(conn_id)
    form.get_by_role("combobox", name="Connection Type").press_sequentially("Oll")
    form.get_by_role("option", name="Ollang", exact=True).click()
    return form


def field(form: Locator, label: str) -> Locator:
    """Return the part of a form that has this label: its entry and what explains it."""
    # Airflow ties few labels to their entries, and marks a required one with an asterisk.
    named = form.page.locator("label", has_text=re.compile(rf"^{re.escape(label)}\s*\*?$"))
    return form.get_by_role("group").filter(has=named)


def entry(form: Locator, label: str) -> Locator:
    """Return what is filled in under this label."""
    return field(form, label).locator("input, textarea").first


def save(page: Page, form: Locator) -> None:
    """Save a connection, and see Airflow say so."""
    form.get_by_role("button", name="Save").click()
    expect(message(page)).to_contain_text("Connection has been successfully created.")


def press_test(page: Page, conn_id: str) -> Locator:
    """Press a connection's Test button in the list, and return what pops up."""
    page.goto("/connections")
    row = page.get_by_role("row").filter(has_text=conn_id)
    row.get_by_role("button", name="Test Connection").click()
    return message(page)


def message(page: Page) -> Locator:
    """Return what pops up in a corner."""
    return page.get_by_role("status")


def open_trigger_form(page: Page, dag_id: str) -> Locator:
    """Ask for a run, and return the form."""
    page.goto(f"/dags/{dag_id}")
    page.get_by_role("button", name="Trigger").click()
    return page.get_by_role("dialog")


def trigger(page: Page, form: Locator) -> None:
    """Start the run, and come to its page."""
    form.get_by_role("button", name="Trigger", exact=True).click()
    expect(page).to_have_url(re.compile(r"/runs/manual__[^/]+$"))


def see_task(page: Page, task_id: str, state: str) -> Locator:
    """Wait on a run's page until a task is in this state, and return the state's badge."""
    link = page.get_by_role("link", name=task_id, exact=True)
    row = page.get_by_role("row").filter(has=link)
    badge = row.get_by_test_id("state-badge")
    expect(badge).to_have_text(state)
    return badge


def open_task(page: Page, task_id: str) -> None:
    """Go from a run's page to that of one of its tasks."""
    page.get_by_role("table").get_by_role("link", name=task_id, exact=True).click()
    expect(page.get_by_role("heading", name=task_id, exact=True)).to_be_visible()


def mark_success(page: Page) -> None:
    """Press "Mark Task Instance as…" and then "success" on a task's page, and confirm."""
    page.get_by_role("button", name=re.compile("Mark Task Instance as")).click()
    page.get_by_role("menuitem", name=re.compile("success", re.IGNORECASE)).click()
    page.get_by_role("dialog").get_by_role("button", name="Confirm").click()
    expect(page.get_by_role("dialog")).to_have_count(0)


def wrap_log(page: Page) -> None:
    """Let the lines of a task's log be read to their ends."""
    page.get_by_role("button", name="Log Settings").click()
    page.get_by_role("menuitem", name="Wrap").click()


def open_xcom(page: Page) -> None:
    """Go from a task's page to what it pushed, and unfold it."""
    page.get_by_role("link", name="Storage").click()
    page.get_by_role("link", name="XCom").click()
    page.get_by_role("button", name="Expand all extra JSON").click()


def xcom(page: Page, key: str) -> Locator:
    """Return the value that a task's XCom page shows for a key."""
    named = page.get_by_role("cell", name=key, exact=True)
    return page.get_by_role("row").filter(has=named).locator(".view-lines")
