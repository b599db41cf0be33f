"""What a notice says: how grave, what kind, about whom, by when; never a word of the conversation. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

COLOURS = {"red": "红色", "orange": "橙色", "yellow": "黄色"}
_OCCASIONS = {
    "raise": "新预警",
    "graver": "级别上调",
    "escalate": "升级",
    "remind": "即将到期",
    "overdue": "已超期",
    "assign": "转派给您",
}
_LISTED = 10


class Told(NamedTuple):
    """One alert somebody is told of, and on which occasion."""

    alert: str
    severity: str
    category: str
    adviser: str
    messages: int
    last_at: datetime
    due_at: datetime | None
    occasion: str


class Letter(NamedTuple):
    """What is sent: a title, lines with names, lines without any, an address to open, and the facts for programs."""

    title: str
    lines: tuple[str, ...]
    plain_lines: tuple[str, ...]
    url: str
    alerts: tuple[Told, ...]


def compose(
    told: Sequence[Told], names: Mapping[str, str], public_url: str, zone: ZoneInfo
) -> Letter:
    """One letter for one alert, or a digest of several, the gravest first; `names` are those of categories."""
    ordered = sorted(told, key=lambda each: (list(COLOURS).index(each.severity), each.last_at))
    first = ordered[0]
    base = public_url.rstrip("/")
    if len(ordered) == 1:
        title = f"{_word(first)} · {COLOURS[first.severity]}预警 · {_name(first, names)}"
        url = f"{base}/alerts/{first.alert}"
        return Letter(title, _lines(first, zone), _due(first, zone), url, (first,))
    counts = Counter(each.severity for each in ordered)
    shown = "、".join(
        f"{COLOURS[severity]} {counts[severity]} 条" for severity in COLOURS if counts[severity]
    )
    plain = tuple(_summary(each, names) for each in ordered[:_LISTED])
    lines = tuple(f"{_summary(each, names)} · {_who(each)}" for each in ordered[:_LISTED])
    more = (f"另有 {len(ordered) - _LISTED} 条",) if len(ordered) > _LISTED else ()
    return Letter(
        f"{len(ordered)} 条预警待处理（{shown}）",
        lines + more,
        plain + more,
        f"{base}/alerts",
        tuple(ordered),
    )


def _lines(told: Told, zone: ZoneInfo) -> tuple[str, ...]:
    return (
        f"{_who(told)} · {told.messages} 条消息 · {_time(told.last_at, zone)}",
        *_due(told, zone),
    )


def _due(told: Told, zone: ZoneInfo) -> tuple[str, ...]:
    if told.due_at is None:
        return ("请尽快处理",)
    return (f"请在 {_time(told.due_at, zone)} 前处理",)


def _summary(told: Told, names: Mapping[str, str]) -> str:
    return f"{COLOURS[told.severity]} · {_name(told, names)} · {_word(told)}"


def _who(told: Told) -> str:
    return f"顾问 {told.adviser}" if told.adviser else "未定顾问"


def _name(told: Told, names: Mapping[str, str]) -> str:
    return names.get(told.category, told.category)


def _word(told: Told) -> str:
    return _OCCASIONS.get(told.occasion.partition(":")[0], "预警")


def _time(moment: datetime, zone: ZoneInfo) -> str:
    return moment.astimezone(zone).strftime("%m-%d %H:%M")


def clipped(text: str, most: int) -> str:
    """The text cut to so many UTF-8 bytes, with an ellipsis where it was cut."""
    if len(text.encode()) <= most:
        return text
    return text.encode()[: most - 3].decode("utf-8", "ignore") + "…"
