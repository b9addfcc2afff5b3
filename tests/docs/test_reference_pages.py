"""The reference pages leave nothing out: parameters, outcomes, fields, options, faults."""

from __future__ import annotations

import importlib
import inspect
import json
import re
import shlex
from dataclasses import is_dataclass
from typing import Any

import pytest

from airflow_provider_ollang.cleanup.result import OrderResult, Outcome
from airflow_provider_ollang.sandbox.__main__ import create_parser
from airflow_provider_ollang.sandbox._faults import KINDS

from .pages import PAGES, code, commands

#: What the site shows from docstrings.
SHOWN = sorted(
    {
        name
        for page in PAGES.values()
        for name in re.findall(r"^::: ([\w.]+)$", page.path.read_text(), flags=re.MULTILINE)
    }
)
REPORT, SANDBOX = PAGES["docs/reference/report.md"], PAGES["docs/reference/sandbox.md"]


def found(name: str) -> Any:
    module, _, attribute = name.rpartition(".")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        return getattr(importlib.import_module(module), attribute)


@pytest.mark.parametrize("name", SHOWN)
def test_every_parameter_is_described_in_its_docstring(name):
    documented = found(name)
    text = inspect.getdoc(documented)
    assert text
    if inspect.isclass(documented) and not is_dataclass(documented):
        takes = set(inspect.signature(documented).parameters) - {"args", "kwargs"}
        assert takes <= set(re.findall(r":param (\w+):", text))


def names(heading: str, first: str, page: Any) -> list[str]:
    return [name for row in page.table(heading, first).rows for name in code(row[0])]


def test_each_outcome_is_explained():
    assert set(names("Outcomes", "outcome", REPORT)) == set(Outcome)


def test_each_field_of_the_report_is_explained():
    result = OrderResult("65a4f0000f1e2d3c4b5a6978", Outcome.CANCELLED)
    written = ["base_url", "conn_id", *result.to_json()]
    [example] = [block for block in REPORT.blocks if block.language == "json"]
    assert list(json.loads(example.code)) == written
    assert names("The report's lines", "field", REPORT) == [*written, "preview"]


@pytest.mark.parametrize("command", commands("ollang-sandbox"))
def test_the_sandboxs_command_takes_the_options_of_each_page(command):
    assert create_parser().parse_args(shlex.split(command)[1:])


def test_each_option_of_the_sandbox_is_listed():
    options = vars(create_parser().parse_args([]))
    listed = {
        name.removeprefix("--").replace("-", "_") for name in names("Options", "option", SANDBOX)
    }
    assert listed == set(options)


def test_each_kind_of_fault_is_explained():
    assert sorted(names("Faults", "kind", SANDBOX)) == sorted(KINDS)
