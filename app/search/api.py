"""Finding messages. The search is audited before it runs, its scope is inside the query."""

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel
from sqlalchemy import Connection

from app.access import Action, Caller, Event, Scope, record
from app.access.api import Gate
from app.archive.api import MessageOut, shown
from app.archive.domain import Direction
from app.archive.models import record_id
from app.archive.store import conversation_named, read_many, recalled_by
from app.foundation.clock import to_ms
from app.foundation.database import Database
from app.foundation.errors import BadInput
from app.people import departments_named, employee_key, subtree, visible_departments
from app.search import query as language
from app.search import tokens
from app.search.domain import Page, Row
from app.search.embedded import EmbeddedIndex
from app.search.filters import Filters, Visible

NOWHERE = -1  # a number that no row has: what is asked for does not exist


class NothingAsked(BadInput):
    """Neither words nor a filter."""

    code = "nothing_asked"
    title = "请输入检索词或至少一个筛选条件"


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


class Asked(BaseModel):
    """What one search asks for: the query parameters of `GET /messages` (contract, section 4)."""

    q: str = ""
    adviser: list[str] = []
    client: list[str] = []
    department: list[str] = []
    conversation: str | None = None
    direction: Direction | None = None
    kind: str | None = None
    category: list[str] = []
    severity: list[Literal["red", "orange", "yellow"]] = []
    state: list[str] = []
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    order: Literal["newest", "oldest"] = "newest"
    count: Literal["capped", "exact"] = "capped"
    limit: Annotated[int, Query(ge=1, le=200)] = 50
    cursor: str | None = None


def find(
    db: Database, index: EmbeddedIndex, findings_of: FindingsOf, asked: Asked, scope: Scope
) -> MessagePage:
    """Run a search; raises `BadQuery`, `BadCursor`, `NothingAsked`, `Unavailable`."""
    began = time.perf_counter()
    tree = language.parse(asked.q)
    with db.read() as connection:
        filters = _filters(connection, asked, scope)
    if tree is None and not filters.narrowing():
        raise NothingAsked
    page = index.search(tree, filters, asked.limit, asked.cursor, asked.count)
    phrases = language.phrases(tree) if tree else ()
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


def _filters(connection: Connection, asked: Asked, scope: Scope) -> Filters:
    return Filters(
        advisers=tuple(name.lower() for name in asked.adviser),
        clients=tuple(asked.client),
        departments=_departments(connection, asked.department),
        conversation=_conversation(connection, asked.conversation),
        direction=asked.direction,
        kind=asked.kind,
        since=_ms(asked.since),
        until=_ms(asked.until),
        categories=tuple(asked.category),
        severities=tuple(asked.severity),
        states=tuple(asked.state),
        order=asked.order,
        visible=_visible(connection, scope),
    )


def _departments(connection: Connection, names: Sequence[str]) -> tuple[int, ...]:
    """The departments meant, by number or code, with everything under them."""
    if not names:
        return ()
    found = subtree(connection, departments_named(connection, names))
    return tuple(sorted(found)) or (NOWHERE,)


def _conversation(connection: Connection, name: str | None) -> int | None:
    """The conversation meant, by our number or the room's own id."""
    if name is None:
        return None
    number = conversation_named(connection, name)
    return NOWHERE if number is None else number


def _visible(connection: Connection, scope: Scope) -> Visible | None:
    departments = visible_departments(connection, scope)
    if departments is None:
        return None
    own = None if scope.employee is None else employee_key(connection, scope.employee)
    return Visible(departments, own)


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else to_ms(moment)


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
