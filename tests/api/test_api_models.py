from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_ollang.api.models import format_time, parse_time

MOMENT = datetime(2024, 1, 15, 10, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2024-01-15T10:30:00Z", MOMENT),
        ("2024-01-15T10:30:00.123Z", MOMENT + timedelta(milliseconds=123)),
        ("2024-01-15T12:30:00+02:00", MOMENT),
        *((it, None) for it in (None, "", "yesterday", "2024-01-15", 1705314600, ["x"])),
        ("2024-01-15T10:30:00", None),  # no zone
        ("2024-01-15\ud80010:30:00Z", None),  # Python takes anything between date and time
        ("2024-02-30T10:30:00Z", None),
        ("0001-01-01T00:00:00+14:00", None),  # before year 1 in UTC
        ("9999-12-31T23:59:59-14:00", None),  # after year 9999 in UTC
    ],
)
def test_only_a_time_with_a_zone_is_read_and_in_utc(value, moment):
    assert parse_time(value) == moment


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
    assert (
        format_time(MOMENT.astimezone(timezone(timedelta(hours=2)))) == "2024-01-15T10:30:00.000Z"
    )
    assert format_time(None) is None
