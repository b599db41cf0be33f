"""Working time: what is left of a span when nights, weekends and holidays do not count. Pure.

Which days are holidays, and which weekend days are worked in exchange, the authorities say anew every year; they are
settings.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

_SATURDAY = 5
_LONGEST = 400  # days looked ahead


class Calendar(NamedTuple):
    """When people work."""

    zone: ZoneInfo
    opens: time
    closes: time
    holidays: frozenset[date] = frozenset()
    workdays: frozenset[date] = frozenset()

    def is_workday(self, day: date) -> bool:
        """Whether people work on a day."""
        if day in self.workdays:
            return True
        return day.weekday() < _SATURDAY and day not in self.holidays

    def after(self, start: datetime, span: timedelta) -> datetime:
        """The moment at which so much working time has passed since `start`, in UTC."""
        left, local = span, start.astimezone(self.zone)
        for ahead in range(_LONGEST):
            day = local.date() + timedelta(days=ahead)
            if not self.is_workday(day):
                continue
            opens = datetime.combine(day, self.opens, self.zone).astimezone(UTC)
            closes = datetime.combine(day, self.closes, self.zone).astimezone(UTC)
            begins = max(opens, start)
            if begins >= closes:
                continue
            if begins + left <= closes:
                return begins + left
            left -= closes - begins
        return start + timedelta(days=_LONGEST)


def read_days(words: str) -> frozenset[date]:
    """Days as settings have them: `2026-10-01/2026-10-07, 2026-02-17`; raises ValueError."""
    days: set[date] = set()
    for part in filter(None, (each.strip() for each in words.split(","))):
        first, _, last = part.partition("/")
        begin, end = date.fromisoformat(first), date.fromisoformat(last or first)
        if not timedelta(0) <= end - begin <= timedelta(days=_LONGEST):
            raise ValueError(f"「{part}」：结束日须不早于开始日")
        days |= {begin + timedelta(days=each) for each in range((end - begin).days + 1)}
    return frozenset(days)


def read_hours(words: str) -> tuple[time, time]:
    """Working hours as settings have them: `09:00-18:00`; raises ValueError."""
    opens, _, closes = words.partition("-")
    begin, end = time.fromisoformat(opens.strip()), time.fromisoformat(closes.strip())
    if begin >= end:
        raise ValueError("上班时间须早于下班时间")
    return begin, end
