"""Lists of people within a scope. The scope is a condition of each query, never a filter over its rows.

Somebody who sees a department sees the employees who ever belonged to its subtree, the clients they served while
they did, and the groups they own or were in; somebody who sees one employee sees her, her clients and groups.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, or_, select, true

from app.access import Scope
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
from app.people.store import Kept, subtree_query


class Wanted(NamedTuple):
    """Which rows of a list: of one corp, with words in the id or the name, behind a row id."""

    corp: str | None = None
    words: str | None = None
    after: int = 0
    limit: int = 100


def departments(connection: Connection, scope: Scope, wanted: Wanted) -> Sequence[Kept]:
    """Departments by row id."""
    query = select(
        Department.id,
        Corp.code.label("corp"),
        Department.code,
        Department.name,
        Department.parent_id,
    )
    if scope.departments is not None:
        query = query.where(Department.id.in_(subtree_query(scope.departments)))
    return _rows(connection, query, Department, Department.code, wanted)


def employees(connection: Connection, scope: Scope, wanted: Wanted) -> Sequence[Kept]:
    """Employees by row id."""
    query = select(
        Employee.id,
        Corp.code.label("corp"),
        Employee.userid,
        Employee.name,
        Employee.supervisor_id,
        Employee.provisional,
    ).where(_sees_employee(scope, Employee.id))
    return _rows(connection, query, Employee, Employee.userid, wanted)


def memberships(connection: Connection, employee_ids: Sequence[int]) -> Sequence[Kept]:
    """The departments of employees already seen, in order of time."""
    query = select(
        Membership.employee_id, Membership.department_id, Membership.start_at, Membership.end_at
    ).where(Membership.employee_id.in_(employee_ids))
    return connection.execute(query.order_by(Membership.start_at, Membership.id)).all()


def clients(connection: Connection, scope: Scope, wanted: Wanted) -> Sequence[Kept]:
    """Clients by row id."""
    return _rows(connection, _clients(scope), Client, Client.external_id, wanted)


def client(connection: Connection, scope: Scope, client_id: int) -> Kept | None:
    """One client, None when there is none or the scope does not show it."""
    query = _clients(scope).join(Corp, Corp.id == Client.corp_id).where(Client.id == client_id)
    return connection.execute(query).one_or_none()


def assignments(connection: Connection, client_id: int) -> Sequence[Kept]:
    """Who looked after a client already seen, in order of time."""
    query = (
        select(
            Assignment.employee_id,
            Employee.userid,
            Employee.name,
            Assignment.start_at,
            Assignment.end_at,
        )
        .join(Employee, Employee.id == Assignment.employee_id)
        .where(Assignment.client_id == client_id)
        .order_by(Assignment.start_at, Assignment.id)
    )
    return connection.execute(query).all()


def groups(connection: Connection, scope: Scope, wanted: Wanted) -> Sequence[Kept]:
    """Groups by row id."""
    query = select(
        Group.id,
        Corp.code.label("corp"),
        Group.group_id,
        Group.name,
        Group.owner_id,
        Group.provisional,
    ).where(_sees_group(scope))
    return _rows(connection, query, Group, Group.group_id, wanted)


def _rows(
    connection: Connection, query: Select[*tuple[Any, ...]], row_type: Any, key: Any, wanted: Wanted
) -> Sequence[Kept]:
    query = query.join(Corp, Corp.id == row_type.corp_id).where(row_type.id > wanted.after)
    if wanted.corp is not None:
        query = query.where(Corp.code == wanted.corp)
    if wanted.words:
        query = query.where(
            or_(
                key.icontains(wanted.words, autoescape=True),
                row_type.name.icontains(wanted.words, autoescape=True),
            )
        )
    return connection.execute(query.order_by(row_type.id).limit(wanted.limit)).all()


def _clients(scope: Scope) -> Select[*tuple[Any, ...]]:
    return select(
        Client.id, Corp.code.label("corp"), Client.external_id, Client.name, Client.provisional
    ).where(_sees_client(scope))


def _sees_employee(scope: Scope, employee_id: Any) -> ColumnElement[bool]:
    if scope.departments is None:
        return true()
    belonged = select(Membership.employee_id).where(
        Membership.department_id.in_(subtree_query(scope.departments))
    )
    seen: ColumnElement[bool] = employee_id.in_(belonged)
    if scope.employee is None:
        return seen  # `= None` would become IS NULL and show every group without an owner
    return or_(seen, employee_id == scope.employee)


def _sees_client(scope: Scope) -> ColumnElement[bool]:
    if scope.departments is None:
        return true()
    served_meanwhile = (
        select(Assignment.client_id)
        .join(Membership, Membership.employee_id == Assignment.employee_id)
        .where(
            Membership.department_id.in_(subtree_query(scope.departments)),
            or_(Membership.end_at.is_(None), Membership.end_at > Assignment.start_at),
            or_(Assignment.end_at.is_(None), Assignment.end_at > Membership.start_at),
        )
    )
    own = select(Assignment.client_id).where(Assignment.employee_id == scope.employee)
    return or_(Client.id.in_(served_meanwhile), Client.id.in_(own))


def _sees_group(scope: Scope) -> ColumnElement[bool]:
    if scope.departments is None:
        return true()
    joined = select(GroupMember.group_id).where(_sees_employee(scope, GroupMember.employee_id))
    return or_(Group.id.in_(joined), _sees_employee(scope, Group.owner_id))
