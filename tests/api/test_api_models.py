from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_ollang.api.models import Order, format_time, parse_time


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-01-15T10:30:00Z", datetime(2024, 1, 15, 10, 30, tzinfo=UTC)),
        ("2024-01-15T10:30:00.123Z", datetime(2024, 1, 15, 10, 30, 0, 123000, tzinfo=UTC)),
        ("2024-01-15T12:30:00+02:00", datetime(2024, 1, 15, 10, 30, tzinfo=UTC)),
    ],
)
def test_a_time_with_a_zone_is_read_as_utc(text, moment):
    parsed = parse_time(text)
    assert parsed == moment
    assert parsed is not None
    assert parsed.tzinfo is UTC


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "yesterday",
        "2024-01-15",
        "2024-01-15T10:30:00",  # no zone
        "2024-01-15\ud80010:30:00Z",  # Python takes anything between date and time
        "2024-02-30T10:30:00Z",
        "0001-01-01T00:00:00+14:00",  # before year 1 in UTC
        "9999-12-31T23:59:59-14:00",  # after year 9999 in UTC
        1705314600,
        ["2024-01-15T10:30:00Z"],
    ],
)
def test_anything_but_a_time_with_a_zone_is_none(value):
    assert parse_time(value) is None


@given(
    st.text()
    | st.text(alphabet="0123456789-:TZW.+ ", max_size=35)
    | st.datetimes().map(datetime.isoformat)
    | st.datetimes(timezones=st.timezones()).map(datetime.isoformat)
)
def test_any_text_is_a_time_in_utc_or_none(text):
    moment = parse_time(text)
    assert moment is None or moment.utcoffset() == timedelta(0)


def test_times_are_written_as_the_api_writes_them():
    moment = datetime(2024, 1, 15, 12, 30, tzinfo=timezone(timedelta(hours=2)))
    assert format_time(moment) == "2024-01-15T10:30:00.000Z"
    assert format_time(None) is None


def test_an_order_keeps_unknown_fields_and_statuses():
    order = Order.from_json(
        {"id": "o-1", "status": "onTheMoon", "createdAt": "2024-01-15T10:30:00Z", "rate": 2}
    )
    assert (order.id, order.status, order.other) == ("o-1", "onTheMoon", {"rate": 2})
    assert order.created == datetime(2024, 1, 15, 10, 30, tzinfo=UTC)
    assert (order.name, order.type, order.project_id) == (None, None, None)
