"""What search answers, as JSON shows it."""

from typing import Literal

from pydantic import BaseModel

from app.archive.api import MessageOut


class FindingOut(BaseModel):
    """Why a message is marked; `start` and `end` are offsets in the text of the message it points into."""

    category: str
    outcome: str
    severity: str
    start: int
    end: int
    phrase: str
    canonical: str
    evasion: str | None
    rule: str
    lexicon_version: str
    explanation: str
    basis: str
    suggestion: str


class FoundMessage(MessageOut):
    """A message found, with offsets `[start, end)` of the words searched for."""

    highlights: list[tuple[int, int]]
    findings: list[FindingOut]


class Total(BaseModel):
    """How many messages match; `gte` means at least so many."""

    value: int
    relation: Literal["eq", "gte"]


class MessagePage(BaseModel):
    """One page of messages; `next` asks for the following one, `behind` is how many records are not indexed yet.

    A literal search looks at a limited number of candidates for one page: with `next` given, even a short or empty
    page is not the end.
    """

    items: list[FoundMessage]
    total: Total
    next: str | None
    behind: int
    took_ms: float


class Counted(BaseModel):
    """So many of the messages found carry this; `name` is what people call it, empty when unknown."""

    id: str
    name: str
    count: int


class FacetsOut(BaseModel):
    """What a search finds, counted; over the newest `counted` messages when `relation` is `gte`."""

    advisers: list[Counted]
    departments: list[Counted]
    categories: list[Counted]
    months: list[Counted]
    counted: int
    relation: Literal["eq", "gte"]
    behind: int
    took_ms: float


class Thread(BaseModel):
    """Messages around a moment, oldest first; `earlier` and `later` ask for what comes before and after."""

    items: list[FoundMessage]
    earlier: str | None
    later: str | None
    behind: int
