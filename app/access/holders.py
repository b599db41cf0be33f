"""Who holds an action, for rooms that address people: who may be given an alert, who is told of one."""

from collections import defaultdict
from typing import NamedTuple

from sqlalchemy import Connection, select

from app.access.domain import Action, Caller, Role, Scope, role_grant, union
from app.access.models import User, UserRole


class Holder(NamedTuple):
    """A user who may sign in and holds an action; `scope` is where she holds it."""

    id: str
    name: str
    employee_id: int | None
    roles: frozenset[Role]
    scope: Scope


def holders(connection: Connection, action: Action, only: str | None = None) -> list[Holder]:
    """Everybody who holds an action, or `only` this user if she does, by login."""
    query = (
        select(User.id, User.name, User.employee_id, UserRole.role, UserRole.department_id)
        .join(UserRole, UserRole.user_id == User.id)
        .where(User.disabled_at.is_(None))
        .order_by(User.login, UserRole.id)
    )
    if only is not None:
        query = query.where(User.id == only)
    rows = defaultdict(list)
    for row in connection.execute(query):
        grant = role_grant(Role(row.role), row.department_id, row.employee_id)
        if action in grant.actions:
            rows[row.id, row.name, row.employee_id].append((Role(row.role), grant.scope))
    return [
        Holder(*who, frozenset(role for role, _ in held), union(scope for _, scope in held))
        for who, held in rows.items()
    ]


def employee_of(connection: Connection, caller: Caller) -> int | None:
    """The employee a caller is, if she is one."""
    return employee_of_user(connection, caller.id)


def employee_of_user(connection: Connection, user_id: str) -> int | None:
    """The employee a user is, if she is one."""
    return connection.execute(select(User.employee_id).where(User.id == user_id)).scalar()
