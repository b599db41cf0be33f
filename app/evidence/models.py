"""Rows of the two Merkle logs and of exports. A checkpoint, once signed, stays; full tiles never change."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, Integer, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.foundation.database import Base, BigKey, UtcDateTime

APPEND_ONLY = ("log_checkpoints",)


class LogTile(Base):
    """256 hashes of one level of a log's tree, or as many as there are yet; the C2SP layout."""

    __tablename__ = "log_tiles"
    log_id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    level: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    hashes: Mapped[bytes] = mapped_column(LargeBinary)


class LogCheckpoint(Base):
    """A head that was signed; `log_id` is a corp's number, 0 the audit trail."""

    __tablename__ = "log_checkpoints"
    log_id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    size: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    root: Mapped[bytes] = mapped_column(LargeBinary(32))
    note: Mapped[str] = mapped_column(Text)
    signed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Export(Base):
    """A package asked for. What is pinned at the approval makes it the same whenever it is built."""

    __tablename__ = "exports"
    __table_args__ = (Index("ix_exports_corp_id", "corp_id"),)
    number: Mapped[int] = mapped_column(BigKey, primary_key=True)
    id: Mapped[str] = mapped_column(String(40), unique=True)
    corp_id: Mapped[int] = mapped_column(BigKey)
    state: Mapped[str] = mapped_column(String(16))
    asked: Mapped[dict[str, Any]] = mapped_column(JSON)  # the request as it came
    scope: Mapped[dict[str, Any]] = mapped_column(JSON)  # what the requester may see
    preview: Mapped[dict[str, Any]] = mapped_column(JSON)  # counts
    requested_by: Mapped[str] = mapped_column(String(64))
    requested_by_name: Mapped[str] = mapped_column(String(128))
    requested_at: Mapped[datetime] = mapped_column(UtcDateTime)
    decided_by: Mapped[str | None] = mapped_column(String(64))
    decided_by_name: Mapped[str | None] = mapped_column(String(128))
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    decision_note: Mapped[str] = mapped_column(Text)
    pinned: Mapped[dict[str, Any] | None] = mapped_column(
        JSON
    )  # log heads and names at the approval
    run: Mapped[int] = mapped_column(Integer)
    done: Mapped[int] = mapped_column(BigKey)
    total: Mapped[int] = mapped_column(BigKey)
    failure: Mapped[str | None] = mapped_column(Text)
    digest: Mapped[str | None] = mapped_column(String(64))
    size: Mapped[int | None] = mapped_column(BigKey)
    built_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
