"""SIGTERM under load: what was answered stays, what was not has no answer at all, and the process ends well."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from tests.faults.checks import check
from tests.faults.traffic import Feed, Ledger, Pusher
from tests.server import STOP_WITHIN, Server, prepare

Chance = Callable[..., Random]
LIVES = 3
CLIENTS = 3
LIUHEN = Path(sys.executable).parent / "liuhen"


def test_a_stop_under_load_loses_nothing_on_sqlite(
    tmp_path: Path, wordlists: str, chance: Chance
) -> None:
    stopped_again_and_again(tmp_path, chance, wordlists=wordlists)


def test_a_stop_under_load_loses_nothing_on_postgresql(
    tmp_path: Path, wordlists: str, chance: Chance, postgres_database: str
) -> None:
    stopped_again_and_again(tmp_path, chance, wordlists=wordlists, database_url=postgres_database)


def test_the_console_script_ends_by_sigterm_with_code_0(tmp_path: Path, wordlists: str) -> None:
    home = prepare(tmp_path, wordlists=wordlists)
    server = Server(home)
    with server.log.open("wb") as log:
        process = subprocess.Popen(
            [LIUHEN, "serve", "--port", str(server.port)],
            env=home.environment(),
            cwd=tmp_path,
            stdout=log,
            stderr=log,
        )
        try:
            deadline = time.monotonic() + 60
            while not server.is_ready():
                assert process.poll() is None, server.tail()
                assert time.monotonic() < deadline, server.tail()
                time.sleep(0.05)
            os.kill(process.pid, signal.SIGTERM)
            assert process.wait(STOP_WITHIN) == 0
        finally:
            process.kill()
            process.wait()
    assert "Traceback" not in server.tail()


def stopped_again_and_again(folder: Path, chance: Chance, **settings: str) -> None:
    home = prepare(folder, data=None, **settings)
    ledger, moments = Ledger(), chance("moments")
    pushers = [Pusher(Feed(f"{n}", chance(n), largest=150), ledger) for n in range(CLIENTS)]
    server = Server(home)
    for _ in range(LIVES):
        with server:
            for pusher in pushers:
                pusher.start(server.client())
            time.sleep(moments.uniform(0.1, 0.8))
            assert server.stop() == 0
            for pusher in pushers:
                pusher.join()
        assert "Traceback" not in server.tail()
    assert ledger.cut_off >= LIVES
    check(home, ledger)
