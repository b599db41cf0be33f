"""kill -9 while messages pour in: what was acknowledged is there once, the rest at most once, nothing by halves."""

import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from tests.faults.checks import check
from tests.faults.traffic import Feed, Ledger, Pusher
from tests.server import Home, Server, prepare

Chance = Callable[..., Random]
CLIENTS = 3


def test_nothing_acknowledged_is_lost_by_50_kills_on_sqlite(
    tmp_path: Path, wordlists: str, chance: Chance
) -> None:
    home = prepare(tmp_path, wordlists=wordlists)
    killed_again_and_again(home, chance, 50)


def test_nothing_acknowledged_is_lost_by_8_kills_on_postgresql(
    tmp_path: Path, wordlists: str, chance: Chance, postgres_database: str
) -> None:
    home = prepare(tmp_path, wordlists=wordlists, database_url=postgres_database)
    killed_again_and_again(home, chance, 8)


def killed_again_and_again(home: Home, chance: Chance, times: int) -> None:
    ledger, moments = Ledger(), chance("moments")
    pushers = [Pusher(Feed(f"{n}", chance(n), oversized=0.3), ledger) for n in range(CLIENTS)]
    with Server(home) as server:
        for life in range(times):
            if life:
                server.start()
            for pusher in pushers:
                pusher.start(server.client())
            time.sleep(moments.uniform(0.02, 0.4))
            server.kill()
            for pusher in pushers:
                pusher.join()
    kept = check(home, ledger)
    assert ledger.cut_off >= times
    assert len(ledger.kept) > times
    assert len(ledger.kept) <= len(kept) <= len(ledger.sent)
    assert ledger.garbage_kept
