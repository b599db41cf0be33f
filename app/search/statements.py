# ruff: noqa: S608 - statements are put together from fixed pieces; every value is bound
"""The SQL of the embedded index: its layout, what is written, what is asked. No connection is opened here."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import apsw

from app.foundation.followers import CursorMoved
from app.search import fts, tokens
from app.search.domain import CAP, SLOTS, Count, Document, Note, Relation, Row, first_rid, rid_at
from app.search.filters import Filters

MESSAGES = "messages"  # the stream that the documents come from
VERSION = f"layout 1, {tokens.VERSION}"
FIRST, LAST = -(1 << 63), (1 << 63) - 1  # what SQLite can number

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (version TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS position (
  corp_id INTEGER NOT NULL, stream TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (corp_id, stream)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS doc (
  rid INTEGER PRIMARY KEY, corp_id INTEGER NOT NULL, seq INTEGER NOT NULL, UNIQUE (corp_id, seq)
);
CREATE TABLE IF NOT EXISTS hit (
  corp_id INTEGER NOT NULL, seq INTEGER NOT NULL,
  category TEXT NOT NULL, severity TEXT NOT NULL, state TEXT NOT NULL,
  rid INTEGER, -- NULL until the message itself has come
  PRIMARY KEY (corp_id, seq, category, severity, state)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS hit_in_time ON hit (rid, category, severity, state);
CREATE VIRTUAL TABLE IF NOT EXISTS ft USING fts5 (
  t, tags, content='', columnsize=0, detail=full, tokenize='ascii'
);
INSERT INTO meta SELECT ? WHERE NOT EXISTS (SELECT 1 FROM meta);
"""


class _Selection(NamedTuple):
    """A SELECT of the column `rid`, each once, without order or limit."""

    sql: str
    bindings: tuple[str | int, ...]


def version(connection: apsw.Connection) -> str | None:
    """By which rules the file was written; None if it is empty."""
    try:
        found: str | None = connection.execute("SELECT version FROM meta").get
    except apsw.SQLError:  # no such table
        return None
    return found


def position(connection: apsw.Connection, corp_id: int, stream: str) -> int:
    """Up to which number the stream has been dealt with; 0 before the first."""
    seq: int | None = connection.execute(
        "SELECT seq FROM position WHERE corp_id = ? AND stream = ?", (corp_id, stream)
    ).get
    return seq or 0


def move(connection: apsw.Connection, corp_id: int, stream: str, *, after: int, to: int) -> None:
    """Move a position in the transaction of what it stands for; raises `CursorMoved`."""
    if to < after:
        raise ValueError("a position only moves forward")
    if position(connection, corp_id, stream) != after:
        raise CursorMoved(follower="search")
    connection.execute(
        "INSERT INTO position VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET seq = excluded.seq",
        (corp_id, stream, to),
    )


def corps(connection: apsw.Connection) -> list[int]:
    """The corps that have documents."""
    sql = "SELECT corp_id FROM position WHERE stream = ?"
    return [corp_id for (corp_id,) in connection.execute(sql, (MESSAGES,))]


def add(connection: apsw.Connection, corp_id: int, documents: Sequence[Document]) -> None:
    """Store the documents, and give the notes that came before them their place in time."""
    taken: dict[int, Document] = {}
    for document in documents:
        taken[_free_rid(connection, taken, document)] = document
    placed = sorted(taken.items())  # FTS5 starts a new segment at every step back
    connection.executemany(
        "INSERT INTO doc VALUES (?, ?, ?)",
        [(rid, corp_id, document.seq) for rid, document in placed],
    )
    connection.executemany(
        "INSERT INTO ft (rowid, t, tags) VALUES (?, ?, ?)",
        [
            (rid, tokens.index_tokens(document.text), fts.tags_of(corp_id, document))
            for rid, document in placed
        ],
    )
    connection.executemany(
        "UPDATE hit SET rid = ? WHERE corp_id = ? AND seq = ?",
        [(rid, corp_id, document.seq) for rid, document in placed],
    )


def note(connection: apsw.Connection, corp_id: int, notes: Sequence[Note]) -> None:
    """Replace the findings of the messages that are named; of two notes on one message the last counts."""
    latest = {note.seq: frozenset(note.hits) for note in notes}
    connection.executemany(
        "DELETE FROM hit WHERE corp_id = ? AND seq = ?", [(corp_id, seq) for seq in latest]
    )
    connection.executemany(
        "INSERT INTO hit (corp_id, seq, category, severity, state, rid) VALUES"
        " (?1, ?2, ?3, ?4, ?5, (SELECT rid FROM doc WHERE corp_id = ?1 AND seq = ?2))",
        [(corp_id, seq, *hit) for seq, hits in latest.items() for hit in hits],
    )


def _free_rid(connection: apsw.Connection, taken: dict[int, Document], document: Document) -> int:
    for attempt in range(SLOTS):
        rid = rid_at(document.sent_at, document.seq, attempt)
        held = connection.execute("SELECT 1 FROM doc WHERE rid = ?", (rid,)).get
        if rid not in taken and held is None:
            return rid
    raise OverflowError("a millisecond is full")


def _bounds(filters: Filters) -> tuple[int, int]:
    """The smallest and the largest number within the time that is asked for."""
    lowest = FIRST if filters.since is None else first_rid(filters.since)
    highest = LAST if filters.until is None else first_rid(filters.until) - 1
    return lowest, max(FIRST, highest)


def _beyond(filters: Filters, last: int | None) -> tuple[int, int]:
    """The same, after the last message of the previous page."""
    lowest, highest = _bounds(filters)
    if last is None:
        return lowest, highest
    if filters.order == "newest":
        return lowest, min(highest, max(last, FIRST + 1) - 1)
    return max(lowest, min(last, LAST - 1) + 1), highest


def _selection(match: str | None, filters: Filters, bounds: tuple[int, int]) -> _Selection:
    wanted, values = _findings(filters)
    if match is None and filters.by_finding():
        sql = f"SELECT DISTINCT rid FROM hit WHERE rid BETWEEN ? AND ? AND {wanted}"
        return _Selection(sql, (*bounds, *values))
    if match is None:
        return _Selection("SELECT rid FROM doc WHERE rid BETWEEN ? AND ?", bounds)
    sql = "SELECT rowid AS rid FROM ft WHERE ft MATCH ? AND rowid BETWEEN ? AND ?"
    if filters.by_finding():
        found = f"SELECT rid FROM hit WHERE rid BETWEEN ? AND ? AND {wanted}"
        return _Selection(f"{sql} AND +rowid IN ({found})", (match, *bounds, *bounds, *values))
    return _Selection(sql, (match, *bounds))


def _findings(filters: Filters) -> tuple[str, tuple[str, ...]]:
    columns = (
        ("category", filters.categories),
        ("severity", filters.severities),
        ("state", filters.states),
    )
    asked = [(column, values) for column, values in columns if values]
    texts = [f"{column} IN ({', '.join('?' * len(values))})" for column, values in asked]
    return " AND ".join(texts), tuple(value for _, values in asked for value in values)


def rows(
    connection: apsw.Connection, match: str | None, filters: Filters, limit: int, last: int | None
) -> list[Row]:
    """The first messages in order, or those after `last`."""
    selection = _selection(match, filters, _beyond(filters, last))
    order = "DESC" if filters.order == "newest" else "ASC"
    sql = (
        f"WITH page AS MATERIALIZED ({selection.sql} ORDER BY rid {order} LIMIT ?)"
        f" SELECT corp_id, seq, rid FROM page JOIN doc USING (rid) ORDER BY rid {order}"
    )
    return [Row(*row) for row in connection.execute(sql, (*selection.bindings, limit))]


def total(
    connection: apsw.Connection, match: str | None, filters: Filters, count: Count
) -> tuple[int, Relation]:
    """How many there are on all pages together."""
    selection = _selection(match, filters, _bounds(filters))
    sql = f"SELECT count(*) FROM ({selection.sql} LIMIT ?)"
    enough = CAP + 1 if count == "capped" else -1
    total = connection.execute(sql, (*selection.bindings, enough)).get
    if count == "capped" and total > CAP:
        return CAP, "gte"
    return total, "eq"


def faults(connection: apsw.Connection) -> Iterator[str]:
    """What does not fit together, in words."""
    damage = connection.pragma("integrity_check")
    if damage != "ok":
        yield f"索引文件损坏：{damage}"
    try:
        connection.execute("INSERT INTO ft (ft) VALUES ('integrity-check')")
    except apsw.CorruptError:
        yield "全文索引损坏"
    documents = connection.execute("SELECT count(*) FROM doc").get
    indexed = connection.execute(
        "SELECT count(*) FROM ft WHERE ft MATCH ?", (fts.any_of(fts.CORP, corps(connection)),)
    ).get
    if documents != indexed:
        yield f"登记了 {documents} 条记录，全文索引里有 {indexed} 条"
    ahead = connection.execute(
        "SELECT count(*) FROM (SELECT corp_id, max(seq) AS seq FROM doc GROUP BY corp_id) AS newest"
        " LEFT JOIN position ON position.corp_id = newest.corp_id AND stream = ?"
        " WHERE newest.seq > coalesce(position.seq, 0)",
        (MESSAGES,),
    ).get
    if ahead:
        yield f"{ahead} 个企业的跟随进度落后于索引内容"
