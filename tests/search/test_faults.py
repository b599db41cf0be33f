"""Killed writers, damaged files, readers beside a writer, searches without end."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from unittest import mock

import apsw
import pytest

from app.foundation.errors import Unavailable
from app.search import pool
from app.search.domain import Document, NeedsRebuild, Page
from app.search.embedded import EmbeddedIndex
from app.search.filters import Filters
from app.search.query import parse

ROOT = Path(__file__).parents[2]
NOON = 1_767_240_000_000
STEP = 20

WRITER = f"""
import sys
from pathlib import Path
from unittest import mock
from app.search.domain import Document
from app.search.embedded import EmbeddedIndex
index = EmbeddedIndex(Path(sys.argv[1]))
after = index.position(1)
while True:
    seqs = range(after + 1, after + {STEP} + 1)
    documents = [Document(seq, {NOON} + seq, 1, "outbound", "text", ("a",), ("b",), (1,), f"保本{{seq}}号")
                 for seq in seqs]
    index.write(1, after, documents, after + {STEP})
    after += {STEP}
    print(after, flush=True)
"""


@pytest.fixture
def index(embedded: EmbeddedIndex) -> EmbeddedIndex:
    """These are faults of the embedded engine's file."""
    return embedded


def documents(after: int, upto: int) -> list[Document]:
    return [
        Document(seq, NOON + seq, 1, "outbound", "text", ("a",), ("b",), (1,), f"保本{seq}号")
        for seq in range(after + 1, upto + 1)
    ]


def total(index: EmbeddedIndex) -> int:
    return index.search(parse("保本"), Filters(), count="exact").total


def killed_while_writing(path: Path, batches: int) -> int:
    """Start a writer, kill it without warning after so many batches; the last position it told."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with writer:
        assert writer.stdout is not None
        told = [int(writer.stdout.readline()) for _ in range(batches)]
        os.kill(writer.pid, signal.SIGKILL)
    return told[-1]


def test_a_killed_writer_leaves_position_and_documents_in_step(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    for batches in (1, 30, 75):
        told = killed_while_writing(path, batches)
        index = EmbeddedIndex(path)
        reached = index.position(1)
        assert reached >= told
        assert reached % STEP == 0
        assert index.check() == ()
        assert total(index) == reached
        assert index.search(parse(f"本{reached}号"), Filters()).rows[0].seq == reached
        index.close()


def test_readers_beside_a_writer_see_whole_batches_and_never_fewer(index: EmbeddedIndex) -> None:
    stop = threading.Event()
    seen: dict[int, list[int]] = {}
    failures: list[BaseException] = []

    def read(name: int) -> None:
        seen[name] = []
        try:
            while not stop.is_set():
                seen[name].append(total(index))
        except BaseException as failure:  # noqa: BLE001 - told to the main thread
            failures.append(failure)

    readers = [threading.Thread(target=read, args=(name,)) for name in range(6)]
    for reader in readers:
        reader.start()
    for after in range(0, 100 * STEP, STEP):
        index.write(1, after, documents(after, after + STEP), after + STEP)
    stop.set()
    for reader in readers:
        reader.join()
    assert failures == []
    assert total(index) == 100 * STEP
    for totals in seen.values():
        assert totals == sorted(totals)
        assert all(each % STEP == 0 for each in totals)


def test_two_processes_may_hold_the_same_file(tmp_path: Path) -> None:
    first, second = EmbeddedIndex(tmp_path / "index.db"), EmbeddedIndex(tmp_path / "index.db")
    first.write(1, 0, documents(0, 5), 5)
    second.write(1, 5, documents(5, 9), 9)
    assert total(first) == total(second) == 9
    second.reset()
    assert first.position(1) == 0
    first.write(1, 0, documents(0, 3), 3)
    assert total(second) == 3
    first.close()
    second.close()


@pytest.fixture
def large(index: EmbeddedIndex) -> EmbeddedIndex:
    index.write(1, 0, documents(0, 5000), 5000)
    return index


def test_a_search_beyond_its_time_is_cut_off_and_the_next_one_works(large: EmbeddedIndex) -> None:
    large._timeout = 0.0
    with pytest.raises(Unavailable) as refused:
        total(large)
    assert refused.value.detail is not None
    assert "超时" in refused.value.detail
    large._timeout = 30.0
    assert total(large) == 5000


def test_a_search_that_finds_no_free_reader_in_time_is_refused(large: EmbeddedIndex) -> None:
    large._timeout = 0.01
    quick = large._pool.quick
    held = [quick.take() for _ in range(quick.size)]
    with pytest.raises(Unavailable, match="太多"):
        total(large)
    for each in held:
        quick.give(each)
    large._timeout = 30.0
    assert total(large) == 5000


def test_an_index_of_other_rules_asks_to_be_rebuilt_until_it_is_reset(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    index = EmbeddedIndex(path)
    index.write(1, 0, documents(0, 5), 5)
    index.close()
    connection = apsw.Connection(str(path))
    connection.execute("UPDATE meta SET version = 'gramtok 0'")
    connection.close()
    index = EmbeddedIndex(path)
    assert_needs_rebuild(index)
    assert_works_after_reset(index)


def assert_needs_rebuild(index: EmbeddedIndex) -> None:
    with pytest.raises(NeedsRebuild):
        index.position(1)
    with pytest.raises(NeedsRebuild):
        index.search(parse("保本"), Filters())
    with pytest.raises(NeedsRebuild):
        index.write(1, 0, documents(0, 5), 5)


def assert_works_after_reset(index: EmbeddedIndex) -> None:
    index.reset()
    assert index.position(1) == 0
    assert total(index) == 0
    index.write(1, 0, documents(0, 7), 7)
    assert total(index) == 7
    assert index.check() == ()
    index.close()


def test_a_file_that_is_no_database_asks_to_be_rebuilt_until_it_is_reset(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    path.write_bytes(b"not a database " * 1000)
    index = EmbeddedIndex(path)
    assert_needs_rebuild(index)
    assert_works_after_reset(index)


def test_a_damaged_file_is_noticed_and_healed_by_a_reset(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    index = EmbeddedIndex(path)
    index.write(1, 0, documents(0, 3000), 3000)
    index.close()
    content = bytearray(path.read_bytes())
    content[8192:-4096] = bytes(len(content) - 8192 - 4096)
    path.write_bytes(content)
    index = EmbeddedIndex(path)
    with pytest.raises(NeedsRebuild):
        total(index)
    with pytest.raises(NeedsRebuild):
        index.check()
    assert_works_after_reset(index)


def test_a_missing_document_is_noticed(large: EmbeddedIndex) -> None:
    with large._writing() as connection:
        connection.execute("DELETE FROM doc WHERE seq = 17")
    assert large.check() == ("登记了 4999 条记录，全文索引里有 5000 条",)


def test_a_position_behind_its_documents_is_noticed(large: EmbeddedIndex) -> None:
    with large._writing() as connection:
        connection.execute("UPDATE position SET seq = 4")
    assert large.check() == ("1 个企业的跟随进度落后于索引内容",)


def test_a_reset_does_not_wait_for_a_search_under_way(large: EmbeddedIndex) -> None:
    def counted(reader: apsw.Connection) -> tuple[int, int]:
        before = reader.execute("SELECT count(*) FROM doc").get
        large.reset()
        return before, reader.execute("SELECT count(*) FROM doc").get

    with mock.patch.object(pool, "QUICK", 60.0):
        assert large._pool.read(counted, 60.0) == (5000, 5000)
    large.write(1, 0, documents(0, 2), 2)
    assert total(large) == 2


def test_a_deleted_file_starts_again_from_the_beginning(tmp_path: Path) -> None:
    index = EmbeddedIndex(tmp_path / "index.db")
    index.write(1, 0, documents(0, 5), 5)
    index.close()
    (tmp_path / "index.db").unlink()
    index = EmbeddedIndex(tmp_path / "index.db")
    assert index.position(1) == 0
    assert index.search(parse("保本"), Filters()) == Page((), 0, "eq", None)
    index.close()


def test_closing_twice_is_closing_once(index: EmbeddedIndex) -> None:
    index.close()
    index.close()
    index._timeout = 0.01
    with pytest.raises(Unavailable):
        index.position(1)


def test_slow_searches_wait_for_each_other_and_hold_up_nobody_else(large: EmbeddedIndex) -> None:
    slow = large._pool.slow
    held = [slow.take() for _ in range(slow.size)]
    assert total(large) == 5000
    large._timeout = 0.1
    with mock.patch.object(pool, "QUICK", 0.0), pytest.raises(Unavailable, match="太多"):
        total(large)
    for each in held:
        slow.give(each)
    large._timeout = 30.0
    with mock.patch.object(pool, "QUICK", 0.0):
        assert total(large) == 5000


def test_fifty_searchers_at_once_all_get_the_truth_or_a_clear_no(large: EmbeddedIndex) -> None:
    answers: list[int | str] = []

    def ask(number: int) -> None:
        try:
            found = large.search(parse("保 -息 (1|2|3)" if number % 2 else "保本"), Filters())
            answers.append(found.total)
        except Unavailable as refused:
            answers.append(refused.code)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(50)]
    with mock.patch.object(pool, "QUICK", 0.001):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(answers) == 50
    spelled = sum(any(digit in str(seq) for digit in "123") for seq in range(1, 5001))
    assert {*answers} <= {5000, spelled, "unavailable"}
    assert total(large) == 5000


def test_an_index_put_in_place_serves_at_once_and_keeps_its_positions(
    large: EmbeddedIndex, tmp_path: Path
) -> None:
    total(large)  # readers are open
    other = EmbeddedIndex(tmp_path / "other.db")
    other.write(1, 0, documents(0, 7), 9)
    other.close()
    large.replace(tmp_path / "other.db")
    assert (total(large), large.position(1)) == (7, 9)
    large.write(1, 9, documents(9, 11), 11)
    assert total(large) == 9
    assert large.check() == ()
    assert not large.is_lost()


def test_searches_beside_an_exchange_see_one_index_or_the_other(
    large: EmbeddedIndex, tmp_path: Path
) -> None:
    seen: set[int] = set()
    failures: list[BaseException] = []
    stop = threading.Event()

    def read() -> None:
        try:
            while not stop.is_set():
                seen.add(total(large))
        except BaseException as failure:  # noqa: BLE001 - told to the main thread
            failures.append(failure)

    large._timeout = 30.0
    readers = [threading.Thread(target=read) for _ in range(6)]
    for reader in readers:
        reader.start()
    for turn in range(10):
        other = EmbeddedIndex(tmp_path / "other.db")
        other.write(1, 0, documents(0, 100 + turn), 200)
        other.close()
        large.replace(tmp_path / "other.db")
    stop.set()
    for reader in readers:
        reader.join()
    assert failures == []
    assert seen <= {5000, *range(100, 110)}
    assert total(large) == 109


def test_a_file_deleted_or_exchanged_under_way_is_noticed_and_begun_anew(
    large: EmbeddedIndex,
) -> None:
    assert not large.is_lost()
    large.path.unlink()
    assert large.is_lost()
    large.reopen()
    assert (large.is_lost(), large.position(1), total(large)) == (False, 0, 0)
    large.write(1, 0, documents(0, 3), 3)
    assert (total(large), large.check()) == (3, ())


def test_merging_ends_and_changes_no_answer(index: EmbeddedIndex) -> None:
    for after in range(0, 400, STEP):
        index.write(1, after, documents(after, after + STEP), after + STEP)
    steps = 1
    is_left = index.merge(start=True)
    while is_left:
        is_left = index.merge()
        steps += 1
        assert steps < 1000
    assert (total(index), index.check()) == (400, ())
    assert not index.merge()
