"""What must be true of a data folder after any fault, compared with the ledger kept outside."""

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from pydantic import SecretStr

from app.archive import quarantine
from app.archive.models import position_of
from app.foundation.blobs import BlobStore
from app.foundation.database import Database
from app.foundation.keys import KeyRing, load_root
from app.foundation.settings import Settings
from app.search import tokens
from app.search.embedded import EmbeddedIndex
from app.search.filters import Filters
from app.search.query import Term
from tests.faults.traffic import COMMON, Ledger
from tests.server import Home, run


class Kept(NamedTuple):
    """An archived message as its row has it."""

    seq: int
    source_msg_id: str
    digest: str
    conversation: int
    counter: int


def check(home: Home, ledger: Ledger) -> list[Kept]:
    """Check everything; the server must have ended. Gives what is archived."""
    assert ledger.faults == []
    caught_up = run(home, "catch-up", "--json", timeout=240)
    assert set(caught_up.json()["lag"].values()) == {0}
    check_blobs(home)
    report = run(home, "fsck", "--json", timeout=240).json()
    assert (report["differences"], report["index"]) == ([], [])
    kept = archived(home)
    assert report["records"] == len(kept)
    check_log(kept, ledger)
    check_quarantine(home, ledger)
    check_search(home, kept, ledger)
    check_alerts(home, kept, ledger)
    return kept


def check_log(kept: Sequence[Kept], ledger: Ledger) -> None:
    """Everything acknowledged once and where it was promised; nothing twice; numbers and counters without a hole."""
    assert [each.seq for each in kept] == list(range(1, len(kept) + 1))
    by_id = {each.source_msg_id: each for each in kept}
    assert len(by_id) == len(kept), "a message is there twice"
    promised = {name: by_id.get(name) for name in ledger.kept}
    found = {name: each and (each.seq, each.digest) for name, each in promised.items()}
    assert found == ledger.kept
    sent = {name: hashlib.sha256(line.data).hexdigest() for name, line in ledger.sent.items()}
    assert {each.source_msg_id: each.digest for each in kept}.items() <= sent.items()
    last: dict[int, int] = {}
    for each in kept:
        assert each.counter == last.get(each.conversation, 0) + 1
        last[each.conversation] = each.counter


def check_blobs(home: Home) -> None:
    """Every file is whole and bears its digest; what a crash left has gone since the folder was opened again."""
    for path in (home.data / "blobs").rglob("*"):
        assert path.is_dir() or path.name == hashlib.sha256(path.read_bytes()).hexdigest()


def check_quarantine(home: Home, ledger: Ledger) -> None:
    """Every unreadable line acknowledged is kept once with its bytes, and no line that was never sent."""
    url = SecretStr(home.settings.get("LIUHEN_DATABASE_URL", ""))
    db = Database(Settings(data=home.data, database_url=url).database)
    with closing(db), db.read() as connection:
        ring = KeyRing(load_root(Path(home.settings["LIUHEN_KEYS_URL"][7:]), connection))
        blobs = BlobStore(home.data / "blobs")
        items = quarantine.items(connection, state=None, before=None, limit=1_000_000)
        found = [quarantine.open_bytes(connection, ring, blobs, item.id) for item in items]
    assert len(found) == len(set(found)), "an unreadable line is there twice"
    assert ledger.garbage_kept <= set(found) <= ledger.garbage_sent


def check_search(home: Home, kept: Sequence[Kept], ledger: Ledger) -> None:
    """Every message is found by its own token, alone and in its place."""
    tokens_of = {each.seq: ledger.sent[each.source_msg_id].token for each in kept}
    wanted = {seq: token for seq, token in tokens_of.items() if token}
    with index(home) as found:
        assert count(found, COMMON) == len(wanted)
        for seq, token in wanted.items():
            page = found.search(Term(tokens.norm(token)), Filters())
            assert [row.seq for row in page.rows] == [seq], token


def check_alerts(home: Home, kept: Sequence[Kept], ledger: Ledger) -> None:
    """Each breach is in one alert, nothing else is; an alert's history begins once."""
    breaches = [each.seq for each in kept if ledger.sent[each.source_msg_id].is_breach]
    alerted = rows(home, "SELECT record_id FROM alert_records ORDER BY record_id")
    assert [position_of(number)[1] for (number,) in alerted] == breaches
    begun = rows(home, "SELECT alert_number FROM alert_steps WHERE step = 'raise'")
    alerts = rows(home, "SELECT number, messages FROM alerts")
    assert sorted(number for (number,) in begun) == sorted(number for number, _ in alerts)
    assert sum(messages for _, messages in alerts) == len(breaches)


def archived(home: Home) -> list[Kept]:
    """All that is archived, in the order of the log."""
    wanted = "SELECT id, source_msg_id, digest, conversation_id, counter FROM records ORDER BY id"
    return [
        Kept(position_of(number)[1], name, bytes(digest).hex(), place, counter)
        for number, name, digest, place, counter in rows(home, wanted)
    ]


def rows(home: Home, query: str) -> list[tuple[Any, ...]]:
    """The rows of a query, read past the server, which may be running."""
    url = home.settings.get("LIUHEN_DATABASE_URL")
    if url:
        with psycopg.connect(url) as connection:
            return connection.execute(query.encode()).fetchall()
    address = f"file:{home.data / 'archive.db'}?mode=ro"
    with closing(sqlite3.connect(address, uri=True)) as connection:
        return connection.execute(query).fetchall()


@contextmanager
def index(home: Home) -> Iterator[EmbeddedIndex]:
    """The search index, opened past the server; searches have all the time they need."""
    opened = EmbeddedIndex(home.data / "index.db", timeout=60)
    try:
        yield opened
    finally:
        opened.close()


def count(found: EmbeddedIndex, word: str) -> int:
    """How many messages a word is found in."""
    return found.search(Term(tokens.norm(word)), Filters(), count="exact").total
