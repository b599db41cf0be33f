"""Finding messages. The search is audited before it runs, its scope is inside the query."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel
from sqlalchemy import Connection

from app.access import Action, Caller, Event, Scope, record
from app.access.api import Gate
from app.archive.api import MessageOut, shown
from app.archive.models import record_id
from app.archive.store import read_many, recalled_by
from app.foundation.database import Database
from app.search import query as language
from app.search import tokens
from app.search.asked import AskedPage as Asked
from app.search.asked import read
from app.search.domain import Page, Row
from app.search.embedded import EmbeddedIndex


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
    """One page of messages; `next` asks for the following one."""

    items: list[FoundMessage]
    total: Total
    next: str | None
    took_ms: float


FindingsOf = Callable[[Connection, Sequence[int]], dict[int, list[FindingOut]]]


def find(
    db: Database, index: EmbeddedIndex, findings_of: FindingsOf, asked: Asked, scope: Scope
) -> MessagePage:
    """Run a search; raises `BadQuery`, `BadCursor`, `NothingAsked`, `Unavailable`."""
    began = time.perf_counter()
    with db.read() as connection:
        search = read(connection, asked, scope)
    filters = replace(search.filters, order=asked.order)
    page = index.search(search.tree, filters, asked.limit, asked.cursor, asked.count)
    phrases = language.phrases(search.words) if search.words else ()
    with db.read() as connection:
        items = _items(connection, page, list(phrases), scope, findings_of)
    return MessagePage(
        items=items,
        total=Total(value=page.total, relation=page.relation),
        next=page.next,
        took_ms=round((time.perf_counter() - began) * 1000, 3),
    )


def routes(db: Database, index: EmbeddedIndex, findings_of: FindingsOf, gate: Gate) -> APIRouter:
    """Routes of the search room."""
    router = APIRouter(tags=["检索"])

    @router.get("/messages", summary="检索消息")
    def search_messages(
        caller: Annotated[Caller, gate.needs(Action.SEARCH)],
        asked: Annotated[Asked, Query()],
    ) -> MessagePage:
        words = asked.model_dump(mode="json", exclude_defaults=True)
        with db.write() as connection:
            record(connection, Event.MESSAGE_SEARCH, caller, asked=words)
        return find(db, index, findings_of, asked, caller.scope)

    return router


def _items(
    connection: Connection,
    page: Page,
    phrases: list[str],
    scope: Scope,
    findings_of: FindingsOf,
) -> list[FoundMessage]:
    """The messages of the page's rows in their order, read within the scope once more."""
    places = [_place(row) for row in page.rows]
    messages = {(each.corp_id, each.seq): each for each in read_many(connection, places, scope)}
    recalls = recalled_by(connection, list(messages.values()))
    findings = findings_of(connection, [record_id(*place) for place in places])
    return [
        FoundMessage(
            **shown(messages[place], recalls),
            highlights=tokens.spans(messages[place].text, phrases),
            findings=findings.get(record_id(*place), []),
        )
        for place in places
        if place in messages
    ]


def _place(row: Row) -> tuple[int, int]:
    return row.corp_id, row.seq


__all__ = ["Asked", "FindingOut", "FindingsOf", "MessagePage", "find", "routes"]
