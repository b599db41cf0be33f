"""What people read and review platforms load: a workbook and RSMF files, conversation by conversation."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias
from zoneinfo import ZoneInfo

import xlsxwriter

from app.archive.leaf import leaf_hash
from app.evidence import rsmf
from app.evidence.selection import Place, Row
from app.foundation import clock
from app.foundation.files import make_folder

GROUP = 5_000  # messages in one workbook and one volume, or one conversation when it is longer
CELL = 32_000  # characters; a workbook's limit is 32,767
Party: TypeAlias = tuple[str, str, str | None]
Parts: TypeAlias = Sequence[tuple[Place, Sequence[Row]]]
_HEADINGS = (
    "日志序号",
    "会话",
    "会话计数",
    "发送时间",
    "发送人类型",
    "发送人",
    "接收人",
    "方向",
    "类型",
    "动作",
    "内容",
    "来源消息编号",
    "叶子散列",
)


def groups(places: Sequence[Place]) -> Iterator[list[Place]]:
    """Conversations together until there are enough messages for a file."""
    group: list[Place] = []
    size = 0
    for place in places:
        if group and size + place.disclosed > GROUP:
            yield group
            group, size = [], 0
        group.append(place)
        size += place.disclosed
    if group:
        yield group


def write(
    data: Path, number: int, parts: Parts, hidden: set[int], export: str, zone: ZoneInfo
) -> None:
    """Write the workbook and the RSMF files of a group; `hidden` are records whose content is withheld."""
    make_folder(data / "40-views")
    _workbook(data / f"40-views/messages-{number:03d}.xlsx", parts, hidden, zone)
    make_folder(data / "50-review")
    for place, rows in parts:
        for day, some in _days(rows, zone):
            part = _slice(place, some, rows, hidden, export)
            path = data / f"50-review/conv-{place.tag.hex()[:12]}-{day}.rsmf"
            path.write_bytes(rsmf.write(part, zone))


def party(text: str) -> Party:
    """A party as a record keeps it."""
    kind, identifier, name = json.loads(text)
    return kind, identifier, name


def parties(text: str) -> list[Party]:
    """The recipients as a record keeps them."""
    return [(kind, identifier, name) for kind, identifier, name in json.loads(text)]


def named(who: Party) -> str:
    """A person for reading."""
    return f"{who[2]}（{who[1]}）" if who[2] else who[1]


def _workbook(path: Path, parts: Parts, hidden: set[int], zone: ZoneInfo) -> None:
    options = {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
    }
    book = xlsxwriter.Workbook(str(path), options)
    book.set_properties({"created": clock.EPOCH.replace(tzinfo=None, year=2020)})
    sheet = book.add_worksheet("消息")
    sheet.freeze_panes(1, 0)
    sheet.set_column(3, 3, 26)
    sheet.set_column(10, 10, 80)
    sheet.write_row(0, 0, _HEADINGS)
    line = 0
    for place, rows in parts:
        for row in rows:
            line += 1
            sheet.write_row(line, 0, _cells(place, row, hidden, zone))
    book.close()


def _cells(place: Place, row: Row, hidden: set[int], zone: ZoneInfo) -> list[str | int]:
    sender = party(row.sender)
    sent = clock.from_ms(row.sent_at).astimezone(zone).isoformat(timespec="milliseconds")
    text = "〔内容未披露〕" if row.seq in hidden else row.text
    if len(text) > CELL:
        text = f"{text[:CELL]}…（全文见 15-raw）"
    return [
        row.seq - 1,
        place.name or place.room or place.tag.hex(),
        row.counter,
        sent,
        sender[0],
        named(sender),
        "、".join(named(each) for each in parties(row.recipients)),
        row.direction,
        row.kind,
        row.action,
        text,
        row.source_msg_id,
        leaf_hash(row.leaf).hex(),
    ]


def _days(rows: Sequence[Row], zone: ZoneInfo) -> Iterator[tuple[str, list[Row]]]:
    """A conversation cut by days, and a day by what one file holds."""
    by_day: dict[str, list[Row]] = {}
    for row in rows:
        day = f"{clock.from_ms(row.sent_at).astimezone(zone):%Y%m%d}"
        by_day.setdefault(day, []).append(row)
    for day, some in sorted(by_day.items()):
        ordered = sorted(some, key=lambda row: (row.sent_at, row.id))
        for start in range(0, len(ordered), rsmf.MOST_EVENTS):
            ending = f"-{start // rsmf.MOST_EVENTS + 1}" if start else ""
            yield f"{day}{ending}", ordered[start : start + rsmf.MOST_EVENTS]


def _slice(
    place: Place, some: Sequence[Row], whole: Sequence[Row], hidden: set[int], export: str
) -> rsmf.Slice:
    recalls = {row.recalls: row.sent_at for row in whole if row.recalls}
    people: dict[tuple[str, str], Party] = {}
    for row in some:
        for each in (party(row.sender), *parties(row.recipients)):
            people.setdefault(each[:2], each)
    events = tuple(
        rsmf.Event(
            row.seq,
            row.source_msg_id,
            clock.from_ms(row.sent_at),
            party(row.sender),
            row.direction,
            row.kind,
            row.action,
            None if row.seq in hidden else row.text,
            row.recalls,
            clock.from_ms(recalls[row.source_msg_id]) if row.source_msg_id in recalls else None,
            leaf_hash(row.leaf).hex(),
        )
        for row in some
    )
    return rsmf.Slice(
        export,
        place.tag.hex(),
        place.name or place.room,
        place.kind == "group",
        tuple(people[key] for key in sorted(people)),
        events,
    )
