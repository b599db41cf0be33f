"""Rows of access: users, their roles, sessions, tokens, sign-in attempts, the audit trail."""

from datetime import datetime

from sqlalchemy import Boolean, ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.foundation.database import Base, BigKey, UtcDateTime

APPEND_ONLY = ("audit_events",)  # the migration guards these against UPDATE and DELETE


class User(Base):
    __tablename__ = "users"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)  # usr_…
    login: Mapped[str] = mapped_column(String(64), unique=True)  # folded
    name: Mapped[str] = mapped_column(String(128))
    password_hash: Mapped[str] = mapped_column(String(256))
    employee_id: Mapped[int | None] = mapped_column(BigKey)  # people's row; that room is above
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    disabled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class UserRole(Base):
    __tablename__ = "user_roles"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)  # grt_…
    user_id: Mapped[str] = mapped_column(String(64), ForeignKey("users.id"))
    role: Mapped[str] = mapped_column(String(32))
    department_id: Mapped[int | None] = mapped_column(BigKey)  # people's row; None is everywhere
    __table_args__ = (
        UniqueConstraint("user_id", "role", "department_id"),
        Index(  # NULLs are never equal in a unique constraint
            "uq_user_roles_everywhere",
            "user_id",
            "role",
            unique=True,
            sqlite_where=text("department_id IS NULL"),
            postgresql_where=text("department_id IS NULL"),
        ),
    )


class UserSession(Base):
    __tablename__ = "sessions"
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    user_id: Mapped[str] = mapped_column(String(64), ForeignKey("users.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ApiToken(Base):
    __tablename__ = "api_tokens"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)  # tok_…
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    name: Mapped[str] = mapped_column(String(128))
    scopes: Mapped[str] = mapped_column(String(256))  # separated by blanks
    created_by: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # to the hour


class LoginAttempt(Base):
    """A sign-in that has not succeeded, once per thing it is counted under; short-lived."""

    __tablename__ = "login_attempts"
    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    attempt: Mapped[str] = mapped_column(String(64), index=True)
    counted_under: Mapped[str] = mapped_column(String(128))  # login:… or address:…
    at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    was_refused: Mapped[bool] = mapped_column(Boolean)
    __table_args__ = (Index(None, "counted_under", "at"),)


class AuditEvent(Base):
    __tablename__ = "audit_events"
    seq: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    event: Mapped[str] = mapped_column(String(64))
    actor_kind: Mapped[str] = mapped_column(String(16))
    actor_id: Mapped[str] = mapped_column(String(64))
    actor_name: Mapped[str] = mapped_column(String(128))
    subject: Mapped[str] = mapped_column(String(512))
    request_id: Mapped[str] = mapped_column(String(64))
    details: Mapped[str] = mapped_column(Text)
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    __table_args__ = (
        Index(None, "event", "seq"),
        Index(None, "actor_id", "seq"),
        Index(None, "subject", "seq"),
    )
