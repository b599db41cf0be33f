"""The figures as a table for spreadsheets: CSV with a byte order mark, or XLSX."""

import csv
import io
from collections.abc import Iterator
from typing import Any

from app.oversight.figures import NOWHERE, Figures

HEAD = (
    "分类",
    "项目",
    "预警",
    "违规成立",
    "误报",
    "每千条消息",
    "准确率",
    "中位分钟",
    "九成分钟内",
)
_RISKY = ("=", "+", "-", "@", "\t", "\r")


def write_csv(figures: Figures) -> bytes:
    """A CSV file as spreadsheets in China open it."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([HEAD, *lines(figures)])
    return b"\xef\xbb\xbf" + text.getvalue().encode()


def write_xlsx(figures: Figures) -> bytes:
    """An XLSX workbook with one sheet."""
    from openpyxl import Workbook  # noqa: PLC0415  (seldom needed, slow to import)

    book = Workbook(write_only=True)
    sheet = book.create_sheet("预警统计")
    for row in (HEAD, *lines(figures)):
        sheet.append(row)
    data = io.BytesIO()
    book.save(data)
    return data.getvalue()


def lines(figures: Figures) -> Iterator[tuple[Any, ...]]:
    """The lines below the head."""
    yield ("合计", "消息", figures.messages, "", "", "", "", "", "")
    yield ("合计", "预警", figures.alerts, "", "", _cell(figures.per_thousand), "", "", "")
    for title, rows in (("部门", figures.departments), ("类别", figures.categories)):
        for row in rows:
            name = "未定部门" if row.key == NOWHERE else _safe(row.key)
            counts = (row.alerts, row.confirmed, row.false_alarms)
            yield (title, name, *counts, _cell(row.per_thousand), "", "", "")
    for rule in figures.rules:
        alerts = sum(rule[1:6])
        confirmed = rule.confirmed + rule.remedy
        share = _cell(rule.precision)
        yield ("规则", _safe(rule.rule), alerts, confirmed, rule.false_alarm, "", share, "", "")
    for name, taken in (("认领", figures.to_claim), ("办结", figures.to_close)):
        yield ("用时", name, taken.alerts, "", "", "", "", _cell(taken.median), _cell(taken.p90))
    for name, count in zip(("红", "橙", "黄", "其中超期"), figures.backlog, strict=True):
        yield ("未办结", name, count, "", "", "", "", "", "")
    for week in figures.weeks:
        counts = (week.alerts, week.confirmed, week.false_alarms)
        yield ("按周", week.monday.isoformat(), *counts, "", "", "", "")


def _cell(value: float | None) -> Any:
    return "" if value is None else value


def _safe(words: str) -> str:
    """A cell that no spreadsheet runs as a formula."""
    return f"'{words}" if words.startswith(_RISKY) else words
