"""Rows of advice. All of them are only ever added."""

from datetime import datetime

from sqlalchemy import Boolean, ForeignKey, Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.foundation.database import Base, BigKey, UtcDateTime

APPEND_ONLY = ("checks", "check_decisions", "check_matches", "check_policies")


class CheckRow(Base):
    """A check before sending. `findings` are as they were answered, as JSON; `digest` is salted."""

    __tablename__ = "checks"
    __table_args__ = (Index("ix_checks_corp_id_sender_at", "corp_id", "sender", "at"),)
    number: Mapped[int] = mapped_column(BigKey, primary_key=True)
    id: Mapped[str] = mapped_column(String(40), unique=True)
    corp_id: Mapped[int] = mapped_column(ForeignKey("corps.id"))
    sender: Mapped[str] = mapped_column(String(256))
    conversation_id: Mapped[int | None] = mapped_column(BigKey)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    outcome: Mapped[str] = mapped_column(String(16))
    lexicon_version: Mapped[str] = mapped_column(String(64))
    salt: Mapped[bytes] = mapped_column(LargeBinary(16))
    digest: Mapped[bytes] = mapped_column(LargeBinary(32))
    text: Mapped[str | None] = mapped_column(Text)
    findings: Mapped[str] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(String(64))


class CheckDecision(Base):
    """What the sender did with a warning; `digest` is of the text he sent in the end, with the check's salt."""

    __tablename__ = "check_decisions"
    check_number: Mapped[int] = mapped_column(ForeignKey("checks.number"), primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    decision: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(Text)
    digest: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    text: Mapped[str | None] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(String(64))


class CheckMatch(Base):
    """The archived message that a warned text became."""

    __tablename__ = "check_matches"
    check_number: Mapped[int] = mapped_column(ForeignKey("checks.number"), primary_key=True)
    record_id: Mapped[int] = mapped_column(BigKey, index=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)


class CheckPolicy(Base):
    """What findings lead to in a department and below, None is everywhere; the newest of a department holds."""

    __tablename__ = "check_policies"
    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    department_id: Mapped[int | None] = mapped_column(ForeignKey("departments.id"))
    red: Mapped[str] = mapped_column(String(16))
    orange: Mapped[str] = mapped_column(String(16))
    yellow: Mapped[str] = mapped_column(String(16))
    keep_text: Mapped[bool] = mapped_column(Boolean)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    actor: Mapped[str] = mapped_column(String(64))
    actor_name: Mapped[str] = mapped_column(Text)
