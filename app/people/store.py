"""What other rooms ask of people; lists for the console are in `listing`. Whoever lists people passes her scope; it is part of the query."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import Connection, Row, Select, or_, select

from app.access import Scope
from app.foundation import clock
from app.foundation.database import chunks, insert_new
from app.people.domain import CLIENT, EMPLOYEE, fold_userid, identity_of
from app.people.models import Client, Corp, Department, Employee, Group, Membership

Kept: TypeAlias = Row[*tuple[Any, ...]]
Span: TypeAlias = tuple[int, int, int | None]  # department, start, end (Unix milliseconds)

_DIGITS = 17  # more than any row number has
_STATEMENT_IDS = 500  # ids in one statement; SQLite's oldest limit is 999 parameters


def corp_ids(connection: Connection, codes: Iterable[str]) -> dict[str, int]:
    """Row ids of corps by code; unknown corps are made in the caller's transaction."""
    wanted = sorted(set(codes))
    found = _corp_ids(connection, wanted)
    new = [code for code in wanted if code not in found]
    if not new:
        return found
    now = clock.now()
    rows = [{"code": code, "name": code, "created_at": now} for code in new]
    insert_new(connection, Corp, rows)
    return found | _corp_ids(connection, new)


def known_corp(connection: Connection, code: str) -> int | None:
    """The row id of a corp, None when there is none."""
    return _corp_ids(connection, [code]).get(code)


def corp_codes(connection: Connection) -> dict[int, str]:
    """Codes of all corps by row id."""
    return {row.id: row.code for row in connection.execute(select(Corp.id, Corp.code))}


def _corp_ids(connection: Connection, codes: Sequence[str]) -> dict[str, int]:
    query = select(Corp.code, Corp.id).where(Corp.code.in_(codes))
    return {row.code: row.id for row in connection.execute(query)}


def note_parties(
    connection: Connection,
    corp_id: int,
    parties: Iterable[tuple[str, str, str | None]],
    groups: Iterable[tuple[str, str | None]] = (),
) -> None:
    """Insert employees, clients and groups that are not there yet, marked provisional.

    At most one statement for each of the three; rows sorted, so that two writers cannot lock each other out.
    What is there stays as it is: the first name holds until an import.
    """
    people = sorted({identity_of(party): party[2] or "" for party in parties}.items())
    employees = [
        {"corp_id": corp_id, "userid": key, "name": name, "provisional": True}
        for (kind, key), name in people
        if kind == EMPLOYEE
    ]
    clients = [
        {"corp_id": corp_id, "external_id": key, "name": name, "provisional": True}
        for (kind, key), name in people
        if kind == CLIENT
    ]
    rooms = [
        {"corp_id": corp_id, "group_id": key, "name": name or "", "provisional": True}
        for key, name in sorted(dict(groups).items())
    ]
    insert_new(connection, Employee, employees)
    insert_new(connection, Client, clients)
    insert_new(connection, Group, rooms)


def memberships_of(
    connection: Connection, corp_id: int, userids: Iterable[str]
) -> dict[str, list[Span]]:
    """Where each employee belonged: (department, start, end or None), by the userid as it was asked for.

    Unknown employees and those without a department have an empty list. Spans are half open.
    """
    asked = sorted(set(userids))
    spans: dict[str, list[Span]] = {fold_userid(userid): [] for userid in asked}
    for part in chunks(sorted(spans), _STATEMENT_IDS):
        query = (
            select(
                Employee.userid, Membership.department_id, Membership.start_at, Membership.end_at
            )
            .join(Membership, Membership.employee_id == Employee.id)
            .where(Employee.corp_id == corp_id, Employee.userid.in_(part))
            .order_by(Membership.start_at, Membership.department_id)
        )
        for row in connection.execute(query):
            end = None if row.end_at is None else clock.to_ms(row.end_at)
            spans[row.userid].append((row.department_id, clock.to_ms(row.start_at), end))
    return {userid: spans[fold_userid(userid)] for userid in asked}


def departments_at(
    connection: Connection, corp_id: int, userids: Iterable[str], at: datetime
) -> dict[str, frozenset[int]]:
    """The departments each employee belonged to at a moment, by the userid as it was asked for."""
    moment = clock.to_ms(at)
    return {
        userid: frozenset(
            department
            for department, start, end in spans
            if start <= moment and (end is None or moment < end)
        )
        for userid, spans in memberships_of(connection, corp_id, userids).items()
    }


def visible_departments(connection: Connection, scope: Scope) -> frozenset[int] | None:
    """The scope's departments with everything below them; None is every department."""
    if scope.departments is None:
        return None
    if not scope.departments:
        return frozenset()
    return subtree(connection, scope.departments)


def visible_userids(
    connection: Connection, corp_id: int, scope: Scope, at: datetime | None = None
) -> frozenset[str] | None:
    """The userids whose conversations at a moment (now, unless given) the scope shows; None is everybody."""
    if scope.departments is None:
        return None
    moment = at or clock.now()
    belonged = select(Membership.employee_id).where(
        Membership.department_id.in_(subtree_query(scope.departments)),
        Membership.start_at <= moment,
        or_(Membership.end_at.is_(None), Membership.end_at > moment),
    )
    query = select(Employee.userid).where(
        Employee.corp_id == corp_id,
        or_(Employee.id.in_(belonged), Employee.id == scope.employee),
    )
    return frozenset(connection.execute(query).scalars())


def supervisor_of(connection: Connection, employee_id: int) -> int | None:
    """The employee's direct supervisor."""
    return connection.execute(
        select(Employee.supervisor_id).where(Employee.id == employee_id)
    ).scalar()


def names(
    connection: Connection, corp_id: int, parties: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], str]:
    """Names of employees and clients by (type, id) as it was asked for; the nameless are left out."""
    asked = {pair: identity_of((*pair, None)) for pair in parties}
    found: dict[tuple[str, str], str] = {}
    for kind, keys in (
        (EMPLOYEE, (Employee.corp_id, Employee.userid, Employee.name)),
        (CLIENT, (Client.corp_id, Client.external_id, Client.name)),
    ):
        corp, key, name = keys
        wanted = sorted({identifier for each, identifier in asked.values() if each == kind})
        for part in chunks(wanted, _STATEMENT_IDS):
            query = select(key, name).where(corp == corp_id, key.in_(part), name != "")
            found |= {(kind, row[0]): row[1] for row in connection.execute(query)}
    return {pair: found[folded] for pair, folded in asked.items() if folded in found}


def departments_named(connection: Connection, names: Iterable[str]) -> frozenset[int]:
    """The rows of departments given by number or by code."""
    wanted = list(names)
    numbers = [
        int(name) for name in wanted if name.isascii() and name.isdigit() and len(name) <= _DIGITS
    ]
    query = select(Department.id).where(
        or_(Department.code.in_(wanted), Department.id.in_(numbers))
    )
    return frozenset(connection.execute(query).scalars())


def departments_called(connection: Connection, word: str) -> frozenset[int]:
    """The rows of departments of this name, number or code."""
    query = select(Department.id).where(Department.name == word)
    found = frozenset(connection.execute(query).scalars())
    return found | departments_named(connection, [word])


def department_names(connection: Connection, departments: Iterable[int]) -> dict[int, str]:
    """What departments are called now; unknown ones are left out."""
    found: dict[int, str] = {}
    for part in chunks(sorted(departments), _STATEMENT_IDS):
        query = select(Department.id, Department.name).where(Department.id.in_(part))
        found |= {row.id: row.name for row in connection.execute(query)}
    return found


def called(connection: Connection, word: str) -> list[tuple[str, str]]:
    """Type and id of the employees and clients with this id or this very name."""
    employees = select(Employee.userid).where(
        or_(Employee.userid == fold_userid(word), Employee.name == word)
    )
    clients = select(Client.external_id).where(or_(Client.external_id == word, Client.name == word))
    return [
        *((EMPLOYEE, userid) for userid in connection.execute(employees).scalars()),
        *((CLIENT, name) for name in connection.execute(clients).scalars()),
    ]


def subtree(connection: Connection, departments: Iterable[int]) -> frozenset[int]:
    """These departments with everything below them; unknown ones are left out."""
    return frozenset(connection.execute(subtree_query(departments)).scalars())


def employee_id(connection: Connection, corp_id: int, userid: str) -> int | None:
    """The row of an employee by userid."""
    query = select(Employee.id).where(
        Employee.corp_id == corp_id, Employee.userid == fold_userid(userid)
    )
    return connection.execute(query).scalar()


def employee_key(connection: Connection, employee_id: int) -> tuple[int, str] | None:
    """Corp and userid of an employee's row."""
    query = select(Employee.corp_id, Employee.userid).where(Employee.id == employee_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else (row.corp_id, row.userid)


def subtree_query(departments: Iterable[int]) -> Select[int]:
    """The ids of these departments and of everything below them, as a part of another query."""
    tree = (
        select(Department.id)
        .where(Department.id.in_(sorted(departments)))
        .cte(recursive=True)  # unnamed: a query may hold two
    )
    below = select(Department.id).join(tree, Department.parent_id == tree.c.id)
    return select(tree.union(below).c.id)  # UNION, so that a cycle would end too


def ancestors(connection: Connection, department: int) -> list[int]:
    """A department and everything above it, from itself upward; a cycle ends."""
    line: list[int] = []
    place: int | None = department
    while place is not None and place not in line:
        line.append(place)
        query = select(Department.parent_id).where(Department.id == place)
        place = connection.execute(query).scalar()
    return line
