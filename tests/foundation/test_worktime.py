"""Working time skips nights, weekends and holidays, and never goes backwards."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.foundation.settings import Settings
from app.foundation.worktime import Calendar, read_days, read_hours

ZONE = ZoneInfo("Asia/Shanghai")
OFFICE = Calendar(ZONE, time(9), time(18))
HOUR = timedelta(hours=1)
moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)).map(  # noqa: DTZ001
    lambda moment: moment.replace(tzinfo=UTC)
)


def at(words: str) -> datetime:
    return datetime.fromisoformat(words).replace(tzinfo=ZONE)


@pytest.mark.parametrize(
    ("start", "hours", "end"),
    [
        ("2026-03-05 10:00", 2, "2026-03-05 12:00"),
        ("2026-03-05 17:00", 2, "2026-03-06 10:00"),
        ("2026-03-05 23:00", 1, "2026-03-06 10:00"),
        ("2026-03-06 17:30", 1, "2026-03-09 09:30"),  # over a weekend
        ("2026-03-07 12:00", 9, "2026-03-09 18:00"),
        ("2026-03-05 07:00", 1, "2026-03-05 10:00"),
    ],
)
def test_only_working_hours_count(start: str, hours: int, end: str) -> None:
    assert OFFICE.after(at(start), hours * HOUR) == at(end)


def test_holidays_are_off_and_exchanged_weekends_are_on() -> None:
    calendar = OFFICE._replace(
        holidays=read_days("2026-10-01/2026-10-07"), workdays=read_days("2026-10-10")
    )
    assert calendar.after(at("2026-09-30 17:00"), 2 * HOUR) == at("2026-10-08 10:00")
    assert calendar.is_workday(date(2026, 10, 10))
    assert not calendar.is_workday(date(2026, 10, 11))


@given(moments, st.integers(1, 5_000), st.integers(0, 5_000))
def test_a_longer_span_ends_no_earlier_and_inside_working_hours(
    start: datetime, minutes: int, more: int
) -> None:
    end = OFFICE.after(start, timedelta(minutes=minutes))
    assert end >= start + timedelta(minutes=minutes)
    assert OFFICE.after(start, timedelta(minutes=minutes + more)) >= end
    local = end.astimezone(ZONE)
    assert OFFICE.is_workday(local.date())
    assert time(9) < local.time() <= time(18)


@pytest.mark.parametrize(
    "words", ["2026-13-01", "2026-01-05/2026-01-01", "明天", "2020-01-01/2026-01-01"]
)
def test_days_that_are_none_are_refused(words: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_days(words)
    with pytest.raises(ValueError, match="LIUHEN_HOLIDAYS"):
        Settings(holidays=words)


@pytest.mark.parametrize("words", ["18:00-09:00", "9", "", "09:00-09:00"])
def test_hours_that_are_none_are_refused(words: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_hours(words)
