"""Rows of the archive. `records` and `audiences` only ever grow; the database itself refuses anything else."""

from datetime import datetime

from sqlalchemy import (
    Boolean,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.foundation.database import Base, BigKey, UtcDateTime

APPEND_ONLY = ("records", "audiences", "audience_parties")
SEQ_BITS = 40  # a record's id is its corp and its number in the corp's log: corp_id << 40 | seq


def record_id(corp_id: int, seq: int) -> int:
    """Where a number of a corp's log stands in the table."""
    return corp_id << SEQ_BITS | seq


def position_of(number: int) -> tuple[int, int]:
    """The corp and the number in its log that a record id stands for."""
    return number >> SEQ_BITS, number & ((1 << SEQ_BITS) - 1)


class Conversation(Base):
    """A room, or the parties of a single chat; `tag` names it in leaves without giving it away."""

    __tablename__ = "conversations"
    __table_args__ = (Index("uq_conversations_corp_id_tag", "corp_id", "tag", unique=True),)
    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    corp_id: Mapped[int] = mapped_column(ForeignKey("corps.id"))
    tag: Mapped[bytes] = mapped_column(LargeBinary(16))
    kind: Mapped[str] = mapped_column(String(16))
    external_id: Mapped[str | None] = mapped_column(String(256))
    name: Mapped[str | None] = mapped_column(Text)


class Audience(Base):
    """A set of people a message was between, sender included. Sets repeat; each is kept once."""

    __tablename__ = "audiences"
    __table_args__ = (Index("uq_audiences_corp_id_tag", "corp_id", "tag", unique=True),)
    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    corp_id: Mapped[int] = mapped_column(ForeignKey("corps.id"))
    tag: Mapped[bytes] = mapped_column(LargeBinary(16))


class AudienceParty(Base):
    """One member of an audience."""

    __tablename__ = "audience_parties"
    __table_args__ = (Index("ix_audience_parties_party_id", "party_id"),)
    audience_id: Mapped[int] = mapped_column(ForeignKey("audiences.id"), primary_key=True)
    party_type: Mapped[str] = mapped_column(String(16), primary_key=True)
    party_id: Mapped[str] = mapped_column(String(256), primary_key=True)


class Record(Base):
    """One entry of a corp's log. `sealed` holds the salts' seed and the exact raw bytes, encrypted."""

    __tablename__ = "records"
    __table_args__ = (
        Index(
            "uq_records_corp_id_source_source_msg_id",
            "corp_id",
            "source",
            "source_msg_id",
            unique=True,
        ),
        Index("uq_records_conversation_id_counter", "conversation_id", "counter", unique=True),
        Index("ix_records_audience_id", "audience_id", "id"),
        Index(
            "ix_records_recalls",
            "corp_id",
            "recalls",
            sqlite_where=text("recalls IS NOT NULL"),
            postgresql_where=text("recalls IS NOT NULL"),
        ),
    )
    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    corp_id: Mapped[int] = mapped_column(BigKey)
    source: Mapped[str] = mapped_column(String(256))
    source_msg_id: Mapped[str] = mapped_column(String(256))
    source_seq: Mapped[int | None] = mapped_column(BigKey)
    sent_at: Mapped[datetime] = mapped_column(UtcDateTime)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    conversation_id: Mapped[int] = mapped_column(BigKey)
    counter: Mapped[int] = mapped_column(BigKey)
    audience_id: Mapped[int] = mapped_column(BigKey)
    sender: Mapped[str] = mapped_column(Text)
    recipients: Mapped[str] = mapped_column(Text)
    direction: Mapped[str] = mapped_column(String(16))
    kind: Mapped[str] = mapped_column(String(64))
    action: Mapped[str] = mapped_column(String(16))
    recalls: Mapped[str | None] = mapped_column(String(256))
    text: Mapped[str] = mapped_column(Text)
    has_media: Mapped[bool] = mapped_column(Boolean)
    suite: Mapped[int] = mapped_column(Integer)
    bucket_id: Mapped[int] = mapped_column(BigKey)
    wrapped_key: Mapped[bytes] = mapped_column(LargeBinary)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32))
    leaf: Mapped[bytes] = mapped_column(LargeBinary)


RECORD_TYPES = {
    "id": "int8",
    "corp_id": "int8",
    "source": "text",
    "source_msg_id": "text",
    "source_seq": "int8",
    "sent_at": "int8",
    "received_at": "int8",
    "conversation_id": "int8",
    "counter": "int8",
    "audience_id": "int8",
    "sender": "text",
    "recipients": "text",
    "direction": "text",
    "kind": "text",
    "action": "text",
    "recalls": "text",
    "text": "text",
    "has_media": "bool",
    "suite": "int4",
    "bucket_id": "int8",
    "wrapped_key": "bytea",
    "sealed": "bytea",
    "digest": "bytea",
    "leaf": "bytea",
}


CONVERSATION_TYPES = {
    "id": "int8",
    "corp_id": "int8",
    "tag": "bytea",
    "kind": "text",
    "external_id": "text",
    "name": "text",
}
AUDIENCE_TYPES = {"id": "int8", "corp_id": "int8", "tag": "bytea"}
PARTY_TYPES = {"audience_id": "int8", "party_type": "text", "party_id": "text"}


class QuarantineItem(Base):
    """Input that could not be understood, kept with its exact bytes until somebody deals with it."""

    __tablename__ = "quarantine_items"
    __table_args__ = (
        Index("ix_quarantine_items_state_id", "state", "id"),
        Index("uq_quarantine_items_fingerprint", "fingerprint", unique=True),
    )
    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    door: Mapped[str] = mapped_column(String(16))
    corp: Mapped[str | None] = mapped_column(String(256))
    reason: Mapped[str] = mapped_column(String(64))
    detail: Mapped[str] = mapped_column(Text)
    size: Mapped[int] = mapped_column(BigKey)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary(32))
    bucket_id: Mapped[int] = mapped_column(BigKey)
    wrapped_key: Mapped[bytes] = mapped_column(LargeBinary)
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    blob: Mapped[str | None] = mapped_column(String(64))
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    state: Mapped[str] = mapped_column(String(16))
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
