"""Rows of screening: what was found, and the versions of the word lists that found it.

Findings and the history of versions are only ever added; of a version itself only its state changes, never its files.
"""

from datetime import datetime

from sqlalchemy import Float, ForeignKey, Index, Integer, LargeBinary, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from app.foundation.database import Base, BigKey, UtcDateTime

APPEND_ONLY = ("findings", "lexicon_steps")


class FindingRow(Base):
    """A finding at the last message that carries it; `earlier` lists the records before it, as JSON."""

    __tablename__ = "findings"
    __table_args__ = (
        Index(
            "uq_findings_record_id_rule",
            "record_id",
            "rule",
            "category",
            "start",
            "lexicon_version",
            unique=True,
        ),
        Index("ix_findings_category_record_id", "category", "record_id"),
    )
    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    record_id: Mapped[int] = mapped_column(BigKey)
    earlier: Mapped[str] = mapped_column(Text)
    spoken_id: Mapped[int] = mapped_column(BigKey)
    category: Mapped[str] = mapped_column(String(64))
    outcome: Mapped[str] = mapped_column(String(16))
    severity: Mapped[str] = mapped_column(String(16))
    start: Mapped[int] = mapped_column(Integer)
    end: Mapped[int] = mapped_column(Integer)
    phrase: Mapped[str] = mapped_column(Text)
    canonical: Mapped[str] = mapped_column(Text)
    evasion: Mapped[str | None] = mapped_column(String(64))
    rule: Mapped[str] = mapped_column(String(128))
    lexicon_version: Mapped[str] = mapped_column(String(64))
    explanation: Mapped[str] = mapped_column(Text)
    basis: Mapped[str] = mapped_column(Text)
    suggestion: Mapped[str] = mapped_column(Text)
    confidence: Mapped[float] = mapped_column(Float)
    found_at: Mapped[datetime] = mapped_column(UtcDateTime)


class LexiconRow(Base):
    """A complete set of word lists. `files` is packed, `failures` the examples that do not hold, as JSON."""

    __tablename__ = "lexicons"
    __table_args__ = (
        Index(
            "uq_lexicons_released",
            "state",
            unique=True,
            sqlite_where=text("state = 'released'"),
            postgresql_where=text("state = 'released'"),
        ),
    )
    number: Mapped[int] = mapped_column(BigKey, primary_key=True)
    id: Mapped[str] = mapped_column(String(40), unique=True)
    version: Mapped[str] = mapped_column(String(64), unique=True)
    state: Mapped[str] = mapped_column(String(16))
    files: Mapped[bytes] = mapped_column(LargeBinary)
    note: Mapped[str] = mapped_column(Text)
    based_on: Mapped[str | None] = mapped_column(String(40))
    examples: Mapped[int] = mapped_column(Integer)
    failures: Mapped[str] = mapped_column(Text)
    created_by: Mapped[str] = mapped_column(String(64))
    created_by_name: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    approved_by: Mapped[str | None] = mapped_column(String(64))
    approved_by_name: Mapped[str | None] = mapped_column(Text)
    approved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    released_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    retired_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class LexiconStep(Base):
    """One entry of a version's history."""

    __tablename__ = "lexicon_steps"
    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    lexicon_number: Mapped[int] = mapped_column(ForeignKey("lexicons.number"), index=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    step: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16))
    actor: Mapped[str] = mapped_column(String(64))
    actor_name: Mapped[str] = mapped_column(Text)
    note: Mapped[str] = mapped_column(Text)


class Backtest(Base):
    """A candidate screened over archived messages beside the released version.

    `place` is the last record dealt with, `spans` the first and last number of each corp's log, as JSON.
    """

    __tablename__ = "lexicon_backtests"
    number: Mapped[int] = mapped_column(BigKey, primary_key=True)
    id: Mapped[str] = mapped_column(String(40), unique=True)
    lexicon_number: Mapped[int] = mapped_column(ForeignKey("lexicons.number"), index=True)
    base_number: Mapped[int] = mapped_column(ForeignKey("lexicons.number"))
    state: Mapped[str] = mapped_column(String(16))
    since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last: Mapped[int | None] = mapped_column(BigKey)
    spans: Mapped[str] = mapped_column(Text)
    place: Mapped[int] = mapped_column(BigKey)
    done: Mapped[int] = mapped_column(BigKey)
    total: Mapped[int] = mapped_column(BigKey)
    result: Mapped[str] = mapped_column(Text)
    run: Mapped[int] = mapped_column(Integer)
    started_by: Mapped[str] = mapped_column(String(64))
    started_by_name: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
