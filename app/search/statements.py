# ruff: noqa: S608 - statements are put together from fixed pieces; every value is bound
"""The SQL of the embedded index: its layout, what is written, what is asked. No connection is opened here."""

import json
from collections.abc import Iterator, Sequence

import apsw

from app.foundation.followers import CursorMoved
from app.search import fts, selection, tokens
from app.search.domain import CAP, SLOTS, Count, Document, Note, Relation, Row, rid_at
from app.search.filters import Filters

MERGE_PAGES = 500
MESSAGES = "messages"  # the stream that the documents come from
VERSION = f"layout 2, {tokens.VERSION}"

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (version TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS position (
  corp_id INTEGER NOT NULL, stream TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (corp_id, stream)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS doc (
  rid INTEGER PRIMARY KEY, corp_id INTEGER NOT NULL, seq INTEGER NOT NULL, staff INTEGER NOT NULL,
  UNIQUE (corp_id, seq)
);
CREATE TABLE IF NOT EXISTS staff ( -- each set of employees of a message, with where they belonged then, once
  id INTEGER PRIMARY KEY, corp_id INTEGER NOT NULL, employees TEXT NOT NULL, departments TEXT NOT NULL,
  UNIQUE (corp_id, employees, departments)
);
CREATE TABLE IF NOT EXISTS member (tag TEXT NOT NULL, staff INTEGER NOT NULL, PRIMARY KEY (tag, staff))
WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS hit (
  corp_id INTEGER NOT NULL, seq INTEGER NOT NULL,
  category TEXT NOT NULL, severity TEXT NOT NULL, state TEXT NOT NULL,
  rid INTEGER, -- NULL until the message itself has come
  PRIMARY KEY (corp_id, seq, category, severity, state)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS hit_in_time ON hit (rid, category, severity, state);
CREATE TABLE IF NOT EXISTS recalled (
  corp_id INTEGER NOT NULL, seq INTEGER NOT NULL,
  rid INTEGER, -- NULL until the message itself has come
  PRIMARY KEY (corp_id, seq)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS recalled_in_time ON recalled (rid);
CREATE VIRTUAL TABLE IF NOT EXISTS ft USING fts5 (
  t, tags, content='', columnsize=0, detail=full, tokenize='ascii'
);
INSERT INTO meta SELECT ? WHERE NOT EXISTS (SELECT 1 FROM meta);
"""


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
    staff = _staff(connection, corp_id, documents)
    connection.executemany(
        "INSERT INTO doc VALUES (?, ?, ?, ?)",
        [(rid, corp_id, document.seq, staff[_present(document)]) for rid, document in placed],
    )
    connection.executemany(
        "INSERT INTO ft (rowid, t, tags) VALUES (?, ?, ?)",
        [
            (rid, tokens.index_tokens(document.text), fts.tags_of(corp_id, document))
            for rid, document in placed
        ],
    )
    for table in ("hit", "recalled"):
        connection.executemany(
            f"UPDATE {table} SET rid = ? WHERE corp_id = ? AND seq = ?",
            [(rid, corp_id, document.seq) for rid, document in placed],
        )


def _present(document: Document) -> tuple[str, str]:
    """The employees of a message and their departments, as they are kept."""
    return _listed(sorted(set(document.employees))), _listed(sorted(set(document.departments)))


def _listed(values: Sequence[object]) -> str:
    return json.dumps(values, separators=(",", ":"))


def _staff(
    connection: apsw.Connection, corp_id: int, documents: Sequence[Document]
) -> dict[tuple[str, str], int]:
    """The numbers of the sets of employees that took part; new ones are added."""
    wanted = dict.fromkeys(map(_present, documents))
    return {present: _staff_number(connection, corp_id, *present) for present in wanted}


def _staff_number(
    connection: apsw.Connection, corp_id: int, employees: str, departments: str
) -> int:
    key = (corp_id, employees, departments)
    sql = "SELECT id FROM staff WHERE corp_id = ? AND employees = ? AND departments = ?"
    known: int | None = connection.execute(sql, key).get
    if known is not None:
        return known
    connection.execute("INSERT INTO staff (corp_id, employees, departments) VALUES (?, ?, ?)", key)
    number = connection.last_insert_rowid()
    tags = [fts.tag(fts.EMPLOYEE, name) for name in json.loads(employees)]
    tags += [fts.tag(fts.DEPARTMENT, department) for department in json.loads(departments)]
    connection.executemany("INSERT INTO member VALUES (?, ?)", [(tag, number) for tag in tags])
    return number


def note(connection: apsw.Connection, corp_id: int, notes: Sequence[Note]) -> None:
    """Replace what is noted of the messages that are named; of two notes on one message the last counts."""
    latest = {note.seq: note for note in notes}
    for table in ("hit", "recalled"):
        connection.executemany(
            f"DELETE FROM {table} WHERE corp_id = ? AND seq = ?", [(corp_id, seq) for seq in latest]
        )
    connection.executemany(
        "INSERT INTO recalled VALUES (?1, ?2, (SELECT rid FROM doc WHERE corp_id = ?1 AND seq = ?2))",
        [(corp_id, note.seq) for note in latest.values() if note.recalled],
    )
    connection.executemany(
        "INSERT INTO hit (corp_id, seq, category, severity, state, rid) VALUES"
        " (?1, ?2, ?3, ?4, ?5, (SELECT rid FROM doc WHERE corp_id = ?1 AND seq = ?2))",
        [(corp_id, seq, *hit) for seq, note in latest.items() for hit in frozenset(note.hits)],
    )


def _free_rid(connection: apsw.Connection, taken: dict[int, Document], document: Document) -> int:
    for attempt in range(SLOTS):
        rid = rid_at(document.sent_at, document.seq, attempt)
        held = connection.execute("SELECT 1 FROM doc WHERE rid = ?", (rid,)).get
        if rid not in taken and held is None:
            return rid
    raise OverflowError("a millisecond is full")


def rows(
    connection: apsw.Connection, match: str | None, filters: Filters, limit: int, last: int | None
) -> list[Row]:
    """The first messages in order, or those after `last`."""
    selected = selection.select(match, filters, selection.beyond(filters, last))
    order = "DESC" if filters.order == "newest" else "ASC"
    sql = (
        f"WITH page AS MATERIALIZED ({selected.sql} ORDER BY rid {order} LIMIT ?)"
        f" SELECT corp_id, seq, rid FROM page JOIN doc USING (rid) ORDER BY rid {order}"
    )
    return [Row(*row) for row in connection.execute(sql, (*selected.bindings, limit))]


def total(
    connection: apsw.Connection, match: str | None, filters: Filters, count: Count
) -> tuple[int, Relation]:
    """How many there are on all pages together."""
    selected = selection.select(match, filters, selection.bounds(filters))
    sql = f"SELECT count(*) FROM ({selected.sql} LIMIT ?)"
    enough = CAP + 1 if count == "capped" else -1
    total = connection.execute(sql, (*selected.bindings, enough)).get
    if count == "capped" and total > CAP:
        return CAP, "gte"
    return total, "eq"


def merge(connection: apsw.Connection, *, start: bool) -> bool:
    """One step of `MERGE_PAGES` pages towards a single piece; False when nothing was left to do."""
    before = connection.total_changes()
    pages = -MERGE_PAGES if start else MERGE_PAGES
    connection.execute("INSERT INTO ft (ft, rank) VALUES ('merge', ?)", (pages,))
    return connection.total_changes() - before > 1  # the statement itself counts as one


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
