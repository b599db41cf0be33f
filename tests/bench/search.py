"""Speed of the embedded search through HTTP, beside the bare FTS5 query and a scan of every text, in the same run.

    python -m tests.bench.search [--messages N] [--seed S] [--rounds R]

Makes a data folder with so many messages in the archive and in the index, serves it in a process of its own, and
asks over HTTP for the newest 50 and the exact total. Beside each request goes the bare query: the same FTS5
expression, the 50 numbers and the count, in this process; and, once a query, DuckDB's `contains` over all texts for
the same 50 and the same count. A total that differs from DuckDB's ends the run with status 1.
"""

import argparse
import csv
import importlib
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice, permutations
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import apsw
import httpx
from pydantic import SecretStr

from app.access import OPERATOR, TokenScope
from app.archive.models import RECORD_TYPES, record_id
from app.bootstrap import Services, open_services
from app.foundation.clock import from_ms
from app.foundation.database import bulk_insert
from app.foundation.settings import Settings
from app.people import corp_ids
from app.search import fts, selection
from app.search.domain import Document, Hit, Note, first_rid
from app.search.embedded import EmbeddedIndex
from app.search.pool import CACHE_KIB
from app.search.query import And, Field, Near, Not, Or, Query, Term, parse
from app.search.tokens import norm
from tests.bench.corpus import CORP, Kind, Message, corpus, kinds

BATCH = 500
SERVE = """
import sys
from pathlib import Path
import uvicorn
from app.bootstrap import open_services
from app.foundation import logs
from app.foundation.settings import Settings
from app.main import create_app
logs.configure("error", "json")
with open_services(Settings(data=Path(sys.argv[1]), search_timeout_seconds=30)) as services:
    uvicorn.run(create_app(services), port=int(sys.argv[2]), log_level="error", access_log=False)
"""


class Timed(NamedTuple):
    """Milliseconds of one kind of query, one entry a call."""

    http: list[float]
    bare: list[float]
    scan: list[float]
    hits: list[int]
    wrong: int


def main() -> int:
    """Run it all; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="use and keep this folder's data")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        data = (args.folder or Path(made)) / "data"
        token = prepare(data, args.seed, args.messages)
        texts = [norm(each.document.text) for each in corpus(args.seed, args.messages)]
        print(f"{args.messages:,} messages of {statistics.mean(map(len, texts)):.0f} characters")
        scanned = scanner(args.seed, args.messages)
        with served(data) as url:
            return compare(url, token, data, scanned, kinds(args.seed, texts), args.rounds)


def prepare(data: Path, seed: int, size: int) -> str:
    """Fill archive and index, unless the folder has them; gives a token."""
    settings = Settings(data=data, database_url=SecretStr(""))
    with open_services(settings, migrate=True) as services:
        index = services.index
        if not isinstance(index, EmbeddedIndex):
            raise TypeError("this bench is of the embedded index")
        if not services.tails().get(CORP):
            archive(services, corpus(seed, size))
            spent = index_all(index, corpus(seed, size))
            print(f"indexed {size / spent:,.0f} messages/s (making the messages not counted)")
            begun = time.perf_counter()
            is_left = index.merge(start=True)
            while is_left:
                is_left = index.merge()
            print(f"merged to one piece in {time.perf_counter() - begun:.1f} s, as every night")
        print(f"index: {index.path.stat().st_size / size:.0f} bytes a message")
        return services.access.create_token("bench", [TokenScope.SEARCH], OPERATOR)


def archive(services: Services, messages: Iterator[Message]) -> None:
    """Rows as the door writes them, but for what search never reads: bytes and leaves are empty."""
    with services.db.write() as connection:
        corp_ids(connection, ["bench"])
        for number in range(1, 42):
            row = f"({number}, {CORP}, 'd{number}', 'd{number}', NULL)"
            connection.exec_driver_sql(f"INSERT INTO departments VALUES {row}")  # noqa: S608
    while batch := list(islice(messages, 20 * BATCH)):
        with services.db.write() as connection:
            conversations = {each.document.conversation for each in batch}
            for number in conversations:
                connection.exec_driver_sql(
                    "INSERT OR IGNORE INTO conversations VALUES (?, ?, ?, 'single', NULL, NULL)",
                    (number + 1, CORP, (number + 1).to_bytes(16)),
                )
            rows = [_row(each.document) for each in batch]
            bulk_insert(connection, "records", RECORD_TYPES, rows)


def _row(document: Document) -> tuple[Any, ...]:
    adviser = f'["employee", "{document.employees[0]}", null]'
    client = f'["client", "{document.clients[0]}", null]'
    sender, recipient = (adviser, client) if document.direction == "outbound" else (client, adviser)
    values: dict[str, Any] = {
        "id": record_id(CORP, document.seq),
        "corp_id": CORP,
        "source": "bench",
        "source_msg_id": str(document.seq),
        "source_seq": None,
        "sent_at": document.sent_at,
        "received_at": document.sent_at,
        "conversation_id": document.conversation + 1,
        "counter": document.seq,
        "audience_id": document.conversation + 1,
        "sender": sender,
        "recipients": f"[{recipient}]",
        "direction": document.direction,
        "kind": document.kind,
        "action": "send",
        "recalls": None,
        "text": document.text,
        "has_media": 0,
        "suite": 0,
        "bucket_id": 1,
        "wrapped_key": b"",
        "sealed": b"",
        "digest": b"",
        "leaf": b"",
    }
    return tuple(values[name] for name in RECORD_TYPES)


def index_all(index: EmbeddedIndex, messages: Iterator[Message]) -> float:
    """Write everything in batches; the seconds that it took."""
    spent, after = 0.0, 0
    while batch := list(islice(messages, BATCH)):
        upto = batch[-1].document.seq
        hit = (Hit("promise", "red", "open"),)
        notes = [Note(message.document.seq, hit) for message in batch if message.violates]
        begun = time.perf_counter()
        index.write(CORP, after, [message.document for message in batch], upto)
        index.annotate(CORP, notes, stream="findings", after=after, upto=upto)
        spent += time.perf_counter() - begun
        after = upto
    return spent


Scan = Callable[[str, Kind], tuple[float, int]]


def scanner(seed: int, size: int) -> Scan:
    """Everything in DuckDB, and a function that scans it for one query: milliseconds and the total."""
    try:
        database = importlib.import_module("duckdb").connect()
    except ModuleNotFoundError:
        raise SystemExit("this bench needs duckdb: pip install duckdb") from None
    database.execute(
        "CREATE TABLE m (rid BIGINT, t VARCHAR, adviser VARCHAR, department INT, violates BOOL)"
    )
    with tempfile.NamedTemporaryFile("w", newline="", suffix=".csv", encoding="utf-8") as file:
        writer = csv.writer(file)
        for document, violates in corpus(seed, size):
            who, place = document.employees[0], document.departments[1]
            writer.writerow(
                [first_rid(document.sent_at), norm(document.text), who, place, violates]
            )
        file.flush()
        database.execute(f"COPY m FROM '{file.name}' (FORMAT csv, HEADER false)")

    def scan(query: str, kind: Kind) -> tuple[float, int]:
        where, values = _where(query, kind)
        begun = time.perf_counter()
        database.execute(f"SELECT rid FROM m WHERE {where} ORDER BY rid DESC LIMIT 50", values)  # noqa: S608
        database.fetchall()
        database.execute(f"SELECT count(*) FROM m WHERE {where}", values)  # noqa: S608
        ((total,),) = database.fetchall()
        return _since(begun), total

    return scan


def _where(query: str, kind: Kind) -> tuple[str, list[Any]]:
    """The same search as SQL over plain columns."""
    filters, places = kind.filters, _places(kind)
    tree = parse(query)
    text, values = ("true", []) if tree is None else _spelled(tree)
    conditions = [text]
    for column, wanted in (("adviser", filters.advisers), ("department", places)):
        if wanted:
            conditions.append(f"{column} IN ({', '.join('?' * len(wanted))})")
            values += wanted
    if filters.since is not None and filters.until is not None:
        conditions.append("rid >= ? AND rid < ?")
        values += [first_rid(filters.since), first_rid(filters.until)]
    if filters.categories:
        conditions.append("violates")
    return " AND ".join(conditions), values


def _spelled(tree: Query) -> tuple[str, list[Any]]:
    match tree:
        case Term(text):
            return "contains(t, ?)", [text]
        case Near(one, other, distance):
            between = f".{{0,{distance}}}"
            ways = (f"{re.escape(a)}{between}{re.escape(b)}" for a, b in permutations((one, other)))
            return "regexp_matches(t, ?)", ["|".join(ways)]
        case Not(child):
            text, values = _spelled(child)
            return f"NOT {text}", values
        case And(children) | Or(children):
            parts = [_spelled(child) for child in children]
            word = " AND " if isinstance(tree, And) else " OR "
            return f"({word.join(text for text, _ in parts)})", [v for _, vs in parts for v in vs]
        case Field():
            raise ValueError("not asked here")


def _places(kind: Kind) -> tuple[int, ...]:
    return () if kind.filters.visible is None else tuple(sorted(kind.filters.visible.departments))


@contextmanager
def served(data: Path) -> Iterator[str]:
    """The application in a process of its own, no follower running; gives its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-c", SERVE, str(data), str(port)])
    url = f"http://127.0.0.1:{port}"
    try:
        while process.poll() is None:
            try:
                httpx.get(f"{url}/healthz")
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait()


def compare(
    url: str, token: str, data: Path, scan: Scan, asked: Sequence[Kind], rounds: int
) -> int:
    """Ask everything and print a line a kind; the exit status."""
    bare = bare_reader(data / "index.db")
    print(
        f"{'':20} {'hits':>9}   {'HTTP p50/p95/p99 ms':>23}   {'bare p50/p95/p99 ms':>23}   scan p50"
    )
    every = Timed([], [], [], [], 0)
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
        for kind in asked:
            timed = measure(client, bare, scan, kind, rounds)
            _line(kind.name, timed)
            every = Timed(
                every.http + timed.http,
                every.bare + timed.bare,
                every.scan + timed.scan,
                every.hits + timed.hits,
                every.wrong + timed.wrong,
            )
    _line("everything", every)
    print(f"p99 over HTTP / bare p99: {_at(every.http, 0.99) / _at(every.bare, 0.99):.2f}")
    print(f"scan p50 / p50 over HTTP: {_at(every.scan, 0.5) / _at(every.http, 0.5):.1f}")
    print(f"wrong totals: {every.wrong}")
    return 1 if every.wrong else 0


def measure(
    client: httpx.Client, bare: Callable[[str, Kind], float], scan: Scan, kind: Kind, rounds: int
) -> Timed:
    """Every query of a kind, each way beside the other."""
    timed = Timed([], [], [], [], 0)
    wrong = 0
    for query in kind.queries:
        parameters, total = _parameters(query, kind), 0
        for turn in range(rounds + 1):
            begun = time.perf_counter()
            answer = client.get("/api/v1/messages", params=parameters)
            spent = _since(begun)
            if not answer.is_success:
                raise SystemExit(f"{query}: {answer.text}")
            total = answer.json()["total"]["value"]
            other = bare(query, kind)
            if turn:  # the first warms up both
                timed.http.append(spent)
                timed.bare.append(other)
        spent, true = scan(query, kind)
        timed.scan.append(spent)
        timed.hits.append(total)
        wrong += total != true
    return timed._replace(wrong=wrong)


def _parameters(query: str, kind: Kind) -> dict[str, Any]:
    filters = kind.filters
    times = {"since": filters.since, "until": filters.until}
    return {
        "q": query,
        "adviser": filters.advisers,
        "department": _places(kind),
        "category": filters.categories,
        "count": "exact",
        "limit": 50,
        **{name: from_ms(at).isoformat() for name, at in times.items() if at is not None},
    }


def bare_reader(path: Path) -> Callable[[str, Kind], float]:
    """The newest 50 numbers and the count by FTS5 itself, every filter as words in the expression."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    connection.pragma("cache_size", -CACHE_KIB)

    def ask(query: str, kind: Kind) -> float:
        with mock.patch.object(fts, "FEW", 10_000):
            match = fts.expression(parse(query), kind.filters, [CORP])
            found = selection.select(match, kind.filters, selection.bounds(kind.filters))
        begun = time.perf_counter()
        with connection:
            list(connection.execute(f"{found.sql} ORDER BY rid DESC LIMIT 51", found.bindings))
            counted = f"SELECT count(*) FROM ({found.sql})"  # noqa: S608
            list(connection.execute(counted, found.bindings))
        return _since(begun)

    return ask


def _line(name: str, timed: Timed) -> None:
    print(
        f"{name:20} {statistics.median(timed.hits):9.0f}   {_three(timed.http)}"
        f"   {_three(timed.bare)} {_at(timed.scan, 0.5):10.1f}"
    )


def _three(times: list[float]) -> str:
    return " ".join(f"{_at(times, share):7.2f}" for share in (0.5, 0.95, 0.99))


def _at(times: list[float], share: float) -> float:
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _since(begun: float) -> float:
    return (time.perf_counter() - begun) * 1000


if __name__ == "__main__":
    sys.exit(main())
