"""The tables of docs/operators.md list what there is: parameters, outcomes, fields."""

from __future__ import annotations

import ast
import inspect
from dataclasses import fields

import pytest

from airflow_provider_ollang.cleanup.outcome import OrderResult, Outcome
from airflow_provider_ollang.cleanup.stale import StaleOrder
from airflow_provider_ollang.operators.ollang import (
    BatchCancelOrdersOperator,
    CancelOrderOperator,
    FindStaleOrdersOperator,
)

from .pages import PAGES, code, text

PAGE = PAGES["docs/operators.md"]
OPERATORS = (FindStaleOrdersOperator, BatchCancelOrdersOperator, CancelOrderOperator)


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: operator.__name__)
def test_each_parameter_is_listed_with_its_default(operator: type) -> None:
    rows = PAGE.table(operator.__name__, "parameter").rows
    listed = [(code(name)[0], text(default)) for name, default, _ in rows]
    signature = inspect.signature(operator.__init__).parameters.values()
    defaults = {it.name: it.default for it in signature if it.kind is it.KEYWORD_ONLY}
    assert [name for name, _ in listed] == list(defaults)
    for name, default in listed:
        if default == "required":
            assert defaults[name] is inspect.Parameter.empty
        else:
            assert defaults[name] == ast.literal_eval(default), name


def test_each_outcome_is_explained() -> None:
    rows = PAGE.table("What became of an order, and the task", "outcome").rows
    assert {code(row[0])[0] for row in rows} == set(Outcome)


def test_each_field_of_the_record_is_explained() -> None:
    [example] = [block for block in PAGE.blocks if block.language == "json"]
    written = list(ast.literal_eval(example.code.replace("null", "None").replace("false", "False")))
    listed = [code(row[0])[0] for row in PAGE.table("The record", "field").rows]
    assert written == [field.name for field in fields(OrderResult)]
    assert listed == [*written, "preview"]


def test_each_field_of_a_stale_order_is_named() -> None:
    [row] = [row for row in PAGE.table("XComs", "key").rows if code(row[0]) == ["orders"]]
    assert tuple(code(row[1])) == StaleOrder._fields
