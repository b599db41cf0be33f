"""Users and tokens as lists show them: nothing secret in them."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection

from app.access import store
from app.access.domain import Role, TokenScope
from app.access.store import Kept


class HeldRole(NamedTuple):
    """A role of a user; `department_id` None is everywhere."""

    id: str
    role: Role
    department_id: int | None


class UserView(NamedTuple):
    """A user with her roles."""

    id: str
    login: str
    name: str
    employee_id: int | None
    created_at: datetime
    disabled_at: datetime | None
    roles: tuple[HeldRole, ...]


class TokenView(NamedTuple):
    """A token without its text; `last_used_at` is right to the hour."""

    id: str
    name: str
    scopes: tuple[TokenScope, ...]
    created_by: str
    created_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None


def user_views(connection: Connection, rows: Sequence[Kept]) -> list[UserView]:
    """Rows of users with their roles, in the same order."""
    held: dict[str, list[HeldRole]] = {row.id: [] for row in rows}
    for row in store.roles(connection, held):
        held[row.user_id].append(HeldRole(row.id, Role(row.role), row.department_id))
    return [
        UserView(
            id=row.id,
            login=row.login,
            name=row.name,
            employee_id=row.employee_id,
            created_at=row.created_at,
            disabled_at=row.disabled_at,
            roles=tuple(held[row.id]),
        )
        for row in rows
    ]


def token_view(row: Kept) -> TokenView:
    """A token's row."""
    return TokenView(**(row._asdict() | {"scopes": scopes_of(row)}))


def scopes_of(row: Kept) -> tuple[TokenScope, ...]:
    """What a token's row may be used for."""
    return tuple(TokenScope(scope) for scope in row.scopes.split())
