"""A data folder has one server; a PostgreSQL database may have several, and its log is one all the same."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from tests.faults.checks import archived, check_log, check_quarantine
from tests.faults.traffic import Feed, Ledger, Pusher
from tests.server import Server, free_port, prepare, run

Chance = Callable[..., Random]
SECONDS = 3.0
LIUHEN = Path(sys.executable).parent / "liuhen"


def test_a_second_server_on_one_data_folder_says_who_holds_it(
    tmp_path: Path, wordlists: str
) -> None:
    home = prepare(tmp_path, wordlists=wordlists)
    with Server(home) as server:
        second = subprocess.run(
            [LIUHEN, "serve", "--port", str(free_port())],
            env=home.environment(),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert second.returncode == 3
        assert second.stdout == ""
        said = second.stderr.replace("\n", "")
        assert "数据目录正被另一个进程使用" in said
        assert str(server.pid) in said
        assert str(home.data) in said
        assert server.is_ready()
    with Server(home) as server:
        assert server.is_ready()


def test_two_servers_on_one_database_write_one_log(
    tmp_path: Path, wordlists: str, chance: Chance, postgres_database: str
) -> None:
    shared = {"wordlists": wordlists, "database_url": postgres_database}
    shared["keys_url"] = f"file://{tmp_path / 'root.key'}"
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    homes = [prepare(folder, data=None, **shared) for folder in folders]
    ledger = Ledger()
    feeds = [Feed(f"{n}", chance(n), oversized=0) for n in range(4)]  # blobs lie in one folder
    pushers = [Pusher(feed, ledger) for feed in feeds]
    with Server(homes[0]) as one, Server(homes[1]) as two:
        for pusher, server in zip(pushers, (one, two, one, two), strict=True):
            pusher.start(server.client())
        time.sleep(SECONDS)
        for pusher in pushers:
            pusher.stop()
        repeated = [line for line in list(ledger.sent.values())[:500] if line.id]
        with two.client() as client:
            assert pushers[0].push(client, repeated).json()["duplicate"] == len(repeated)
        assert one.stop() == 0
        assert two.stop() == 0
    assert ledger.faults == []
    assert len(ledger.kept) == len(ledger.sent)
    report = run(homes[0], "fsck", "--json").json()
    assert report["differences"] == []
    kept = archived(homes[0])
    check_log(kept, ledger)
    check_quarantine(homes[0], ledger)
