"""A full disk refuses politely, keeps what it promised, and needs nobody once there is room again."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from shutil import disk_usage

import httpx
import pytest

from tests.faults.checks import check, rows
from tests.faults.traffic import Feed, Ledger, Line, Pusher, is_unavailable
from tests.server import Home, Server, prepare

Chance = Callable[..., Random]
REFUSALS = 20
PUSHES = 2_000  # more than the disk holds


@pytest.fixture
def home(tmp_path: Path, small_disk: Path, wordlists: str) -> Home:
    return prepare(tmp_path, data=small_disk / "data", wordlists=wordlists)


def test_a_full_disk_loses_nothing_and_recovers_without_help(
    home: Home, small_disk: Path, chance: Chance
) -> None:
    ledger, feed = Ledger(), Feed("full", chance(), largest=200)
    pusher = Pusher(feed, ledger)
    with Server(home) as server, server.client() as client:
        push_until_refused(pusher, client, feed)
        assert ledger.kept
        assert is_unavailable(pusher.push(client, [feed.garbage(200_000)]))
        (small_disk / "ballast").unlink()
        while pusher.again:
            assert pusher.push(client, pusher.again.pop()).is_success
        assert pusher.push(client, feed.batch()).is_success
        server.wait_until_followed()
        assert server.stop() == 0
    assert len(check(home, ledger)) == len(ledger.sent)


def test_a_server_killed_on_a_full_disk_keeps_what_it_promised(
    home: Home, small_disk: Path, chance: Chance
) -> None:
    ledger, feed = Ledger(), Feed("full", chance(), largest=200)
    pusher = Pusher(feed, ledger)
    with Server(home) as server:
        with server.client() as client:
            push_until_refused(pusher, client, feed)
        server.kill()
        (small_disk / "ballast").unlink()
        server.start()
        with server.client() as client:
            assert pusher.push(client, feed.batch()).is_success
    check(home, ledger)


def test_what_cannot_be_audited_is_not_shown(home: Home, small_disk: Path, chance: Chance) -> None:
    ledger, feed = Ledger(), Feed("audit", chance())
    pusher, secret = Pusher(feed, ledger), feed.message()
    with Server(home) as server, server.client() as client:
        assert pusher.push(client, [secret]).is_success
        server.wait_until_followed()
        ways = ways_to_see(client, secret)
        assert all(secret.token in client.get(way).text for way in ways)
        fill(small_disk)
        audited = count_audited(home)
        answers = [client.get(way) for _ in range(50) for way in ways]
        shown, refused = [a for a in answers if a.is_success], [a for a in answers if a.is_error]
        assert len(refused) > len(ways)  # what room was left inside the files is used up
        assert all(is_unavailable(answer) for answer in refused)
        assert not any(secret.token in answer.text for answer in refused)
        assert count_audited(home) == audited + len(shown)


def push_until_refused(pusher: Pusher, client: httpx.Client, feed: Feed) -> None:
    """Push until the disk is full, and then on for a while."""
    refused = 0
    for _ in range(PUSHES):
        refused += is_unavailable(pusher.push(client, feed.batch()))
        if refused == REFUSALS:
            return
    pytest.fail("the disk was never full")


def ways_to_see(client: httpx.Client, message: Line) -> list[str]:
    """Every address that shows the message."""
    search = f"/api/v1/messages?q={message.token}"
    name = client.get(search).json()["items"][0]["id"]
    one = f"/api/v1/messages/{name}"
    return [search, one, f"{one}/context", f"{one}/raw"]


def fill(folder: Path) -> None:
    """Leave no byte free."""
    with (folder / "more ballast").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    assert disk_usage(folder).free == 0


def count_audited(home: Home) -> int:
    """How many entries the audit trail has."""
    return int(rows(home, "SELECT count(*) FROM audit_events")[0][0])
