"""Errors as values: they can be copied, and sent from process to process."""

from __future__ import annotations

import copy
import pickle

import pytest

from airflow_provider_ollang.api import errors

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.OllangError)
]


def of_kind(kind: type[errors.OllangError]) -> errors.OllangError:
    if kind is errors.ConditionNotMetError:
        error: errors.OllangError = errors.ConditionNotMetError("o-1", "excluded", "why")
    else:
        error = kind("why", status=503, code="CODE", order_id="o-1", retry_after=3.0)
    error.attempts, error.response_lost = 2, True
    return error


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("again", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])  # noqa: S301 - its own
def test_an_error_stays_what_it_is(kind, again):
    error = of_kind(kind)
    other = again(error)
    assert (type(other), str(other), vars(other)) == (kind, str(error), vars(error))
