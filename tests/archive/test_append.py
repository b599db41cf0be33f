"""The door: numbers without a hole, whoever comes through it, whatever fails in between."""

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from app.archive import append
from app.archive.append import TURN_SIZE, UNSTORABLE, Door, Receipt, Status
from app.archive.domain import MAX_TEXT_BYTES, Action, Direction, Envelope, Party, PartyType
from app.archive.models import Audience, AudienceParty, Conversation, QuarantineItem, Record
from app.archive.sealed import read_raw
from app.archive.store import Message, read_log
from app.foundation.database import Database, bulk_insert
from app.foundation.errors import Unavailable
from app.foundation.keys import BucketKey
from app.people import corp_codes
from app.people.models import Client, Corp, Employee, Group
from tests.archive.conftest import Archive, open_archive
from tests.archive.samples import (
    CLIENT,
    EMPLOYEE,
    assert_contiguous,
    between,
    envelope,
    in_group,
    log_of,
    names_of,
    prepared,
    put,
)

THREADS = 8
SIZES = (1, 2, 30, 1, 7, 90)
TABLES = (Record, Conversation, Audience, AudienceParty, BucketKey, Corp, Employee, Client, Group)
Outcome = list[Receipt] | BaseException


class Broken(Exception):
    """Stands for a defect of our own."""


def pour(door: Door, thread: int) -> list[Receipt]:
    """Batches of many sizes into conversations that other threads write to as well."""
    receipts: list[Receipt] = []
    for number, size in enumerate(SIZES):
        batch = [
            between(f"{thread}-{number}-{each}", f"wm{each % 5}", corp=f"ww{each % 3 % 2}")
            for each in range(size)
        ]
        receipts += put(door, *batch)
    return receipts


def pour_at_once(doors: list[Door]) -> dict[str | None, int | None]:
    """Eight threads over the doors; the number each message was answered with."""
    with ThreadPoolExecutor(THREADS) as pool:
        turns = pool.map(pour, itertools.cycle(doors), range(THREADS))
    receipts = [receipt for turn in turns for receipt in turn]
    assert {receipt.status for receipt in receipts} == {Status.ACCEPTED}
    assert len(receipts) == THREADS * sum(SIZES)
    return {receipt.source_msg_id: receipt.seq for receipt in receipts}


def together(door: Door, *batches: list[Envelope]) -> list[Outcome]:
    """Hand in batches from a thread each while the door is shut, so that one turn finds all of them waiting."""
    futures: list[Future[list[Receipt]]] = []
    with ThreadPoolExecutor(len(batches)) as pool:
        with door._turn:
            for batch in batches:
                futures.append(pool.submit(put, door, *batch))
                wait_until(lambda: len(door._waiting) == len(futures))
        return [future.exception() or future.result() for future in futures]


def wait_until(is_so: Callable[[], bool]) -> None:
    while not is_so():
        threading.Event().wait(0.001)


def statuses(receipts: Outcome) -> list[Status]:
    assert isinstance(receipts, list)
    return [receipt.status for receipt in receipts]


def rows_in(db: Database) -> dict[str, int]:
    with db.read() as connection:
        return {
            table.__tablename__: connection.execute(
                select(func.count()).select_from(table)
            ).scalar_one()
            for table in (*TABLES, QuarantineItem)
        }


def messages_of(db: Database, corp: str | None = None) -> list[Message]:
    """The log of the one corp there is, or of the one named."""
    with db.read() as connection:
        codes = {code: number for number, code in corp_codes(connection).items()}
        number = codes[corp] if corp else min(codes.values())
        return read_log(connection, number, 0, 10_000)


@pytest.fixture
def fail_once(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Have the next turn write half of its records and then raise."""

    def arrange(error: BaseException) -> None:
        def broken(connection: Any, table: str, columns: Any, rows: list[Any]) -> None:
            monkeypatch.undo()
            bulk_insert(connection, table, columns, rows[: len(rows) // 2])
            raise error

        monkeypatch.setattr(append, "bulk_insert", broken)

    return arrange


@pytest.fixture
def turns(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The sizes of the batches of every turn that the door takes."""
    seen: list[list[int]] = []
    commit = archive.door._commit

    def counted(group: list[Any]) -> None:
        seen.append([len(ticket.prepared) for ticket in group])
        commit(group)

    monkeypatch.setattr(archive.door, "_commit", counted)
    return seen


def test_eight_threads_leave_no_hole_in_any_log_or_conversation(archive: Archive) -> None:
    numbers = pour_at_once([archive.door])
    assert_contiguous(archive.db)
    kept = {row[1]: row[0] for rows in log_of(archive.db).values() for row in rows}
    assert kept == numbers
    assert archive.differences() == []


@pytest.fixture
def second(archive: Archive, tmp_path: Path) -> Iterator[Archive]:
    """The same archive as a second process has it: a connection pool, keys and memory of its own."""
    if archive.db.is_sqlite:
        pytest.skip("SQLite has one process")
    other = Database(archive.db.url)
    yield open_archive(other, tmp_path)
    other.close()


def test_two_processes_leave_no_hole_either(archive: Archive, second: Archive) -> None:
    numbers = pour_at_once([archive.door, second.door])
    assert_contiguous(archive.db)
    kept = {row[1]: row[0] for rows in log_of(archive.db).values() for row in rows}
    assert kept == numbers
    assert archive.differences() == []
    with archive.db.read() as connection:
        conversations = connection.execute(select(func.count(Conversation.id))).scalar()
    assert conversations == 2 * 5  # five clients in two corps, whichever process met them first


def test_processes_in_turn_see_each_others_counters_and_names(
    archive: Archive, second: Archive
) -> None:
    put(archive.door, in_group("a1", conversation_name="旧名"))
    put(second.door, in_group("b1", conversation_name="新名"))
    put(archive.door, in_group("a2", conversation_name="旧名"))
    assert names_of(archive.db) == ["旧名"]
    put(second.door, in_group("b2", conversation_name="新名"))
    put(archive.door, in_group("a3"))
    assert names_of(archive.db) == ["新名"]
    assert_contiguous(archive.db)


def test_a_duplicate_across_processes_answers_the_first_receipt(
    archive: Archive, second: Archive
) -> None:
    first = put(archive.door, envelope("m1"))[0]
    assert put(second.door, envelope("m1"))[0] == first._replace(status=Status.DUPLICATE)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":1.50,"b":"\xe5\xa5\xbd"}',
        b' { "b" : "\\u597d", "a" : 1.5 } ',
        b'{"a":15e-1,"b":"\xe5\xa5\xbd"}',
        b'{"a":"twice","b":"\xe5\xa5\xbd","a":1.5}',
    ],
)
def test_the_same_value_however_spelled_is_a_duplicate(archive: Archive, raw: bytes) -> None:
    first = put(archive.door, envelope("m1", raw=b'{"a":1.50,"b":"\xe5\xa5\xbd"}'))[0]
    again = put(archive.door, envelope("m1", raw=raw))[0]
    assert again == first._replace(status=Status.DUPLICATE)
    assert len(messages_of(archive.db)) == 1
    assert archive.quarantined() == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b'{"a":1}', b'{"a":2}'),
        (b'{"a":1}', b'{"a":true}'),
        (b'{"a":0}', b'{"a":false}'),
        (b'{"a":1.5}', b'{"a":"1.5"}'),
        (b'{"a":1e400}', b'{"a":1e401}'),
        (b'{"a":0.1}', b'{"a":0.1000000000000000055511151231257827}'),
        (b'{"a":9007199254740993.0}', b'{"a":9007199254740992.0}'),
        (b'{"a":[1]}', b'{"a":[1,2]}'),
        (b'{"a":null}', b"{}"),
        (b"not JSON", b"not JSON "),
        (b'{"a":1e9999999999999999999}', b'{"a": 1e9999999999999999999}'),
        (b"[" * 100_000, b"[" * 100_001),
        (b"\xff\x00", b"\xff\x01"),
    ],
)
def test_any_other_content_is_a_conflict_kept_with_its_bytes(
    archive: Archive, one: bytes, other: bytes
) -> None:
    assert put(archive.door, envelope("m1", raw=one))[0].status is Status.ACCEPTED
    answer = put(archive.door, envelope("m1", raw=other))[0]
    assert (answer.status, answer.source_msg_id) == (Status.QUARANTINED, "m1")
    assert (answer.error, answer.seq, answer.digest) == ("conflict", None, None)
    [(item, data)] = archive.quarantined()
    assert (item.reason, item.corp, data) == ("conflict", "ww1", other)
    assert [message.seq for message in messages_of(archive.db)] == [1]


def test_duplicates_and_conflicts_inside_one_batch(archive: Archive) -> None:
    answers = put(
        archive.door,
        envelope("a", raw=b"[1]"),
        envelope("b"),
        envelope("a", raw=b"[ 1 ]"),
        envelope("a", raw=b"[2]"),
        envelope("c"),
        envelope("a", raw=b"[1]"),
    )
    assert [(each.status, each.seq) for each in answers] == [
        (Status.ACCEPTED, 1),
        (Status.ACCEPTED, 2),
        (Status.DUPLICATE, 1),
        (Status.QUARANTINED, None),
        (Status.ACCEPTED, 3),
        (Status.DUPLICATE, 1),
    ]
    assert {each.digest for each in answers if each.seq == 1} == {answers[0].digest}
    assert [data for _, data in archive.quarantined()] == [b"[2]"]
    assert archive.differences() == []


def test_one_id_of_several_sources_and_corps_is_several_messages(archive: Archive) -> None:
    answers = put(
        archive.door,
        envelope("m1", corp="ww1"),
        envelope("m1", corp="ww2"),
        envelope("m1", corp="ww1", source="mail"),
        envelope("m1", corp="WW1"),
        envelope("M1", corp="ww1"),
    )
    assert [(each.status, each.seq) for each in answers] == [
        (Status.ACCEPTED, 1),
        (Status.ACCEPTED, 1),
        (Status.ACCEPTED, 2),
        (Status.ACCEPTED, 1),
        (Status.ACCEPTED, 3),
    ]
    assert_contiguous(archive.db)


def test_duplicates_and_conflicts_across_the_callers_of_one_turn(
    archive: Archive, turns: list[list[int]]
) -> None:
    outcomes = together(
        archive.door,
        [envelope("a", raw=b"[1]"), envelope("b")],
        [envelope("a", raw=b"[ 1]"), envelope("c")],
        [envelope("a", raw=b"[1 ]"), envelope("d")],
    )
    assert turns == [[2, 2, 2]]
    counts = Counter(status for each in outcomes for status in statuses(each))
    assert counts == {Status.ACCEPTED: 4, Status.DUPLICATE: 2}
    assert {each[0].seq for each in outcomes if isinstance(each, list)} == {1}
    assert_contiguous(archive.db)


def test_a_conflict_between_the_callers_of_one_turn_keeps_the_losers_bytes(
    archive: Archive, turns: list[list[int]]
) -> None:
    outcomes = together(archive.door, [envelope("a", raw=b"1")], [envelope("a", raw=b"2")])
    assert turns == [[1, 1]]
    assert sorted(statuses(each)[0] for each in outcomes) == [Status.ACCEPTED, Status.QUARANTINED]
    loser = b"1" if statuses(outcomes[0]) == [Status.QUARANTINED] else b"2"
    assert [data for _, data in archive.quarantined()] == [loser]


def test_one_callers_failing_input_does_not_fail_the_others(
    archive: Archive, turns: list[list[int]]
) -> None:
    good, bad, fine = together(
        archive.door,
        [envelope("a"), envelope("b")],
        [envelope("x"), envelope("y", source_seq=2**70)],
        [envelope("c")],
    )
    assert turns[0] in ([2, 2, 1], [1, 2, 2], [2, 1, 2])
    assert statuses(good) == [Status.ACCEPTED] * 2
    assert statuses(fine) == [Status.ACCEPTED]
    assert isinstance(bad, UNSTORABLE)
    assert {message.source_msg_id for message in messages_of(archive.db)} == {"a", "b", "c"}
    assert_contiguous(archive.db)
    assert archive.differences() == []


def test_everyone_in_a_turn_hears_that_the_database_is_away(
    archive: Archive, fail_once: Callable[[BaseException], None], turns: list[list[int]]
) -> None:
    fail_once(Unavailable("样例"))
    outcomes = together(archive.door, [envelope("a")], [envelope("b")])
    assert turns == [[1, 1]]
    assert all(isinstance(each, Unavailable) for each in outcomes)
    assert rows_in(archive.db)["records"] == 0
    assert statuses(put(archive.door, envelope("a"))) == [Status.ACCEPTED]


def test_a_turn_that_breaks_leaves_nothing(
    archive: Archive, fail_once: Callable[[BaseException], None]
) -> None:
    before = rows_in(archive.db)
    fail_once(Broken())
    with pytest.raises(Broken):
        put(archive.door, envelope("a"), in_group("b", corp="ww2"), envelope("a", raw=b"0"))
    assert rows_in(archive.db) == before


@pytest.mark.parametrize("error", [Broken(), Unavailable("样例")])
def test_nothing_is_remembered_of_a_turn_that_broke(
    archive: Archive, fail_once: Callable[[BaseException], None], error: Exception
) -> None:
    put(archive.door, envelope("a1"), in_group("a2", conversation_name="旧名"))
    batch = [
        envelope("b1"),  # a known conversation
        in_group("b2", conversation_name="新名"),  # renamed
        between("b3", "wmNew"),  # a new one
        in_group("b4", "wrNew", conversation_name="新群"),
        envelope("b5", corp="ww2"),  # a new corp
    ]
    fail_once(error)
    with pytest.raises(type(error)):
        put(archive.door, *batch)
    assert len(messages_of(archive.db)) == 2
    answers = put(archive.door, *batch)
    assert [each.seq for each in answers] == [3, 4, 5, 6, 1]
    assert_contiguous(archive.db)
    assert names_of(archive.db) == [None, "新名", None, "新群", None]
    assert archive.differences() == []
    found = rows_in(archive.db)
    assert (found["employees"], found["clients"], found["groups"]) == (2, 3, 2)


def test_a_broken_turn_in_between_does_not_disturb_the_numbers(
    archive: Archive, fail_once: Callable[[BaseException], None]
) -> None:
    for number in range(6):
        if number % 2:
            fail_once(Broken())
            with pytest.raises(Broken):
                put(archive.door, between(f"lost{number}", "wm9"), envelope(f"lost-too{number}"))
        put(archive.door, envelope(f"m{number}"), between(f"n{number}", f"wm{number}"))
    assert_contiguous(archive.db)
    assert [message.seq for message in messages_of(archive.db)] == [*range(1, 13)]
    assert archive.differences() == []


def test_batches_larger_than_a_turn_come_through_in_order(
    archive: Archive, turns: list[list[int]]
) -> None:
    size = 2 * TURN_SIZE + 3
    first = prepared(archive.door, [envelope("m0")])[0]
    batch = [
        first._replace(envelope=first.envelope._replace(source_msg_id=f"m{number}"))
        for number in range(size)
    ]
    answers = archive.door.append(batch)
    assert turns == [[TURN_SIZE], [TURN_SIZE], [3]]
    assert [each.seq for each in answers] == [*range(1, size + 1)]
    assert [each.source_msg_id for each in answers] == [f"m{number}" for number in range(size)]
    assert_contiguous(archive.db)
    again = archive.door.append(batch)
    assert [each.seq for each in again] == [*range(1, size + 1)]
    assert {each.status for each in again} == {Status.DUPLICATE}


def test_nothing_handed_in_is_nothing_answered(archive: Archive) -> None:
    assert archive.door.append([]) == []
    assert rows_in(archive.db)["records"] == 0


def test_a_group_is_named_by_its_last_message_with_a_name(archive: Archive) -> None:
    put(archive.door, in_group("m1", conversation_name="一"), in_group("m2"))
    assert names_of(archive.db) == ["一"]
    put(archive.door, in_group("m3"))
    assert names_of(archive.db) == ["一"]
    put(
        archive.door, in_group("m4", conversation_name="二"), in_group("m5", conversation_name="三")
    )
    assert names_of(archive.db) == ["三"]
    open_archive(archive.db, Path("unused"))  # a door without memory
    put(archive.door, in_group("m6", conversation_name="四"), in_group("m7"))
    assert names_of(archive.db) == ["四"]
    assert_contiguous(archive.db)
    assert archive.differences() == []


def test_a_person_or_group_named_anywhere_in_a_batch_has_that_name(archive: Archive) -> None:
    nameless, other = EMPLOYEE._replace(name=None), Party(PartyType.CLIENT, "wmB")
    put(
        archive.door,
        in_group("m1", sender=nameless, recipients=(other,)),
        in_group("m2", recipients=(other._replace(name="样例乙"),), conversation_name="样例群"),
        in_group("m3", sender=nameless, recipients=(other,)),
    )
    with archive.db.read() as connection:
        found = [
            connection.execute(select(table.name)).scalars().all()
            for table in (Employee, Client, Group)
        ]
    assert found == [["苏禾"], ["样例乙"], ["样例群"]]


def test_a_recall_needs_no_original(archive: Archive) -> None:
    put(
        archive.door,
        envelope("r1", action=Action.RECALL, kind="revoke", recalls="never-seen", text=""),
    )
    [message] = messages_of(archive.db)
    assert (message.action, message.recalls) == (Action.RECALL, "never-seen")
    assert archive.differences() == []


@pytest.mark.parametrize(
    ("sender", "recipients", "direction"),
    [
        (EMPLOYEE, (), Direction.INTERNAL),
        (EMPLOYEE, (EMPLOYEE,), Direction.INTERNAL),
        (EMPLOYEE, (EMPLOYEE._replace(name="别名"), CLIENT), Direction.OUTBOUND),
        (CLIENT, (EMPLOYEE, CLIENT), Direction.INBOUND),
        (Party(PartyType.ROBOT, "wbA"), (CLIENT,), Direction.OUTBOUND),
        (Party(PartyType.UNKNOWN, ""), (EMPLOYEE,), Direction.INBOUND),
        (Party(PartyType.UNKNOWN, ""), (), Direction.INTERNAL),
        (Party(PartyType.UNKNOWN, "x"), (Party(PartyType.UNKNOWN, "x"),), Direction.INBOUND),
        (EMPLOYEE, (Party(PartyType.CLIENT, EMPLOYEE.id),), Direction.OUTBOUND),
    ],
)
def test_whoever_takes_part_is_kept_as_told(
    archive: Archive, sender: Party, recipients: tuple[Party, ...], direction: Direction
) -> None:
    put(archive.door, envelope("m1", sender=sender, recipients=recipients))
    put(archive.door, in_group("m2", sender=sender, recipients=recipients))
    messages = messages_of(archive.db)
    for message in messages:
        assert (message.sender, message.recipients) == (sender, recipients)
        assert message.direction is direction
    assert [message.counter for message in messages] == [1, 1]
    assert archive.differences() == []


def test_only_employees_and_clients_become_people(archive: Archive) -> None:
    others = (Party(PartyType.ROBOT, "wbA"), Party(PartyType.UNKNOWN, "x"))
    put(archive.door, envelope("m1", recipients=others))
    found = rows_in(archive.db)
    assert (found["employees"], found["clients"], found["audience_parties"]) == (1, 0, 3)


def test_a_single_chat_is_one_conversation_whoever_speaks(archive: Archive) -> None:
    put(archive.door, envelope("m1"), envelope("m2", sender=CLIENT, recipients=(EMPLOYEE,)))
    renamed = CLIENT._replace(name="改名")
    put(archive.door, envelope("m3", recipients=(renamed,)))
    assert [message.counter for message in messages_of(archive.db)] == [1, 2, 3]


def test_longest_ids_fit_on_both_databases(archive: Archive) -> None:
    long = "\N{CJK UNIFIED IDEOGRAPH-20BB7}" * 256
    message = in_group(
        long,
        long,
        corp=long,
        conversation_name=long,
        sender=Party(PartyType.EMPLOYEE, long, long),
        recipients=(Party(PartyType.CLIENT, long, long), Party(PartyType.UNKNOWN, long)),
        action=Action.RECALL,
        recalls=long,
    )
    assert statuses(put(archive.door, message)) == [Status.ACCEPTED]
    assert statuses(put(archive.door, message)) == [Status.DUPLICATE]
    [kept] = messages_of(archive.db)
    assert (kept.source_msg_id, kept.recalls, kept.corp) == (long, long, long)
    assert archive.differences() == []


@pytest.mark.parametrize(
    "text",
    [
        "好" * (MAX_TEXT_BYTES // 3),
        "\N{REPLACEMENT CHARACTER}好\N{REPLACEMENT CHARACTER}",
        "",
        "' OR 1=1; -- %s %% :name \\ \"",
        "\r\n\t\x01\x7f\u2028\u202e\ufeff",
        "\N{CJK UNIFIED IDEOGRAPH-20BB7}e\u0301",
    ],
    ids=["1 MB", "U+FFFD", "empty", "quotes", "controls", "beyond the first plane"],
)
def test_any_text_comes_back_unchanged(archive: Archive, text: str) -> None:
    raw = text.encode()
    put(archive.door, envelope("m1", text=text, raw=raw))
    [message] = messages_of(archive.db)
    assert message.text == text
    with archive.db.read() as connection:
        number = connection.execute(select(Record.id)).scalar_one()
        assert read_raw(connection, archive.keyring, number, "ww1") == raw
    assert archive.differences() == []
