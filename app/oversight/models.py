"""Rows of oversight. The history only grows."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.foundation.database import Base, BigKey, UtcDateTime

APPEND_ONLY = ("alert_steps",)


class Alert(Base):
    """A violating message that somebody must look at."""

    __tablename__ = "alerts"
    __table_args__ = (Index("ix_alerts_state_number", "state", "number"),)
    number: Mapped[int] = mapped_column(BigKey, primary_key=True)
    id: Mapped[str] = mapped_column(String(40), unique=True)
    record_id: Mapped[int] = mapped_column(ForeignKey("records.id"), unique=True)
    severity: Mapped[str] = mapped_column(String(16))
    category: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16))
    owner: Mapped[str | None] = mapped_column(String(64))
    owner_name: Mapped[str | None] = mapped_column(Text)
    disposition: Mapped[str | None] = mapped_column(String(32))
    raised_at: Mapped[datetime] = mapped_column(UtcDateTime)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class AlertStep(Base):
    """One entry of an alert's history."""

    __tablename__ = "alert_steps"
    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    alert_number: Mapped[int] = mapped_column(ForeignKey("alerts.number"), index=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    step: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16))
    actor: Mapped[str] = mapped_column(String(64))
    actor_name: Mapped[str] = mapped_column(Text)
    disposition: Mapped[str | None] = mapped_column(String(32))
    note: Mapped[str] = mapped_column(Text)
