"""Every query of access but the audit trail's."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from app.access.domain import Role, is_storable
from app.access.models import ApiToken, LoginAttempt, User, UserRole, UserSession

Kept: TypeAlias = Row[*tuple[Any, ...]]

_USER = (User.id, User.login, User.name, User.employee_id, User.created_at, User.disabled_at)
_TOKEN = (
    ApiToken.id,
    ApiToken.name,
    ApiToken.scopes,
    ApiToken.created_by,
    ApiToken.created_at,
    ApiToken.revoked_at,
    ApiToken.last_used_at,
)


def count_users(connection: Connection) -> int:
    """How many users there are, disabled ones included."""
    return connection.execute(select(func.count()).select_from(User)).scalar_one()


def users(connection: Connection, *, after: str, limit: int) -> Sequence[Kept]:
    """Users in the order of their logins, those behind `after`."""
    query = select(*_USER).where(User.login > after).order_by(User.login).limit(limit)
    return connection.execute(query).all()


def user(connection: Connection, user_id: str) -> Kept | None:
    """One user with the hash of her password."""
    return connection.execute(
        select(*_USER, User.password_hash).where(User.id == user_id)
    ).one_or_none()


def user_by_login(connection: Connection, login: str) -> Kept | None:
    """One user by her folded login, with the hash of her password."""
    if not is_storable(login):
        return None
    return connection.execute(
        select(*_USER, User.password_hash).where(User.login == login)
    ).one_or_none()


def roles(connection: Connection, user_ids: Iterable[str]) -> Sequence[Kept]:
    """The roles of these users in a fixed order."""
    query = select(UserRole.id, UserRole.user_id, UserRole.role, UserRole.department_id)
    query = query.where(UserRole.user_id.in_(list(user_ids)))
    return connection.execute(query.order_by(UserRole.role, UserRole.department_id)).all()


def add_user(connection: Connection, row: dict[str, Any]) -> None:
    """Insert a user."""
    connection.execute(insert(User).values(row))


def change_user(connection: Connection, user_id: str, changes: dict[str, Any]) -> None:
    """Set the given columns of a user."""
    connection.execute(update(User).where(User.id == user_id).values(changes))


def has_role(connection: Connection, user_id: str, role: Role, department: int | None) -> bool:
    """Whether the user holds exactly this role at exactly this place."""
    query = select(UserRole.id).where(
        UserRole.user_id == user_id,
        UserRole.role == role.value,
        UserRole.department_id.is_not_distinct_from(department),
    )
    return connection.execute(query).first() is not None


def add_role(connection: Connection, row: dict[str, Any]) -> None:
    """Insert a user's role."""
    connection.execute(insert(UserRole).values(row))


def role_of(connection: Connection, grant_id: str) -> Kept | None:
    """One user's role by the id of its grant."""
    query = select(UserRole.user_id, UserRole.role, UserRole.department_id)
    return connection.execute(query.where(UserRole.id == grant_id)).one_or_none()


def remove_role(connection: Connection, grant_id: str) -> None:
    """Delete a user's role."""
    connection.execute(delete(UserRole).where(UserRole.id == grant_id))


def add_session(connection: Connection, row: dict[str, Any]) -> None:
    """Insert a session."""
    connection.execute(insert(UserSession).values(row))


def session_user(connection: Connection, token_hash: bytes, now: datetime) -> Kept | None:
    """The user of a session that is still running, and when it expires; a disabled user has none."""
    query = (
        select(User.id, User.login, User.name, User.employee_id, UserSession.expires_at)
        .join(User, User.id == UserSession.user_id)
        .where(
            UserSession.token_hash == token_hash,
            UserSession.ended_at.is_(None),
            UserSession.expires_at > now,
            User.disabled_at.is_(None),
        )
    )
    return connection.execute(query).one_or_none()


def end_session(connection: Connection, token_hash: bytes, now: datetime) -> None:
    """End one session."""
    connection.execute(
        update(UserSession).where(UserSession.token_hash == token_hash).values(ended_at=now)
    )


def end_sessions_of(connection: Connection, user_id: str, now: datetime) -> None:
    """End every running session of a user."""
    connection.execute(
        update(UserSession)
        .where(UserSession.user_id == user_id, UserSession.ended_at.is_(None))
        .values(ended_at=now)
    )


def forget_sessions(connection: Connection, before: datetime) -> None:
    """Delete sessions that expired before a moment; the audit trail keeps their story."""
    connection.execute(delete(UserSession).where(UserSession.expires_at < before))


def add_token(connection: Connection, row: dict[str, Any]) -> None:
    """Insert an API token."""
    connection.execute(insert(ApiToken).values(row))


def tokens(connection: Connection) -> Sequence[Kept]:
    """All tokens, newest first, revoked ones included."""
    return connection.execute(select(*_TOKEN).order_by(ApiToken.id.desc())).all()


def token(connection: Connection, token_id: str) -> Kept | None:
    """One token by its id."""
    return connection.execute(select(*_TOKEN).where(ApiToken.id == token_id)).one_or_none()


def living_token(connection: Connection, token_hash: bytes) -> Kept | None:
    """A token that is not revoked, by the hash of its text."""
    query = select(*_TOKEN).where(ApiToken.token_hash == token_hash, ApiToken.revoked_at.is_(None))
    return connection.execute(query).one_or_none()


def change_token(connection: Connection, token_id: str, changes: dict[str, Any]) -> None:
    """Set the given columns of a token."""
    connection.execute(update(ApiToken).where(ApiToken.id == token_id).values(changes))


def attempts(
    connection: Connection, counted_under: str, since: datetime, *, was_refused: bool
) -> list[datetime]:
    """When sign-ins counted under something were tried, or were refused before they were tried."""
    query = select(LoginAttempt.at).where(
        LoginAttempt.counted_under == counted_under,
        LoginAttempt.at > since,
        LoginAttempt.was_refused == was_refused,
    )
    return list(connection.execute(query).scalars())


def add_attempts(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """Insert sign-in attempts."""
    connection.execute(insert(LoginAttempt), rows)


def forget_attempts(connection: Connection, before: datetime) -> None:
    """Delete attempts that no longer count."""
    connection.execute(delete(LoginAttempt).where(LoginAttempt.at <= before))


def clear_attempts(connection: Connection, attempt: str, counted_under: str) -> None:
    """Delete one attempt, and everything counted under a login that has now succeeded."""
    connection.execute(
        delete(LoginAttempt).where(
            (LoginAttempt.attempt == attempt) | (LoginAttempt.counted_under == counted_under)
        )
    )
