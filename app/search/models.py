"""Rows of search: what somebody looks for again and again."""

from datetime import datetime

from sqlalchemy import Boolean, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.foundation.database import Base, BigKey, UtcDateTime


class SavedSearch(Base):
    """A search with an owner; `shared` lets others run it, each within her own scope.

    With `alert_at` the owner is told once `total` has grown by so much beyond `baseline`, what she has seen.
    """

    __tablename__ = "saved_searches"
    number: Mapped[int] = mapped_column(BigKey, primary_key=True)
    id: Mapped[str] = mapped_column(String(40), unique=True)
    owner: Mapped[str] = mapped_column(String(64), index=True)
    owner_name: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(String(200))
    asked: Mapped[str] = mapped_column(Text)  # JSON of `asked.Asked`
    shared: Mapped[bool] = mapped_column(Boolean)
    alert_at: Mapped[int | None] = mapped_column(Integer)
    baseline: Mapped[int | None] = mapped_column(BigKey)  # None until first counted
    total: Mapped[int | None] = mapped_column(BigKey)
    checked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    reached_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)
