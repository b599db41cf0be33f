"""Rows of screening: what was found, by which version of the word lists. Findings are only ever added."""

from datetime import datetime

from sqlalchemy import Float, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.foundation.database import Base, BigKey, UtcDateTime

APPEND_ONLY = ("findings",)


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
