"""What an import says, entry by entry, and how its words are read. Pure: no database, nothing is decided here.

Each entry keeps its place in the source (`employees[3]`, `第 5 行`). A field that cannot be read becomes a
`Problem`, and its entry is left out.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, tzinfo
from typing import Any, NamedTuple

from app.access import is_storable
from app.foundation import clock
from app.people.domain import fold_userid

EVER = 0  # milliseconds; the start of a span that names none
MAX_LENGTH = 256  # characters of an id or a name
YEARS = range(1900, 2201)
_MOMENT = re.compile(
    r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?"
    r"(?:[T ]+(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,6}))?)?\s*(Z|[+-]\d{2}:?\d{2})?)?"
)


class Problem(NamedTuple):
    """What is wrong where, and what to do about it."""

    place: str
    field: str
    problem: str
    advice: str


class Span(NamedTuple):
    """A department from `start` up to, not including, `end`; Unix milliseconds."""

    department: str
    start: int
    end: int | None


class DepartmentEntry(NamedTuple):
    """A node of the department tree; a root has no parent. Unless `is_placed`, the parent known before stays."""

    place: str
    code: str
    name: str
    parent: str | None
    is_placed: bool


class EmployeeEntry(NamedTuple):
    """An employee; `spans` replace what was known, None leaves it as it is.

    Unless `is_placed`, the supervisor known before stays.
    """

    place: str
    userid: str
    name: str
    supervisor: str | None
    is_placed: bool
    spans: tuple[Span, ...] | None


class ClientEntry(NamedTuple):
    """A client."""

    place: str
    external_id: str
    name: str


class GroupEntry(NamedTuple):
    """A group; `members` replace what was known, None leaves it as it is.

    Unless `is_placed`, the owner known before stays.
    """

    place: str
    group_id: str
    name: str
    owner: str | None
    is_placed: bool
    members: tuple[str, ...] | None


class AssignmentEntry(NamedTuple):
    """Who looks after a client; the same client, employee and start again changes the end."""

    place: str
    client: str
    employee: str
    start: int
    end: int | None


class Document(NamedTuple):
    """Everything an import says; `ignored` are columns or members that mean nothing here."""

    corp: str
    corp_name: str | None = None
    departments: tuple[DepartmentEntry, ...] = ()
    employees: tuple[EmployeeEntry, ...] = ()
    clients: tuple[ClientEntry, ...] = ()
    groups: tuple[GroupEntry, ...] = ()
    assignments: tuple[AssignmentEntry, ...] = ()
    problems: tuple[Problem, ...] = ()
    ignored: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """How many entries could be read."""
        return sum(
            map(
                len,
                (self.departments, self.employees, self.clients, self.groups, self.assignments),
            )
        )


class Fields:
    """The fields of one entry, read one by one; what cannot be read is collected in `problems`."""

    def __init__(self, place: str, values: Mapping[str, Any], zone: tzinfo) -> None:
        self.place = place
        self.problems: list[Problem] = []
        self._values, self._zone = values, zone

    @property
    def is_good(self) -> bool:
        """Whether every field so far could be read."""
        return not self.problems

    def has(self, field: str) -> bool:
        """Whether the entry has a value for the field."""
        return self._values.get(field) is not None

    def states(self, field: str) -> bool:
        """Whether the entry speaks of the field, be it to say that there is none."""
        return field in self._values

    def blame(self, field: str, problem: str, advice: str) -> None:
        """Collect a problem of this entry."""
        self.problems.append(Problem(self.place, field, problem, advice))

    def text(self, field: str) -> str:
        """A text that must be there."""
        found = self.optional_text(field)
        if found is None and self.is_good_at(field):
            self.blame(field, "缺少此项", "请填写")
        return found or ""

    def optional_text(self, field: str) -> str | None:
        """A text, or None where it is missing or blank."""
        value = self._values.get(field)
        if value is None:
            return None
        fault = _text_fault(value)
        if fault:
            self.blame(field, *fault)
            return None
        return str(value).strip() or None

    def userid(self, field: str) -> str:
        """An employee's id that must be there, folded."""
        return fold_userid(self.text(field))

    def optional_userid(self, field: str) -> str | None:
        """An employee's id, folded, or None."""
        found = self.optional_text(field)
        return None if found is None else fold_userid(found)

    def span(self) -> tuple[int, int | None]:
        """The fields `start` and `end`: half open, without a start since ever, without an end still."""
        start, end = self._moment("start"), self._moment("end")
        if start is not None and end is not None and end <= start:
            self.blame("end", "结束不晚于开始", "结束日期是第一个不再有效的日子，须晚于开始")
        return (EVER if start is None else start), end

    def rows(self, field: str) -> Iterator[tuple[str, Any]]:
        """The items of a list field with their places."""
        value = self._values.get(field)
        if value is None:
            return
        if not isinstance(value, list):
            self.blame(field, "应为列表", "请用 [ … ]")
            return
        for number, item in enumerate(value):
            yield f"{self.place}.{field}[{number}]", item

    def is_good_at(self, field: str) -> bool:
        """Whether no problem of this field is known."""
        return all(problem.field != field for problem in self.problems)

    def _moment(self, field: str) -> int | None:
        words = self.optional_text(field)
        if words is None:
            return None
        moment = read_moment(words, self._zone)
        if moment is None:
            self.blame(field, f"无法识别的日期：{words[:40]}", "请写成 2026-03-05 或带时区的时间")
        return moment


def read_moment(words: str, zone: tzinfo) -> int | None:
    """A date (its first moment in `zone`) or a date with a time, in Unix milliseconds; None if it is neither.

    ISO 8601, and as spreadsheets write it: 2026/3/5, 2026年3月5日 9:30. A time without an offset is `zone`'s.
    """
    found = _MOMENT.fullmatch(words.strip())
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, offset = found.groups()
    if int(year) not in YEARS:
        return None
    iso = f"{year}-{month:0>2}-{day:0>2}T{hour or '0':0>2}:{minute or '00'}:{second or '00'}"
    iso += f".{fraction or '0':0<6}{offset or ''}"
    try:
        moment = datetime.fromisoformat(iso)
    except ValueError:
        return None
    return clock.to_ms(moment if moment.tzinfo else moment.replace(tzinfo=zone))


def _text_fault(value: Any) -> tuple[str, str] | None:
    if not isinstance(value, str):
        return "应为文字", "请加引号"
    if len(value.strip()) > MAX_LENGTH:
        return f"超过 {MAX_LENGTH} 个字符", "请缩短"
    if not is_storable(value):
        return "含有无法保存的字符", "请删除控制字符 NUL 与不成对的代理码"
    return None


def read_department(fields: Fields) -> DepartmentEntry:
    """Read a department: code, name, parent."""
    return DepartmentEntry(
        fields.place,
        fields.text("code"),
        fields.text("name"),
        fields.optional_text("parent"),
        fields.states("parent"),
    )


def read_employee(fields: Fields, zone: tzinfo) -> EmployeeEntry:
    """Read an employee: userid, name, supervisor, departments."""
    userid, supervisor = fields.userid("userid"), fields.optional_userid("supervisor")
    if userid and userid == supervisor:
        fields.blame("supervisor", "上级是本人", "请改正或留空")
    spans = _spans(fields, zone) if fields.has("departments") else None
    is_placed = fields.states("supervisor")
    return EmployeeEntry(fields.place, userid, fields.text("name"), supervisor, is_placed, spans)


def read_client(fields: Fields) -> ClientEntry:
    """Read a client: external_id, name."""
    return ClientEntry(fields.place, fields.text("external_id"), fields.text("name"))


def read_group(fields: Fields) -> GroupEntry:
    """Read a group: group_id, name, owner, members (ids of employees and clients)."""
    members = tuple(_members(fields)) if fields.has("members") else None
    return GroupEntry(
        fields.place,
        fields.text("group_id"),
        fields.text("name"),
        fields.optional_userid("owner"),
        fields.states("owner"),
        members,
    )


def read_assignment(fields: Fields) -> AssignmentEntry:
    """Read an assignment: client, employee, start, end."""
    start, end = fields.span()
    return AssignmentEntry(
        fields.place, fields.text("client"), fields.userid("employee"), start, end
    )


def _spans(fields: Fields, zone: tzinfo) -> tuple[Span, ...]:
    spans: dict[tuple[str, int], Span] = {}
    for place, item in fields.rows("departments"):
        if not isinstance(item, dict):
            fields.problems.append(Problem(place, "", "应为对象", '请写成 {"code": …}'))
            continue
        inner = Fields(str(item.get("place", place)), item, zone)
        start, end = inner.span()
        span = Span(inner.text("code"), start, end)
        if (span.department, span.start) in spans and inner.is_good:
            inner.blame("code", "同一部门同一开始时间出现两次", "请删除其中一条")
        fields.problems += inner.problems
        spans[span.department, span.start] = span
    return tuple(spans.values())


def _members(fields: Fields) -> Iterator[str]:
    for place, item in fields.rows("members"):
        fault = _text_fault(item)
        if fault:
            fields.problems.append(Problem(place, "", *fault))
        elif item.strip():
            yield item.strip()
