"""An import's bytes to entries: the JSON document, or a CSV file of one kind. Pure.

JSON: {"corp": {"code", "name"}, "departments": [{"code", "name", "parent"}],
"employees": [{"userid", "name", "supervisor", "departments": [{"code", "start", "end"}]}],
"clients": [{"external_id", "name"}], "groups": [{"group_id", "name", "owner", "members": []}],
"assignments": [{"client", "employee", "start", "end"}]}.

CSV: UTF-8 with or without a byte order mark, or GB18030; a header line in English or Chinese; an employee has one
line for each of her departments. What a file does not speak of (no such column or member) stays as it was, an
empty cell or null clears it. Raises `UnreadableImport` when the whole cannot be read.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, tzinfo
from enum import StrEnum
from typing import Any, Final, NamedTuple, TypeVar

from app.access import is_storable
from app.foundation.errors import BadInput
from app.people.domain import fold_userid
from app.people.entries import (
    MAX_LENGTH,
    Document,
    EmployeeEntry,
    Fields,
    Problem,
    read_assignment,
    read_client,
    read_department,
    read_employee,
    read_group,
)

E = TypeVar("E")


class Kind(StrEnum):
    """What the lines of a CSV file, or the members of the document, are."""

    DEPARTMENTS = "departments"
    EMPLOYEES = "employees"
    CLIENTS = "clients"
    GROUPS = "groups"
    ASSIGNMENTS = "assignments"


class UnreadableImport(BadInput):
    """The file is no import at all; nothing was applied."""

    code = "unreadable_import"
    title = "导入文件无法识别"


class Columns(NamedTuple):
    """The columns of a CSV kind: field to the headers it goes by, and which fields a file must have."""

    names: Mapping[str, tuple[str, ...]]
    needed: tuple[str, ...]


COLUMNS: Final[dict[Kind, Columns]] = {
    Kind.DEPARTMENTS: Columns(
        {
            "code": ("code", "部门编码", "部门编号", "编码"),
            "name": ("name", "部门名称", "名称"),
            "parent": ("parent", "上级部门编码", "上级部门", "上级编码"),
        },
        ("code", "name"),
    ),
    Kind.EMPLOYEES: Columns(
        {
            "userid": ("userid", "员工账号", "账号"),
            "name": ("name", "姓名", "员工姓名"),
            "supervisor": ("supervisor", "直属上级", "上级账号", "上级"),
            "department": ("department", "部门编码", "部门编号", "部门"),
            "start": ("start", "开始", "开始日期"),
            "end": ("end", "结束", "结束日期"),
        },
        ("userid", "name"),
    ),
    Kind.CLIENTS: Columns(
        {
            "external_id": ("external_id", "客户账号", "客户编号", "外部联系人"),
            "name": ("name", "姓名", "客户姓名", "名称"),
        },
        ("external_id", "name"),
    ),
    Kind.GROUPS: Columns(
        {
            "group_id": ("group_id", "群编号", "群id"),
            "name": ("name", "群名", "群名称", "名称"),
            "owner": ("owner", "群主"),
            "members": ("members", "成员"),
        },
        ("group_id", "name"),
    ),
    Kind.ASSIGNMENTS: Columns(
        {
            "client": ("client", "客户账号", "客户编号", "客户"),
            "employee": ("employee", "员工账号", "服务人员", "员工"),
            "start": ("start", "开始", "开始日期"),
            "end": ("end", "结束", "结束日期"),
        },
        ("client", "employee"),
    ),
}
_MEMBER_BREAKS = str.maketrans("；;，,、|\n", "       ")


class _Line(NamedTuple):
    place: str
    values: dict[str, str]


def read_json(data: bytes, zone: tzinfo) -> Document:
    """Read the JSON document; dates without an offset are days of `zone`."""
    document = _load(data)
    corp = document.get("corp")
    code = corp.get("code") if isinstance(corp, dict) else None
    problems: list[Problem] = []
    parts: dict[str, Any] = {}
    for kind in Kind:
        entries = [*_listed(document, kind, problems)]
        parts[kind.value] = _read_all(kind, entries, zone, problems)
    ignored = sorted(str(name)[:64] for name in document if name not in {"corp", *Kind})
    return Document(
        corp=_corp_code(code),
        corp_name=_corp_name(corp, problems),
        problems=tuple(problems),
        ignored=tuple(ignored),
        **parts,
    )


def read_csv(data: bytes, kind: Kind, corp: str, zone: tzinfo) -> Document:
    """Read a CSV file of one kind for one corp; dates without an offset are days of `zone`."""
    rows = _rows(_decode(data))
    header = next(rows, None)
    if header is None:
        raise UnreadableImport("文件为空")
    fields, ignored = _header(header[1], kind)
    problems: list[Problem] = []
    lines = list(_lines(rows, fields, problems))
    entries = _staff(lines) if kind is Kind.EMPLOYEES else map(_plain_line, lines)
    part = _read_all(kind, entries, zone, problems)
    parts: dict[str, Any] = {kind.value: part}
    if kind is Kind.EMPLOYEES:
        problems += _dragged_along(lines, part, problems)
    return Document(
        corp=_corp_code(corp),
        problems=tuple(problems),
        ignored=tuple(ignored),
        **parts,
    )


def _load(data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise UnreadableImport("不是有效的 JSON（UTF-8）") from None
    if not isinstance(document, dict):
        raise UnreadableImport("最外层应为对象 { … }")
    return document


def _corp_code(code: Any) -> str:
    if not isinstance(code, str) or not 0 < len(code.strip()) <= MAX_LENGTH:
        raise UnreadableImport("缺少企业编号 corp.code")
    if not is_storable(code):
        raise UnreadableImport("企业编号含有无法保存的字符")
    return code.strip()


def _corp_name(corp: Any, problems: list[Problem]) -> str | None:
    fields = Fields("corp", corp, UTC)
    name = fields.optional_text("name")
    problems += fields.problems
    return name


def _listed(
    document: dict[str, Any], kind: Kind, problems: list[Problem]
) -> Iterator[tuple[str, Any]]:
    section = document.get(kind)
    if section is None:
        return
    if not isinstance(section, list):
        problems.append(Problem(kind.value, "", "应为列表", "请用 [ … ]"))
        return
    for number, item in enumerate(section):
        yield f"{kind.value}[{number}]", item


def _read_all(
    kind: Kind, entries: Iterable[tuple[str, Any]], zone: tzinfo, problems: list[Problem]
) -> tuple[Any, ...]:
    read = _readers(zone)[kind]
    return tuple(_good(read, entries, zone, problems))


def _readers(zone: tzinfo) -> dict[Kind, Callable[[Fields], Any]]:
    return {
        Kind.DEPARTMENTS: read_department,
        Kind.EMPLOYEES: lambda fields: read_employee(fields, zone),
        Kind.CLIENTS: read_client,
        Kind.GROUPS: read_group,
        Kind.ASSIGNMENTS: read_assignment,
    }


def _good(
    read: Callable[[Fields], E],
    entries: Iterable[tuple[str, Any]],
    zone: tzinfo,
    problems: list[Problem],
) -> Iterator[E]:
    for place, item in entries:
        if not isinstance(item, dict):
            problems.append(Problem(place, "", "应为对象", "请用 { … }"))
            continue
        fields = Fields(place, item, zone)
        entry = read(fields)
        problems += fields.problems
        if fields.is_good:
            yield entry


def _decode(data: bytes) -> str:
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise UnreadableImport("编码不是 UTF-8，也不是 GB18030；请另存为 CSV UTF-8")


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Lines that are not blank, with the number of the line each begins in."""
    reader = csv.reader(io.StringIO(text, newline=""))
    begins = 1
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                yield begins, [cell.strip() for cell in row]
            begins = reader.line_num + 1
    except csv.Error:
        raise UnreadableImport(f"第 {begins} 行不是有效的 CSV") from None


def _header(header: list[str], kind: Kind) -> tuple[list[str | None], list[str]]:
    """The field of each column, and the headers that mean nothing here."""
    columns = COLUMNS[kind]
    meaning = {name: field for field, known in columns.names.items() for name in known}
    fields = [meaning.get(cell.lower()) for cell in header]
    lacking = [columns.names[field][1] for field in columns.needed if field not in fields]
    if lacking:
        raise UnreadableImport(f"表头缺少：{'、'.join(lacking)}")
    if len(set(fields) - {None}) < len(fields) - fields.count(None):
        raise UnreadableImport("表头有两列含义相同")
    return fields, [
        cell[:64] for cell, field in zip(header, fields, strict=True) if field is None and cell
    ]


def _lines(
    rows: Iterable[tuple[int, list[str]]], fields: list[str | None], problems: list[Problem]
) -> Iterator[_Line]:
    for number, row in rows:
        place = f"第 {number} 行"
        if any(row[len(fields) :]):
            problems.append(Problem(place, "", "列数多于表头", "检查是否有多余的逗号或缺少引号"))
            continue
        cells = zip(fields, row, strict=False)
        yield _Line(place, {field: cell for field, cell in cells if field})


def _plain_line(line: _Line) -> tuple[str, dict[str, Any]]:
    values: dict[str, Any] = dict(line.values)
    if "members" in values:
        values["members"] = values["members"].translate(_MEMBER_BREAKS).split()
    return line.place, values


def _staff(lines: Iterable[_Line]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Lines of one employee, brought together as the JSON document has them."""
    staff: dict[str, list[_Line]] = {}
    for line in lines:
        key = fold_userid(line.values.get("userid", "")) or line.place
        staff.setdefault(key, []).append(line)
    for same in staff.values():
        values: dict[str, Any] = dict(same[0].values)
        for line in same:
            values |= {field: cell for field, cell in line.values.items() if not values.get(field)}
        spans = [span for line in same if (span := _span(line))]
        yield same[0].place, values | ({"departments": spans} if spans else {})


def _span(line: _Line) -> dict[str, str] | None:
    wanted = {"department": "code", "start": "start", "end": "end"}
    found = {to: cell for field, to in wanted.items() if (cell := line.values.get(field))}
    return {"place": line.place, **found} if found else None


def _dragged_along(
    lines: Iterable[_Line], good: Iterable[EmployeeEntry], problems: Iterable[Problem]
) -> list[Problem]:
    """A word for every line that was left out only because another line of its employee is wrong."""
    taken = {entry.userid for entry in good}
    blamed = {problem.place for problem in problems}
    return [
        Problem(line.place, "", "同一员工的另一行有误，本行未导入", "改正那一行后一起导入")
        for line in lines
        if line.place not in blamed and fold_userid(line.values.get("userid", "")) not in taken
    ]
