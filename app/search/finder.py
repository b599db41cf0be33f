"""Running searches: the engine finds within the scope, the archive is read within it once more.

What engines cannot do alone stands here once for all of them: literal searches, whose candidates are checked
against the texts; the order by relevance, over the newest `RANKED`; threads, read in both directions from a moment.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from typing import TypeAlias

from sqlalchemy import Connection

from app.access import Scope
from app.archive.api import shown
from app.archive.models import record_id
from app.archive.store import Message, read_many, read_one, recalled_by, tails
from app.foundation import paging
from app.foundation.clock import to_ms
from app.foundation.database import Database
from app.foundation.errors import BadInput
from app.people import corp_codes, department_names, names
from app.search import cursors, ranking, tokens
from app.search import query as language
from app.search.asked import Asked, AskedPage, Search, filters_of, read
from app.search.domain import Facets, Page, Relation, Row, sent_ms
from app.search.filters import Filters, Order
from app.search.ports import SearchEngine
from app.search.shapes import (
    Counted,
    FacetsOut,
    FindingOut,
    FoundMessage,
    MessagePage,
    Thread,
    Total,
)

RANKED = 1_000  # the newest messages that the order by relevance is about
LOOKED = 500  # candidates of a literal search read at once
MOST_LOOKED = 5_000  # for one page; with an exact total all of them, within the time of a search

FindingsOf: TypeAlias = Callable[[Connection, Sequence[int]], dict[int, list[FindingOut]]]


class NotLiteral(BadInput):
    """Engines know folded texts only, so that there is nothing to count for a literal search."""

    code = "not_literal"
    title = "原样检索不提供分类计数，请关闭原样后再试"


class NoThread(BadInput):
    """A thread is of one client, or of one conversation."""

    code = "no_thread"
    title = "请给出一个客户（client）或一个会话（conversation）"


@dataclass(frozen=True, slots=True)
class Finder:
    """Everything that is asked of messages; `timeout` seconds bound what goes on outside the engine too."""

    db: Database
    index: SearchEngine
    findings_of: FindingsOf
    timeout: float

    def page(self, asked: AskedPage, scope: Scope) -> MessagePage:
        """Run a search; raises `BadQuery`, `BadCursor`, `NothingAsked`, `Unavailable`."""
        began = time.perf_counter()
        with self.db.read() as connection:
            search = read(connection, asked, scope)
        if asked.order == "relevance":
            page = self._ranked(search, asked, scope)
        else:
            page = self._in_time(search, asked, asked.order, scope)
        with self.db.read() as connection:
            items = self._items(connection, page.rows, search, scope)
            behind = self._behind(connection)
        return MessagePage(
            items=items,
            total=Total(value=page.total, relation=page.relation),
            next=page.next,
            behind=behind,
            took_ms=_since(began),
        )

    def total(self, asked: Asked, scope: Scope) -> int:
        """How many messages there are, exactly; of a literal search as many as there was time for."""
        with self.db.read() as connection:
            search = read(connection, asked, scope)
        wanted = AskedPage(**asked.model_dump(), limit=1, count="exact")
        return self._in_time(search, wanted, "newest", scope).total

    def facets(self, asked: Asked, scope: Scope, zone: tzinfo) -> FacetsOut:
        """What a search finds, counted; raises `NotLiteral` besides what `page` raises."""
        began = time.perf_counter()
        if asked.literal:
            raise NotLiteral
        with self.db.read() as connection:
            search = read(connection, asked, scope)
        found = self.index.facets(search.tree, search.filters, zone)
        with self.db.read() as connection:
            behind = self._behind(connection)
            return _facets_out(connection, found, behind, _since(began))

    def thread(
        self,
        asked: Asked,
        scope: Scope,
        *,
        at: datetime | None,
        around: str | None,
        before: int,
        after: int,
        earlier: str | None = None,
        later: str | None = None,
    ) -> Thread:
        """The messages of a client or a conversation around a moment, or a message; raises `NoThread`.

        Without either the newest. With `earlier` or `later` only what is on that side of an answer given before.
        """
        if not asked.client and asked.conversation is None:
            raise NoThread
        with self.db.read() as connection:
            moment = _moment(connection, at, around, scope)
            filters = filters_of(connection, asked, scope)
        nothing = Page((), 0, "eq", None)
        older, newer = nothing, nothing
        if later is None and before:
            past = replace(filters, until=moment, order="newest")
            older = self.index.search(None, past, before, earlier)
        if earlier is None and after and moment is not None:
            coming = replace(filters, since=moment, order="oldest")
            newer = self.index.search(None, coming, after, later)
        search = Search(None, None, filters, literal=False)
        with self.db.read() as connection:
            items = self._items(connection, [*reversed(older.rows), *newer.rows], search, scope)
            return Thread(
                items=items, earlier=older.next, later=newer.next, behind=self._behind(connection)
            )

    def _in_time(self, search: Search, asked: AskedPage, order: Order, scope: Scope) -> Page:
        filters = replace(search.filters, order=order)
        if search.literal and search.words is not None:
            return self._literal(search, filters, asked, scope)
        return self.index.search(search.tree, filters, asked.limit, asked.cursor, asked.count)

    def _literal(self, search: Search, filters: Filters, asked: AskedPage, scope: Scope) -> Page:
        """Look at the candidates in order until the page is full, and further for an exact total."""
        deadline = time.monotonic() + self.timeout
        found: list[Row] = []
        cursor, looked, last = asked.cursor, 0, None
        while True:
            page = self.index.search(search.tree, filters, LOOKED, cursor)
            found += self._said(page.rows, search, scope)
            cursor, looked = page.next, looked + len(page.rows)
            last = page.rows[-1] if page.rows else last
            is_full = len(found) > asked.limit and asked.count == "capped"
            is_long = looked >= MOST_LOOKED and asked.count == "capped"
            if cursor is None or is_full or is_long or time.monotonic() > deadline:
                break
        relation: Relation = "eq" if cursor is None and asked.cursor is None else "gte"
        rest = found[asked.limit - 1] if len(found) > asked.limit else last if cursor else None
        more = None if rest is None else self.index.mark_after(search.tree, filters, rest)
        return Page(tuple(found[: asked.limit]), len(found), relation, more)

    def _said(self, rows: Sequence[Row], search: Search, scope: Scope) -> list[Row]:
        """The rows whose texts say literally what was asked for."""
        spoken = language.spoken(search.words) if search.words else None
        with self.db.read() as connection:
            texts = {_place(each): each.text for each in _read(connection, rows, scope)}
        return [
            row
            for row in rows
            if _place(row) in texts
            and (spoken is None or language.matches(spoken, texts[_place(row)]))
        ]

    def _ranked(self, search: Search, asked: AskedPage, scope: Scope) -> Page:
        """A page of the newest messages by relevance; the mark holds the moment after them all and the place."""
        filters = replace(search.filters, order="newest")
        mark = cursors.fingerprint(search.tree, filters)
        until, place = (None, 0) if asked.cursor is None else _ranked_place(asked.cursor, mark)
        window = filters if until is None else replace(filters, until=until)
        page = self.index.search(search.tree, window, RANKED, None, asked.count)
        rows = self._said(page.rows, search, scope) if search.literal else list(page.rows)
        ordered = self._by_score(rows, search, scope)
        shown_rows = tuple(ordered[place : place + asked.limit])
        more = None
        if page.rows and place + asked.limit < len(ordered):
            edge = sent_ms(page.rows[0].rid) + 1 if until is None else until
            more = paging.encode([edge, place + asked.limit], of=mark.hex())
        if search.literal:
            return Page(shown_rows, len(rows), "gte" if page.next else "eq", more)
        return Page(shown_rows, page.total, page.relation, more)

    def _by_score(self, rows: Sequence[Row], search: Search, scope: Scope) -> list[Row]:
        phrases = language.phrases(search.words) if search.words else ()
        with self.db.read() as connection:
            texts = {_place(each): each.text for each in _read(connection, rows, scope)}
            findings = self.findings_of(connection, [record_id(*_place(row)) for row in rows])

        def score(row: Row) -> tuple[float, int]:
            text = texts.get(_place(row), "")
            severities = [each.severity for each in findings.get(record_id(*_place(row)), ())]
            form = text if search.literal else tokens.norm(text)
            return ranking.score(form, phrases, severities), row.rid

        return sorted(rows, key=score, reverse=True)

    def _items(
        self, connection: Connection, rows: Sequence[Row], search: Search, scope: Scope
    ) -> list[FoundMessage]:
        """The messages of the rows in their order, read within the scope once more."""
        phrases = language.phrases(search.words) if search.words else ()
        mark = tokens.literal_spans if search.literal else tokens.spans
        messages = {_place(each): each for each in _read(connection, rows, scope)}
        recalls = recalled_by(connection, list(messages.values()))
        findings = self.findings_of(connection, [record_id(*place) for place in messages])
        return [
            FoundMessage(
                **shown(messages[place], recalls),
                highlights=mark(messages[place].text, phrases),
                findings=findings.get(record_id(*place), []),
            )
            for place in map(_place, rows)
            if place in messages
        ]

    def _behind(self, connection: Connection) -> int:
        """How many records are not in the index yet."""
        ends = tails(connection)
        return sum(max(0, end - self.index.position(corp_id)) for corp_id, end in ends.items())


def _moment(
    connection: Connection, at: datetime | None, around: str | None, scope: Scope
) -> int | None:
    if around is not None:
        return to_ms(read_one(connection, around, scope).sent_at)
    return None if at is None else to_ms(at)


def _ranked_place(cursor: str, mark: bytes) -> tuple[int, int]:
    position = paging.decode(cursor, of=mark.hex())
    if not (isinstance(position, list) and [type(each) for each in position] == [int, int]):
        raise paging.BadCursor("请从第一页重新开始")
    until, place = position
    if not (abs(until) < paging.LARGEST and 0 <= place <= RANKED):
        raise paging.BadCursor("请从第一页重新开始")
    return until, place


def _read(connection: Connection, rows: Iterable[Row], scope: Scope) -> list[Message]:
    return read_many(connection, [_place(row) for row in rows], scope)


def _place(row: Row | Message) -> tuple[int, int]:
    return row.corp_id, row.seq


def _since(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 3)


def _facets_out(connection: Connection, found: Facets, behind: int, took_ms: float) -> FacetsOut:
    staff: dict[str, str] = {}
    for corp_id in corp_codes(connection):
        wanted = [("employee", name) for name in found.advisers]
        staff |= {key[1]: name for key, name in names(connection, corp_id, wanted).items()}
    places = department_names(connection, found.departments)
    return FacetsOut(
        advisers=[
            Counted(id=each, name=staff.get(each, ""), count=number)
            for each, number in found.advisers.items()
        ],
        departments=[
            Counted(id=str(each), name=places.get(each, ""), count=number)
            for each, number in found.departments.items()
        ],
        categories=_plain(found.categories),
        months=_plain(found.months),
        counted=found.counted,
        relation=found.relation,
        behind=behind,
        took_ms=took_ms,
    )


def _plain(counts: Mapping[str, int]) -> list[Counted]:
    return [Counted(id=each, name="", count=number) for each, number in counts.items()]
