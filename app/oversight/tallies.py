"""Figures from alerts: how many, how fast, what is left, week by week. Pure."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from app.oversight.domain import ESTABLISHED, SEVERITIES, Disposition, State


class Counted(NamedTuple):
    """What figures need of an alert."""

    department_id: int | None
    category: str
    severity: str
    state: str
    disposition: str | None
    raised_at: datetime
    claimed_at: datetime | None
    resolved_at: datetime | None
    due_at: datetime | None


class Row(NamedTuple):
    """One line: alerts, of them confirmed and false, and alerts per thousand messages where these can be counted."""

    key: str
    alerts: int
    confirmed: int
    false_alarms: int
    per_thousand: float | None


class Times(NamedTuple):
    """Minutes by the clock on the wall: the median and the 90th percentile; None of nothing."""

    alerts: int
    median: float | None
    p90: float | None


class Backlog(NamedTuple):
    """What is not resolved, by severity, and how much of it is late."""

    red: int
    orange: int
    yellow: int
    late: int


class Week(NamedTuple):
    """A week, by its Monday."""

    monday: date
    alerts: int
    confirmed: int
    false_alarms: int


def rows_by(
    alerts: Iterable[Counted],
    key: Callable[[Counted], str],
    messages: Mapping[str, int],
) -> list[Row]:
    """One row for each key, the most frequent first; `messages` are those sent, by the same key."""
    counts: dict[str, Counter[str]] = {}
    for each in alerts:
        counts.setdefault(key(each), Counter()).update(_facts(each))
    found = [
        Row(
            name,
            facts["alerts"],
            facts["confirmed"],
            facts["false"],
            _rate(facts, messages.get(name)),
        )
        for name, facts in counts.items()
    ]
    return sorted(found, key=lambda row: (-row.alerts, row.key))


def times(alerts: Iterable[Counted], end: Callable[[Counted], datetime | None]) -> Times:
    """How long it took from an alert to the moment that `end` gives, for those that have come so far."""
    minutes = sorted(
        (moment - each.raised_at) / timedelta(minutes=1)
        for each in alerts
        if (moment := end(each)) is not None
    )
    return Times(len(minutes), _at(minutes, 0.5), _at(minutes, 0.9))


def backlog(alerts: Iterable[Counted], now: datetime) -> Backlog:
    """What waits at a moment."""
    left = [each for each in alerts if each.state != State.RESOLVED]
    counts = Counter(each.severity for each in left)
    late = sum(1 for each in left if each.due_at is not None and each.due_at < now)
    red, orange, yellow = (counts[severity] for severity in SEVERITIES)
    return Backlog(red, orange, yellow, late)


def weeks(alerts: Sequence[Counted], zone: ZoneInfo) -> list[Week]:
    """Alerts by the week they were raised in, weeks without any included, oldest first."""
    counts: dict[date, Counter[str]] = {}
    for each in alerts:
        day = each.raised_at.astimezone(zone).date()
        counts.setdefault(day - timedelta(days=day.weekday()), Counter()).update(_facts(each))
    if not counts:
        return []
    first, last = min(counts), max(counts)
    mondays = [first + timedelta(weeks=each) for each in range((last - first).days // 7 + 1)]
    none = Counter[str]()
    return [
        Week(day, facts["alerts"], facts["confirmed"], facts["false"])
        for day in mondays
        for facts in (counts.get(day, none),)
    ]


def _facts(alert: Counted) -> Iterable[str]:
    yield "alerts"
    if alert.state != State.RESOLVED:
        return
    if alert.disposition in ESTABLISHED:
        yield "confirmed"
    if alert.disposition == Disposition.FALSE_ALARM:
        yield "false"


def _rate(facts: Counter[str], messages: int | None) -> float | None:
    return round(facts["alerts"] * 1000 / messages, 3) if messages else None


def _at(ordered: Sequence[float], share: float) -> float | None:
    """The smallest value that at least this share of them does not exceed."""
    if not ordered:
        return None
    return round(ordered[max(0, -int(-share * len(ordered) // 1) - 1)], 1)
