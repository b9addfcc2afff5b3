"""docs/sandbox.md lists the command's options, the endpoints and the faults that there are."""

from __future__ import annotations

import shlex

import pytest

from airflow_provider_ollang.sandbox import Sandbox
from airflow_provider_ollang.sandbox.__main__ import create_parser
from airflow_provider_ollang.sandbox.app import API_ROUTES, CONTROL_ROUTES
from airflow_provider_ollang.sandbox.faults import KINDS

from .pages import PAGES, code, commands, text

PAGE = PAGES["docs/sandbox.md"]


@pytest.mark.parametrize("command", commands("ollang-sandbox"))
def test_the_command_takes_the_options_of_each_page(command: str) -> None:
    assert create_parser().parse_args(shlex.split(command)[1:])


def test_each_option_is_listed_with_its_default() -> None:
    rows = PAGE.table("Options", "option").rows
    options = vars(create_parser().parse_args([]))
    listed = {code(row[0])[0]: text(row[1]).replace("none", "") for row in rows}
    assert listed == {
        f"--{name.replace('_', '-')}": "" if default is None else str(default)
        for name, default in options.items()
    }


def test_each_endpoint_is_listed() -> None:
    tables = (PAGE.table(heading, "endpoint") for heading in ("Endpoints", "Control endpoints"))
    listed = {code(row[0])[0] for table in tables for row in table.rows}
    served = {
        f"{method} {prefix}{route.path.replace('order_id', 'orderId')}"
        for prefix, routes in (("", API_ROUTES), ("/_sandbox", CONTROL_ROUTES))
        for route in routes
        for method in route.methods - {"HEAD"}
    }
    assert listed == served


def test_each_kind_of_fault_is_explained() -> None:
    rows = PAGE.table("Faults", "kind").rows
    assert sorted(kind for row in rows for kind in code(row[0])) == sorted(KINDS)


def test_each_public_member_is_explained() -> None:
    listed = " ".join(text(row[0]) for row in PAGE.table("From Python", "member of Sandbox").rows)
    public = {name for name in vars(Sandbox) if not name.startswith("_")}
    explained = {"start", "stop"}  # with the constructor
    assert {name for name in public - explained if name not in listed} == set()
