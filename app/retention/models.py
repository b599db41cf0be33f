"""Rows of retention. Steps and events only grow; a rule, a hold and a disposal keep their whole history."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.foundation.database import Base, BigKey, UtcDateTime

APPEND_ONLY = ("retention_events",)


class RetentionRule(Base):
    __tablename__ = "retention_rules"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    record_class: Mapped[str] = mapped_column(String(16))
    trigger: Mapped[str] = mapped_column(String(32))
    months: Mapped[int] = mapped_column(Integer)
    basis: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16))
    created_by: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    decided_by: Mapped[str | None] = mapped_column(String(64))
    effective_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class RetentionEvent(Base):
    """Something that a rule runs from, with a client of a corp."""

    __tablename__ = "retention_events"
    __table_args__ = (Index("ix_retention_events_corp_id_client", "corp_id", "client"),)
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    corp_id: Mapped[int] = mapped_column(BigKey)
    client: Mapped[str] = mapped_column(String(256))
    trigger: Mapped[str] = mapped_column(String(32))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    note: Mapped[str] = mapped_column(Text)
    created_by: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class LegalHold(Base):
    """What may not go, whatever the rules say; never deleted."""

    __tablename__ = "legal_holds"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    corp_id: Mapped[int] = mapped_column(BigKey)
    name: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    asked: Mapped[dict[str, Any]] = mapped_column(JSON)  # what it covers
    is_dynamic: Mapped[int] = mapped_column(Integer)  # 1: messages yet to come too
    state: Mapped[str] = mapped_column(String(16))
    placed_by: Mapped[str] = mapped_column(String(64))
    placed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    release_asked_by: Mapped[str | None] = mapped_column(String(64))
    release_reason: Mapped[str | None] = mapped_column(Text)
    released_by: Mapped[str | None] = mapped_column(String(64))
    ends_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # when the cooling period is over


class Disposal(Base):
    """Records that are to go: asked for, agreed to by two others, done, certified."""

    __tablename__ = "disposals"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    corp_id: Mapped[int] = mapped_column(BigKey)
    state: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(Text)
    buckets: Mapped[list[Any]] = mapped_column(
        JSON
    )  # key number, conversation, month, records, rule
    requested_by: Mapped[str] = mapped_column(String(64))
    requested_at: Mapped[datetime] = mapped_column(UtcDateTime)
    approvals: Mapped[list[Any]] = mapped_column(JSON)  # who and when
    done_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    certificate: Mapped[str | None] = mapped_column(Text)
