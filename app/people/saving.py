"""The statements of an import: what is known before it, and how its entries become rows.

Saving the same entries again changes nothing. Every import row loses the mark `provisional`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, insert, select, update
from sqlalchemy.orm import aliased

from app.foundation import clock
from app.foundation.database import chunks, upsert
from app.people.domain import fold_userid
from app.people.entries import (
    AssignmentEntry,
    ClientEntry,
    DepartmentEntry,
    EmployeeEntry,
    GroupEntry,
)
from app.people.models import (
    Assignment,
    Client,
    Corp,
    Department,
    Employee,
    Group,
    GroupMember,
    Membership,
)
from app.people.settle import Known, Settled

_STATEMENT_IDS = 500
Ids = Mapping[str, int]


def known(connection: Connection, corp_id: int) -> Known:
    """What a corp has already."""
    above, boss, owner = aliased(Department), aliased(Employee), aliased(Employee)
    departments = (
        select(Department.code, above.code)
        .outerjoin(above, above.id == Department.parent_id)
        .where(Department.corp_id == corp_id)
    )
    employees = (
        select(Employee.userid, boss.userid)
        .outerjoin(boss, boss.id == Employee.supervisor_id)
        .where(Employee.corp_id == corp_id)
    )
    clients = select(Client.external_id).where(Client.corp_id == corp_id)
    groups = (
        select(Group.group_id, owner.userid)
        .outerjoin(owner, owner.id == Group.owner_id)
        .where(Group.corp_id == corp_id)
    )
    return Known(
        departments=_pairs(connection, departments),
        employees=_pairs(connection, employees),
        clients=frozenset(connection.execute(clients).scalars()),
        groups=_pairs(connection, groups),
    )


def save(connection: Connection, corp_id: int, corp_name: str | None, settled: Settled) -> None:
    """Write the settled entries in the caller's transaction."""
    if corp_name is not None:
        connection.execute(update(Corp).where(Corp.id == corp_id).values(name=corp_name))
    departments = _save_departments(connection, corp_id, settled.departments)
    employees = _save_employees(connection, corp_id, settled.employees, departments)
    clients = _save_clients(connection, corp_id, settled.clients)
    _save_groups(connection, corp_id, settled.groups, employees, clients)
    _save_assignments(connection, settled.assignments, employees, clients)


def _save_departments(
    connection: Connection, corp_id: int, entries: Sequence[DepartmentEntry]
) -> Ids:
    rows = [{"corp_id": corp_id, "code": each.code, "name": each.name} for each in entries]
    upsert(connection, Department, rows, ["corp_id", "code"])
    ids = _ids(connection, Department.code, Department.id, Department.corp_id, corp_id)
    links = {ids[each.code]: ids.get(each.parent or "") for each in entries}
    _link(connection, Department, Department.parent_id, links)
    return ids


def _save_employees(
    connection: Connection, corp_id: int, entries: Sequence[EmployeeEntry], departments: Ids
) -> Ids:
    rows = [
        {"corp_id": corp_id, "userid": each.userid, "name": each.name, "provisional": False}
        for each in entries
    ]
    upsert(connection, Employee, rows, ["corp_id", "userid"])
    ids = _ids(connection, Employee.userid, Employee.id, Employee.corp_id, corp_id)
    links = {ids[each.userid]: ids.get(each.supervisor or "") for each in entries}
    _link(connection, Employee, Employee.supervisor_id, links)
    spoken_of = [each for each in entries if each.spans is not None]
    _clear(connection, Membership, Membership.employee_id, [ids[e.userid] for e in spoken_of])
    _insert(connection, Membership, _memberships(spoken_of, ids, departments))
    return ids


def _memberships(
    entries: Iterable[EmployeeEntry], employees: Ids, departments: Ids
) -> list[dict[str, Any]]:
    return [
        {
            "employee_id": employees[entry.userid],
            "department_id": departments[span.department],
            **_dates(span.start, span.end),
        }
        for entry in entries
        for span in entry.spans or ()
    ]


def _save_clients(connection: Connection, corp_id: int, entries: Sequence[ClientEntry]) -> Ids:
    rows = [
        {
            "corp_id": corp_id,
            "external_id": each.external_id,
            "name": each.name,
            "provisional": False,
        }
        for each in entries
    ]
    upsert(connection, Client, rows, ["corp_id", "external_id"])
    return _ids(connection, Client.external_id, Client.id, Client.corp_id, corp_id)


def _save_groups(
    connection: Connection,
    corp_id: int,
    entries: Sequence[GroupEntry],
    employees: Ids,
    clients: Ids,
) -> None:
    rows = [
        {
            "corp_id": corp_id,
            "group_id": each.group_id,
            "name": each.name,
            "owner_id": employees.get(each.owner or ""),
            "provisional": False,
        }
        for each in entries
    ]
    upsert(connection, Group, rows, ["corp_id", "group_id"])
    spoken_of = [each for each in entries if each.members is not None]
    if not spoken_of:
        return
    ids = _ids(connection, Group.group_id, Group.id, Group.corp_id, corp_id)
    _clear(connection, GroupMember, GroupMember.group_id, [ids[e.group_id] for e in spoken_of])
    _insert(connection, GroupMember, _members(spoken_of, ids, employees, clients))


def _members(
    entries: Iterable[GroupEntry], groups: Ids, employees: Ids, clients: Ids
) -> list[dict[str, Any]]:
    rows = {}
    for entry in entries:
        for member in entry.members or ():
            client = clients.get(member)
            employee = None if client is not None else employees[fold_userid(member)]
            row = {"group_id": groups[entry.group_id], "employee_id": employee, "client_id": client}
            rows[tuple(row.values())] = row
    return list(rows.values())


def _save_assignments(
    connection: Connection, entries: Sequence[AssignmentEntry], employees: Ids, clients: Ids
) -> None:
    rows = [
        {
            "client_id": clients[each.client],
            "employee_id": employees[each.employee],
            **_dates(each.start, each.end),
        }
        for each in entries
    ]
    upsert(connection, Assignment, rows, ["client_id", "employee_id", "start_at"])


def _dates(start: int, end: int | None) -> dict[str, Any]:
    return {
        "start_at": clock.from_ms(start),
        "end_at": None if end is None else clock.from_ms(end),
    }


def _ids(connection: Connection, key: Any, row_id: Any, corp: Any, corp_id: int) -> Ids:
    return _pairs(connection, select(key, row_id).where(corp == corp_id))


def _pairs(connection: Connection, query: Select[Any, Any]) -> dict[str, Any]:
    return {row[0]: row[1] for row in connection.execute(query)}


def _link(
    connection: Connection, row_type: Any, column: Any, links: Mapping[int, int | None]
) -> None:
    if links:
        statement = update(row_type.__table__).where(row_type.__table__.c.id == bindparam("row"))
        rows = [{"row": row, "above": above} for row, above in links.items()]
        connection.execute(statement.values({column.key: bindparam("above")}), rows)


def _clear(connection: Connection, row_type: Any, column: Any, ids: Sequence[int]) -> None:
    for part in chunks(ids, _STATEMENT_IDS):
        connection.execute(delete(row_type).where(column.in_(part)))


def _insert(connection: Connection, row_type: Any, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(insert(row_type), rows)
