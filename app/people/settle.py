"""Which entries of an import can be taken, given what is known already. Pure.

An entry is taken whole or not at all. References may point at what is known or at entries taken from the same
import; duplicates, unknown references and cycles (of departments, of supervisors) are named.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import NamedTuple, TypeVar

from app.people.domain import fold_userid
from app.people.entries import (
    AssignmentEntry,
    ClientEntry,
    DepartmentEntry,
    Document,
    EmployeeEntry,
    GroupEntry,
    Problem,
)

E = TypeVar("E", DepartmentEntry, EmployeeEntry, ClientEntry, GroupEntry, AssignmentEntry)
_NAMED = 5  # unknown members named in one problem

UNKNOWN, REFUSED, CYCLE = "unknown", "refused", "cycle"


class Known(NamedTuple):
    """What the database has: parents by department, supervisors by employee, clients, owners by group."""

    departments: Mapping[str, str | None] = {}
    employees: Mapping[str, str | None] = {}
    clients: AbstractSet[str] = frozenset()
    groups: Mapping[str, str | None] = {}


class Settled(NamedTuple):
    """The entries to take, and a problem for each that is not."""

    departments: list[DepartmentEntry]
    employees: list[EmployeeEntry]
    clients: list[ClientEntry]
    groups: list[GroupEntry]
    assignments: list[AssignmentEntry]
    problems: list[Problem]


def settle(document: Document, known: Known) -> Settled:
    """Decide every entry."""
    problems = list(document.problems)
    departments = _departments(document, known, problems)
    codes = known.departments.keys() | {entry.code for entry in departments}
    employees = _employees(document, known, codes, problems)
    staff = known.employees.keys() | {entry.userid for entry in employees}
    clients = _unique(document.clients, lambda entry: entry.external_id, problems)
    served = known.clients | {entry.external_id for entry in clients}
    groups = _groups(document, known, staff, served, problems)
    assignments = _assignments(document, staff, served, problems)
    return Settled(departments, employees, clients, groups, assignments, problems)


def settle_tree(
    existing: Mapping[str, str | None], wanted: Mapping[str, str | None]
) -> dict[str, str]:
    """Which wanted parents cannot be set, and why: `unknown`, `refused` (itself not taken), `cycle`.

    What remains, laid over what exists, has no reference into nothing and no cycle through a wanted key.
    """
    refused: dict[str, str] = {}
    while True:
        kept = {key: parent for key, parent in wanted.items() if key not in refused}
        new = _lacking(existing, kept, refused) or _circling(existing, kept)
        if not new:
            return refused
        refused |= new


def _lacking(
    existing: Mapping[str, str | None], kept: Mapping[str, str | None], refused: Mapping[str, str]
) -> dict[str, str]:
    return {
        key: REFUSED if parent in refused else UNKNOWN
        for key, parent in kept.items()
        if parent is not None and parent not in kept and parent not in existing
    }


def _circling(existing: Mapping[str, str | None], kept: Mapping[str, str | None]) -> dict[str, str]:
    parents = {**existing, **kept}
    walked: set[str] = set()
    circling: dict[str, str] = {}
    for start in kept:
        path: dict[str, None] = {}
        step: str | None = start
        while step is not None and step not in walked and step not in path:
            path[step] = None
            step = parents.get(step)
        if step is not None and step in path:
            ring = list(path)
            circling |= {key: CYCLE for key in ring[ring.index(step) :] if key in kept}
        walked |= path.keys()
    return circling


def _departments(
    document: Document, known: Known, problems: list[Problem]
) -> list[DepartmentEntry]:
    entries = [
        entry if entry.is_placed else entry._replace(parent=known.departments.get(entry.code))
        for entry in _unique(document.departments, lambda entry: entry.code, problems)
    ]
    refused = settle_tree(known.departments, {entry.code: entry.parent for entry in entries})
    problems += [
        _tree_problem(entry.place, "parent", entry.parent, refused[entry.code], "部门")
        for entry in entries
        if entry.code in refused
    ]
    return [entry for entry in entries if entry.code not in refused]


def _employees(
    document: Document, known: Known, codes: AbstractSet[str], problems: list[Problem]
) -> list[EmployeeEntry]:
    unique = _unique(document.employees, lambda entry: entry.userid, problems)
    entries = [
        entry if entry.is_placed else entry._replace(supervisor=known.employees.get(entry.userid))
        for entry in _placed(unique, codes, problems)
    ]
    lost = {entry.userid for entry in document.employees} - {entry.userid for entry in entries}
    refused = settle_tree(known.employees, {entry.userid: entry.supervisor for entry in entries})
    problems += [
        _tree_problem(
            entry.place,
            "supervisor",
            entry.supervisor,
            REFUSED if entry.supervisor in lost else refused[entry.userid],
            "上级",
        )
        for entry in entries
        if entry.userid in refused
    ]
    return [entry for entry in entries if entry.userid not in refused]


def _placed(
    entries: Iterable[EmployeeEntry], codes: AbstractSet[str], problems: list[Problem]
) -> Iterator[EmployeeEntry]:
    for entry in entries:
        strange = [span.department for span in entry.spans or () if span.department not in codes]
        problems += [_unknown(entry.place, "departments", "部门", code) for code in strange]
        if not strange:
            yield entry


def _groups(
    document: Document,
    known: Known,
    staff: AbstractSet[str],
    served: AbstractSet[str],
    problems: list[Problem],
) -> list[GroupEntry]:
    taken = []
    for entry in _unique(document.groups, lambda entry: entry.group_id, problems):
        owner = entry.owner if entry.is_placed else known.groups.get(entry.group_id)
        strange = [
            member
            for member in entry.members or ()
            if member not in served and fold_userid(member) not in staff
        ]
        if owner is not None and owner not in staff:
            problems.append(_unknown(entry.place, "owner", "员工", owner))
        elif strange:
            problems.append(_unknown(entry.place, "members", "成员", "、".join(strange[:_NAMED])))
        else:
            taken.append(entry._replace(owner=owner))
    return taken


def _assignments(
    document: Document, staff: AbstractSet[str], served: AbstractSet[str], problems: list[Problem]
) -> list[AssignmentEntry]:
    taken = []
    entries = _unique(
        document.assignments, lambda entry: (entry.client, entry.employee, entry.start), problems
    )
    for entry in entries:
        if entry.client not in served:
            problems.append(_unknown(entry.place, "client", "客户", entry.client))
        elif entry.employee not in staff:
            problems.append(_unknown(entry.place, "employee", "员工", entry.employee))
        else:
            taken.append(entry)
    return taken


def _unique(entries: Iterable[E], key: Callable[[E], Hashable], problems: list[Problem]) -> list[E]:
    first: dict[Hashable, E] = {}
    for entry in entries:
        before = first.setdefault(key(entry), entry)
        if before is not entry:
            problems.append(
                Problem(entry.place, "", f"与 {before.place} 重复", "只保留一条；本条未导入")
            )
    return list(first.values())


def _unknown(place: str, field: str, what: str, name: str) -> Problem:
    return Problem(place, field, f"未知的{what}：{name}", f"请先导入该{what}，或改正编号")


def _tree_problem(place: str, field: str, name: str | None, why: str, what: str) -> Problem:
    if why == CYCLE:
        return Problem(place, field, f"{what}关系成环", "请改正其中一条的上级")
    if why == REFUSED:
        return Problem(place, field, f"{what} {name} 在本次导入中有误", "请先改正那一条")
    return _unknown(place, field, what, name or "")
