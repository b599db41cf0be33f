"""Followers killed wherever they are: what they made is what one undisturbed pass makes of the same log."""

import shutil
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from random import Random

import psycopg
from psycopg.conninfo import conninfo_to_dict

from app.archive.models import position_of
from tests.faults.checks import archived, check, check_alerts, check_search, rows
from tests.faults.deaths import die_writing, follow_nothing
from tests.faults.traffic import Feed, Ledger, Pusher
from tests.server import Home, Server, prepare, run

Chance = Callable[..., Random]
MESSAGES = 4_000
WRITES = {
    "screening": 12,
    "search": 8,
    "findings": 5,
    "alerts": 5,
}  # of a lease, the lexicon and the first steps
NEVER = 1_000_000_000  # writes
DEAD_WITHIN = 30.0  # seconds; only a server that goes on living needs them
FINDINGS = (
    'SELECT record_id, earlier, spoken_id, category, outcome, severity, start, "end", phrase, rule'
    " FROM findings ORDER BY record_id, start, rule, outcome"
)
ALERTS = (  # not the steps: where a batch ended decides how many of them the joined messages share
    "SELECT r.record_id, a.record_id, a.last_record_id, a.severity, a.category, a.state, a.messages"
    " FROM alert_records r JOIN alerts a ON a.number = r.alert_number ORDER BY r.record_id"
)
CURSORS = (  # the audit trail grows by every start
    "SELECT name, corp_id, seq FROM follower_cursors WHERE name <> 'seal_audit' ORDER BY name, corp_id"
)
MADE = ("alert_records", "alert_steps", "alerts", "findings", "follower_cursors")


def test_followers_killed_on_sqlite_leave_neither_double_nor_gap(
    tmp_path: Path, wordlists: str, chance: Chance
) -> None:
    home = prepare(tmp_path, wordlists=wordlists)
    ledger, pusher = filled(home, chance)
    killed_at_every_write(home, "screening")
    screen_some(home)
    for follower in ("search", "findings", "alerts"):
        killed_at_every_write(home, follower)
    killed_while_behind(home, chance, pusher, 4)
    check(home, ledger)
    compare(home, sqlite_copy(home, tmp_path / "copy"), ledger)


def test_followers_killed_on_postgresql_leave_neither_double_nor_gap(
    tmp_path: Path, wordlists: str, chance: Chance, postgres_database: str, postgres: str
) -> None:
    home = prepare(tmp_path, wordlists=wordlists, database_url=postgres_database)
    ledger, pusher = filled(home, chance)
    killed_at_every_write(home, "screening")
    killed_while_behind(home, chance, pusher, 4)
    check(home, ledger)
    compare(home, postgres_copy(home, tmp_path / "copy", postgres), ledger)


def filled(home: Home, chance: Chance) -> tuple[Ledger, Pusher]:
    """A log that no follower has seen, and who can push more."""
    ledger = Ledger()
    pusher = Pusher(Feed("f", chance()), ledger)
    server = Server(home)
    server.start(follow_nothing)
    push(server, pusher, MESSAGES)
    server.kill()
    return ledger, pusher


def killed_at_every_write(home: Home, follower: str) -> None:
    """Kill the server before the first, the second and every further write of one follower's first steps."""
    for times in range(1, WRITES[follower] + 1):
        server = Server(home)
        server.launch(partial(die_writing, follower, times))
        with server:
            assert server.wait(DEAD_WITHIN) == -signal.SIGKILL


def screen_some(home: Home) -> None:
    """Let screening alone run until it has found something, and kill it there."""
    server = Server(home)
    server.start(partial(die_writing, "screening", NEVER))
    deadline = time.monotonic() + DEAD_WITHIN
    while not rows(home, "SELECT 1 FROM findings LIMIT 1"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    server.kill()


def killed_while_behind(home: Home, chance: Chance, pusher: Pusher, times: int) -> None:
    """Kill the server at any moment while all followers are at work on what keeps coming."""
    moments, behind = chance("moments"), 0
    server = Server(home)
    for _ in range(times):
        server.start()
        push(server, pusher, moments.randrange(300))
        time.sleep(moments.uniform(0.0, 0.3))
        server.kill()
        behind += is_behind(home)
    assert behind


def push(server: Server, pusher: Pusher, number: int) -> None:
    """Push at least so many messages, in order over one connection."""
    with server.client() as client:
        for _ in range(0, number, 60):
            batch = [
                line for _ in range(20) for line in (pusher.feed.message(), *pusher.feed.exchange())
            ]
            assert pusher.push(client, batch).is_success


def is_behind(home: Home) -> bool:
    """Whether a killed server has left records that screening has not seen."""
    ends = dict(rows(home, "SELECT corp_id, max(id) FROM records GROUP BY corp_id"))
    seen = dict(rows(home, "SELECT corp_id, seq FROM follower_cursors WHERE name = 'screening'"))
    return any(position_of(end)[1] > seen.get(corp, 0) for corp, end in ends.items())


def compare(home: Home, copy: Home, ledger: Ledger) -> None:
    """What the killed followers made, against a fresh pass over a copy of the log."""
    assert run(copy, "catch-up", "--json", timeout=240).code == 0
    for query in (FINDINGS, ALERTS, CURSORS):
        assert rows(home, query) == rows(copy, query)
    assert indexed(home) == indexed(copy)
    kept = archived(copy)
    check_search(copy, kept, ledger)
    check_alerts(copy, kept, ledger)


def sqlite_copy(home: Home, data: Path) -> Home:
    """The same log in another folder without anything that was made from it."""
    data.mkdir()
    for file in home.data.glob("archive.db*"):
        shutil.copy(file, data)
    shutil.copytree(home.data / "blobs", data / "blobs")
    with closing(sqlite3.connect(data / "archive.db")) as connection, connection:
        triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for (name,) in triggers.fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        for table in MADE:
            connection.execute(f"DELETE FROM {table}")  # noqa: S608
    return home._replace(data=data)


def postgres_copy(home: Home, data: Path, postgres: str) -> Home:
    """The same log in another database without anything that was made from it."""
    url = home.settings["LIUHEN_DATABASE_URL"]
    original = conninfo_to_dict(url)["dbname"]
    copied = f"{original}_copy"
    shutil.copytree(home.data / "blobs", data / "blobs")
    with psycopg.connect(postgres.format(name="postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {copied} TEMPLATE {original}".encode())
    with psycopg.connect(postgres.format(name=copied), autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        for table in MADE:
            connection.execute(f"DELETE FROM {table}".encode())  # noqa: S608
    settings = {**home.settings, "LIUHEN_DATABASE_URL": postgres.format(name=copied)}
    return home._replace(data=data, settings=settings)


def indexed(home: Home) -> list[list[tuple[object, ...]]]:
    """Everything the index holds, but for the words."""
    queries = (
        "SELECT corp_id, seq FROM doc ORDER BY corp_id, seq",
        "SELECT corp_id, seq, category, severity, state FROM hit ORDER BY 1, 2, 3, 4, 5",
        "SELECT corp_id, seq FROM position WHERE stream = 'messages'",
    )
    with closing(sqlite3.connect(home.data / "index.db")) as connection:
        return [connection.execute(query).fetchall() for query in queries]
