"""Rows of oversight. The history only grows."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.foundation.database import Base, BigKey, UtcDateTime

APPEND_ONLY = (
    "alert_steps",
    "alert_records",
    "oversight_rules",
    "lead_records",
    "lead_steps",
    "deliveries",
)


class Alert(Base):
    """A breach that somebody must look at: violating messages of one adviser in one stretch of conversation.

    `record_id` is the first of them, `adviser` the userid or empty where nobody of the firm spoke alone;
    `department_id` is where he belonged then. `found_severity` is what the rules said, `severity` what it is now.
    """

    __tablename__ = "alerts"
    __table_args__ = (
        Index("ix_alerts_state_number", "state", "number"),
        Index("ix_alerts_state_due_at", "state", "due_at"),
        Index("ix_alerts_conversation_id_number", "conversation_id", "number"),
        Index("ix_alerts_corp_id_adviser_number", "corp_id", "adviser", "number"),
    )
    number: Mapped[int] = mapped_column(BigKey, primary_key=True)
    id: Mapped[str] = mapped_column(String(40), unique=True)
    record_id: Mapped[int] = mapped_column(ForeignKey("records.id"), unique=True)
    last_record_id: Mapped[int] = mapped_column(BigKey)
    corp_id: Mapped[int] = mapped_column(BigKey)
    conversation_id: Mapped[int] = mapped_column(BigKey)
    adviser: Mapped[str] = mapped_column(String(256))
    department_id: Mapped[int | None] = mapped_column(BigKey)
    severity: Mapped[str] = mapped_column(String(16))
    found_severity: Mapped[str] = mapped_column(String(16))
    category: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16))
    level: Mapped[int] = mapped_column(Integer)
    owner: Mapped[str | None] = mapped_column(String(64))
    owner_name: Mapped[str | None] = mapped_column(Text)
    proposed_by: Mapped[str | None] = mapped_column(String(64))
    disposition: Mapped[str | None] = mapped_column(String(32))
    messages: Mapped[int] = mapped_column(Integer)
    last_at: Mapped[datetime] = mapped_column(UtcDateTime)
    raised_at: Mapped[datetime] = mapped_column(UtcDateTime)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    claimed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    resolved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    remind_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class AlertRecord(Base):
    """A message of an alert, and the step by which it came to it."""

    __tablename__ = "alert_records"
    record_id: Mapped[int] = mapped_column(
        ForeignKey("records.id"), primary_key=True, autoincrement=False
    )
    alert_number: Mapped[int] = mapped_column(ForeignKey("alerts.number"), index=True)
    step_id: Mapped[int] = mapped_column(ForeignKey("alert_steps.id"), index=True)


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


class RulesRow(Base):
    """A version of the rules for telling and for deadlines; the newest holds."""

    __tablename__ = "oversight_rules"
    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    document: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    actor: Mapped[str] = mapped_column(String(64))
    actor_name: Mapped[str] = mapped_column(Text)


class Lead(Base):
    """What a client asked or complained of in one stretch of conversation; `record_id` is the first of it."""

    __tablename__ = "leads"
    __table_args__ = (
        Index("ix_leads_state_due_at", "state", "due_at"),
        Index("ix_leads_conversation_id_number", "conversation_id", "number"),
    )
    number: Mapped[int] = mapped_column(BigKey, primary_key=True)
    id: Mapped[str] = mapped_column(String(40), unique=True)
    record_id: Mapped[int] = mapped_column(ForeignKey("records.id"), unique=True)
    last_record_id: Mapped[int] = mapped_column(BigKey)
    corp_id: Mapped[int] = mapped_column(BigKey)
    conversation_id: Mapped[int] = mapped_column(BigKey)
    client: Mapped[str] = mapped_column(String(256))
    category: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16))
    owner: Mapped[str | None] = mapped_column(String(64))
    owner_name: Mapped[str | None] = mapped_column(Text)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    messages: Mapped[int] = mapped_column(Integer)
    last_at: Mapped[datetime] = mapped_column(UtcDateTime)
    raised_at: Mapped[datetime] = mapped_column(UtcDateTime)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class LeadRecord(Base):
    """A message of a lead."""

    __tablename__ = "lead_records"
    record_id: Mapped[int] = mapped_column(
        ForeignKey("records.id"), primary_key=True, autoincrement=False
    )
    lead_number: Mapped[int] = mapped_column(ForeignKey("leads.number"), index=True)


class LeadStepRow(Base):
    """One entry of a lead's history."""

    __tablename__ = "lead_steps"
    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    lead_number: Mapped[int] = mapped_column(ForeignKey("leads.number"), index=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    step: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16))
    actor: Mapped[str] = mapped_column(String(64))
    actor_name: Mapped[str] = mapped_column(Text)
    note: Mapped[str] = mapped_column(Text)


class Absence(Base):
    """A user is away from `since` up to `until`; what she would be told goes to `stand_in`, if there is one."""

    __tablename__ = "absences"
    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    user_id: Mapped[str] = mapped_column(String(64), index=True)
    stand_in: Mapped[str | None] = mapped_column(String(64))
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    until: Mapped[datetime] = mapped_column(UtcDateTime)
    actor: Mapped[str] = mapped_column(String(64))
    cancelled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Contact(Base):
    """Where a user is reached on a channel."""

    __tablename__ = "contacts"
    user_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    channel: Mapped[str] = mapped_column(String(16), primary_key=True)
    address: Mapped[str] = mapped_column(String(256))


class Notice(Base):
    """Somebody is to be told of an alert on a channel; `user_id` is empty where a channel has one receiver for all."""

    __tablename__ = "notices"
    __table_args__ = (
        Index(
            "uq_notices_alert_number", "alert_number", "user_id", "channel", "occasion", unique=True
        ),
        Index("ix_notices_user_id", "user_id", "channel", "state", "not_before"),
        Index("ix_notices_state_id", "state", "id"),
    )
    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    alert_number: Mapped[int] = mapped_column(ForeignKey("alerts.number"))
    user_id: Mapped[str] = mapped_column(String(64))
    user_name: Mapped[str] = mapped_column(Text)
    channel: Mapped[str] = mapped_column(String(16))
    occasion: Mapped[str] = mapped_column(String(32))
    state: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int] = mapped_column(Integer)
    failure: Mapped[str] = mapped_column(Text)
    not_before: Mapped[datetime] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    delivery_id: Mapped[int | None] = mapped_column(BigKey)


class Delivery(Base):
    """One message sent, or tried to be sent, to one receiver on one channel."""

    __tablename__ = "deliveries"
    __table_args__ = (Index("ix_deliveries_user_id", "user_id", "channel", "id"),)
    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    user_id: Mapped[str] = mapped_column(String(64))
    channel: Mapped[str] = mapped_column(String(16))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    notices: Mapped[int] = mapped_column(Integer)
    failure: Mapped[str] = mapped_column(Text)
