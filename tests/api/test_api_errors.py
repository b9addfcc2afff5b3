"""Errors as values: they can be sent from process to process."""

from __future__ import annotations

import pickle

import pytest

from airflow_provider_ollang.api import errors

ERRORS = [
    errors.ConditionNotMetError("o-1", "excluded", "why"),
    errors.ServerError("why", status=503, code="CODE", order_id="o-1", retry_after=3.0),
]


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_stays_what_it_is(error):
    error.attempts, error.response_lost = 2, True
    other = pickle.loads(pickle.dumps(error))  # noqa: S301 - its own
    assert (type(other), str(other), vars(other)) == (type(error), str(error), vars(error))
