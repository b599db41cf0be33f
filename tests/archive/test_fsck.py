"""Whoever can write to the database cannot change a record unseen.

With one exception, which fsck states itself: records cut off from the end of a log, together with all that names
them, leave a shorter log that is whole. Only a head that is kept elsewhere shows that (the checkpoints of the
Merkle log); `test_a_log_cut_off_at_its_end_looks_whole` pins down that fsck claims no more than it can.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, String, cast, delete, insert, select, type_coerce, update

from app.archive import fsck
from app.archive.domain import Party, PartyType
from app.archive.fsck import Difference, Report
from app.archive.models import (
    Audience,
    AudienceParty,
    Conversation,
    QuarantineItem,
    Record,
    record_id,
)
from app.archive.quarantine import INLINE_BYTES, Reject
from app.foundation.database import Database
from app.foundation.keys import BucketKey, KeyRing
from app.people.models import Corp
from tests.archive.conftest import Archive
from tests.archive.samples import between, envelope, in_group, put

Tamper = Callable[[Connection], object]
ROBOT = Party(PartyType.ROBOT, "wbA")


@pytest.fixture
def filled(archive: Archive) -> Archive:
    """Twelve messages of one corp in three conversations, one of another, three inputs in quarantine.

    Numbers 1, 4, 7, 10 are a single chat, 2, 5, 8, 11 another, 3, 6, 9, 12 a group.
    """
    batch = [
        message
        for number in range(4)
        for message in (
            envelope(f"a{number}"),
            between(f"b{number}", "wmB"),
            in_group(f"c{number}", recipients=(ROBOT,), conversation_name="样例群"),
        )
    ]
    rejects = [
        Reject("messages", "ww1", "not_json", "样例", data)
        for data in (b"small", b"x" * INLINE_BYTES, b"no")
    ]
    archive.door.append([archive.door.prepare(message) for message in batch], rejects)
    put(archive.door, envelope("other", corp="ww2"))
    return archive


def check(archive: Archive) -> Report:
    """What a process that has just started finds."""
    return fsck.check(archive.db, KeyRing(bytes(32)), archive.blobs)


def differences(archive: Archive) -> list[tuple[str, str]]:
    return [(each.place, each.what) for each in check(archive).differences]


def tampered(db: Database, *deeds: Tamper) -> None:
    """Do what somebody with the database's password can do: first take the guards away."""
    with db.write() as connection:
        if db.is_sqlite:
            names = connection.exec_driver_sql(
                "SELECT name FROM sqlite_master WHERE type='trigger'"
            )
            for name in names.scalars().all():
                connection.exec_driver_sql(f"DROP TRIGGER {name}")
        else:
            connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        for deed in deeds:
            deed(connection)


def on_record(seq: int, **values: Any) -> Tamper:
    """Overwrite columns of a record of the first corp."""
    table = Record.__table__
    statement = update(Record).where(Record.id == record_id(1, seq))
    return lambda connection: connection.execute(
        statement.values({table.c[name]: value for name, value in values.items()})
    )


def flipped(row_type: Any, column: Any, where: Any, *, at: int = -1) -> Tamper:
    """Flip one bit of a stored value."""

    def deed(connection: Connection) -> None:
        value = bytearray(connection.execute(select(column).where(where)).scalar_one())
        value[at] ^= 1
        connection.execute(update(row_type).where(where).values({column.key: bytes(value)}))

    return deed


def flipped_record(seq: int, column: Any, *, at: int = -1) -> Tamper:
    return flipped(Record, column, Record.id == record_id(1, seq), at=at)


def swapped(one: int, other: int, *columns: Any) -> Tamper:
    """Exchange columns of two records."""

    def deed(connection: Connection) -> None:
        ids = [record_id(1, one), record_id(1, other)]
        rows = [
            connection.execute(select(*columns).where(Record.id == number)).one() for number in ids
        ]
        for number, row in zip(ids, reversed(rows), strict=True):
            values = {column.key: value for column, value in zip(columns, row, strict=True)}
            connection.execute(update(Record).where(Record.id == number).values(values))

    return deed


def renumbered(one: int, other: int) -> Tamper:
    """Exchange the numbers of two records, with everything else in place."""

    def move(connection: Connection, source: int, target: int) -> None:
        place = update(Record).where(Record.id == record_id(1, source))
        connection.execute(place.values(id=record_id(1, target)))

    def deed(connection: Connection) -> None:
        move(connection, one, 1_000)
        move(connection, other, one)
        move(connection, 1_000, other)

    return deed


def removed(*seqs: int) -> Tamper:
    ids = [record_id(1, seq) for seq in seqs]
    return lambda connection: connection.execute(delete(Record).where(Record.id.in_(ids)))


def copied(seq: int, target: int) -> Tamper:
    """Put a record in a second time under another number."""

    def deed(connection: Connection) -> None:
        columns = Record.__table__.c
        row = connection.execute(select(*columns).where(columns.id == record_id(1, seq))).one()
        values = row._asdict() | {"id": target, "source_msg_id": "copy", "counter": 5}
        connection.execute(insert(Record).values(values))

    return deed


def of_conversation(seq: int) -> Any:
    return select(Record.conversation_id).where(Record.id == record_id(1, seq)).scalar_subquery()


def of_audience(seq: int) -> Any:
    return select(Record.audience_id).where(Record.id == record_id(1, seq)).scalar_subquery()


def of_bucket(seq: int) -> Any:
    return select(Record.bucket_id).where(Record.id == record_id(1, seq)).scalar_subquery()


def on_conversation(seq: int, **values: Any) -> Tamper:
    statement = update(Conversation).where(Conversation.id == of_conversation(seq)).values(values)
    return lambda connection: connection.execute(statement)


def on_key(where: Any, **values: Any) -> Tamper:
    return lambda connection: connection.execute(update(BucketKey).where(where).values(values))


ALL_OF_ONE = [(f"msg_1_{seq}", "conversation") for seq in (1, 4, 7, 10)]
RECORDS: dict[str, tuple[Tamper, list[tuple[str, str]]]] = {
    "text": (on_record(5, text="保本保息"), [("msg_1_5", "leaf")]),
    "text, one space": (on_record(5, text="净值以公告为准 "), [("msg_1_5", "leaf")]),
    "sender's name": (
        on_record(5, sender='["employee","su.he","别人"]'),
        [("msg_1_5", "leaf")],
    ),
    "sender": (
        on_record(5, sender='["employee","wei.zhun","苏禾"]'),
        [("msg_1_5", "conversation"), ("msg_1_5", "audience"), ("msg_1_5", "leaf")],
    ),
    "sender of a group": (
        on_record(6, sender='["employee","wei.zhun","苏禾"]'),
        [("msg_1_6", "audience"), ("msg_1_6", "leaf")],
    ),
    "sender's type": (
        on_record(6, sender='["client","su.he","苏禾"]'),
        [("msg_1_6", "audience"), ("msg_1_6", "direction"), ("msg_1_6", "leaf")],
    ),
    "recipients": (
        on_record(6, recipients="[]"),
        [("msg_1_6", "audience"), ("msg_1_6", "leaf")],
    ),
    "recipients, twice": (
        on_record(6, recipients='[["robot","wbA",null],["robot","wbA",null]]'),
        [("msg_1_6", "leaf")],
    ),
    "direction": (on_record(5, direction="internal"), [("msg_1_5", "direction")]),
    "source": (on_record(5, source="mail"), [("msg_1_5", "sealed")]),
    "source id": (on_record(5, source_msg_id="b9"), [("msg_1_5", "sealed")]),
    "source number": (on_record(5, source_seq=1), [("msg_1_5", "leaf")]),
    "kind": (on_record(5, kind="image"), [("msg_1_5", "leaf")]),
    "action": (on_record(5, action="recall"), [("msg_1_5", "leaf")]),
    "recalls": (on_record(5, recalls="a0"), [("msg_1_5", "leaf")]),
    "time sent": (
        on_record(5, sent_at=type_coerce(1_772_000_000_001, Record.counter.type)),
        [("msg_1_5", "leaf")],
    ),
    "time received": (
        on_record(5, received_at=type_coerce(1_772_000_000_001, Record.counter.type)),
        [("msg_1_5", "leaf")],
    ),
    "time beyond all calendars": (
        on_record(5, sent_at=type_coerce(2**62, Record.counter.type)),
        [("msg_1_5", "leaf")],
    ),
    "corp": (on_record(5, corp_id=2), [("msg_1_5", "corp")]),
    "digest": (flipped_record(5, Record.digest), [("msg_1_5", "digest")]),
    "sealed bytes": (flipped_record(5, Record.sealed, at=40), [("msg_1_5", "sealed")]),
    "wrapped key": (flipped_record(5, Record.wrapped_key), [("msg_1_5", "sealed")]),
    "wrapped key, cut": (on_record(5, wrapped_key=b"xx"), [("msg_1_5", "sealed")]),
    "leaf, a commitment": (flipped_record(5, Record.leaf), [("msg_1_5", "leaf")]),
    "leaf, its number": (flipped_record(5, Record.leaf, at=28), [("msg_1_5", "leaf")]),
    "leaf, its magic": (flipped_record(5, Record.leaf, at=0), [("msg_1_5", "row")]),
    "leaf, cut": (on_record(5, leaf=b"WXA1"), [("msg_1_5", "row")]),
    "suite": (on_record(5, suite=77), [("msg_1_5", "row")]),
    "counter": (
        on_record(11, counter=9),
        [("msg_1_11", "leaf"), ("conversation", "counter")],
    ),
    "counter below all": (
        on_record(5, counter=-1),
        [("msg_1_5", "row")],
    ),
    "a row taken out": (removed(5), [("msg_1_5", "seq"), ("conversation", "counter")]),
    "two rows taken out": (removed(5, 6), [("msg_1_5", "seq"), *[("conversation", "counter")] * 2]),
    "the first row taken out": (removed(1), [("msg_1_1", "seq"), ("conversation", "counter")]),
    "two rows with numbers exchanged": (
        renumbered(4, 7),
        [("msg_1_4", "leaf"), ("msg_1_7", "leaf")],
    ),
    "two texts exchanged": (
        swapped(6, 9, Record.sender, Record.text, Record.sealed, Record.wrapped_key),
        [("msg_1_6", "sealed"), ("msg_1_9", "sealed")],
    ),
    "two leaves exchanged": (
        swapped(6, 9, Record.leaf),
        [("msg_1_6", "leaf"), ("msg_1_9", "leaf")],
    ),
    "a row of another conversation": (
        on_record(12, conversation_id=of_conversation(11), counter=5),
        [("msg_1_12", "conversation"), ("msg_1_12", "leaf")],
    ),
    "a row of no conversation": (
        on_record(12, conversation_id=999),
        [("msg_1_12", "row"), ("conversation", "counter")],
    ),
    "a row of another audience": (
        on_record(5, audience_id=of_audience(4)),
        [("msg_1_5", "audience")],
    ),
    "a row of another key": (on_record(5, bucket_id=of_bucket(4)), [("msg_1_5", "sealed")]),
    "a row put in at the end": (copied(12, record_id(1, 13)), [("msg_1_13", "sealed")]),
    "a row put in far off": (
        copied(12, record_id(1, 2**39)),
        [("msg_1_13", "seq"), (f"msg_1_{2**39}", "sealed")],
    ),
    "a row of no corp": (copied(12, record_id(77, 1)), [("msg_77_1", "corp")]),
    "a row before the first": (copied(12, record_id(1, 0)), [("msg_1_0", "corp")]),
    "a conversation's tag": (
        flipped(Conversation, Conversation.tag, Conversation.id == of_conversation(1)),
        ALL_OF_ONE,
    ),
    "a conversation's kind": (
        on_conversation(3, kind="single"),
        [(f"msg_1_{seq}", what) for seq in (3, 6, 9, 12) for what in ("conversation", "leaf")],
    ),
    "a conversation's room": (
        on_conversation(3, external_id="wrB"),
        [(f"msg_1_{seq}", what) for seq in (3, 6, 9, 12) for what in ("conversation", "leaf")],
    ),
    "a conversation's corp": (on_conversation(1, corp_id=2), ALL_OF_ONE),
    "a conversation's key": (
        on_key(BucketKey.id == of_bucket(1), wrapped=bytes(60)),
        [(f"msg_1_{seq}", "key") for seq in (1, 4, 7, 10)],
    ),
    "a conversation's key's suite": (
        on_key(BucketKey.id == of_bucket(1), suite=77),
        [(f"msg_1_{seq}", "key") for seq in (1, 4, 7, 10)],
    ),
    "a corp's key": (on_key(BucketKey.name == "tenant|ww1", wrapped=bytes(60)), [("corp", "key")]),
    "a corp's key, destroyed": (
        on_key(BucketKey.name == "tenant|ww1", wrapped=None),
        [("corp", "key")],
    ),
    "a corp's key, taken out": (
        lambda connection: connection.execute(
            delete(BucketKey).where(BucketKey.name == "tenant|ww1")
        ),
        [("corp", "key")],
    ),
    "a corp's name": (
        lambda connection: connection.execute(
            update(Corp).where(Corp.code == "ww1").values(code="ww9")
        ),
        [("corp", "key")],
    ),
    "a member put into an audience": (
        lambda connection: connection.execute(
            insert(AudienceParty).values(
                audience_id=of_audience(1), party_type="employee", party_id="wei.zhun"
            )
        ),
        [("audience", "audience")],
    ),
    "a member taken out of an audience": (
        lambda connection: connection.execute(
            delete(AudienceParty).where(
                AudienceParty.audience_id == of_audience(1), AudienceParty.party_type == "client"
            )
        ),
        [("audience", "audience")],
    ),
    "a member exchanged": (
        lambda connection: connection.execute(
            update(AudienceParty)
            .where(AudienceParty.audience_id == of_audience(1))
            .where(AudienceParty.party_type == "client")
            .values(party_id="wmZ")
        ),
        [("audience", "audience")],
    ),
    "an audience's tag": (
        flipped(Audience, Audience.tag, Audience.id == of_audience(1)),
        [*[(f"msg_1_{seq}", "audience") for seq in (1, 4, 7, 10)], ("audience", "audience")],
    ),
    "quarantined bytes": (
        flipped(QuarantineItem, QuarantineItem.sealed, QuarantineItem.size == 5, at=3),
        [("quarantine", "key_unusable")],
    ),
    "a quarantined input's size": (
        lambda connection: connection.execute(
            update(QuarantineItem).where(QuarantineItem.size == INLINE_BYTES).values(size=1)
        ),
        [("quarantine", "bytes")],
    ),
    "a quarantined input's door": (
        lambda connection: connection.execute(
            update(QuarantineItem).where(QuarantineItem.size == INLINE_BYTES).values(door="wecom")
        ),
        [("quarantine", "bytes")],
    ),
    "a quarantined input's blob's name": (
        lambda connection: connection.execute(
            update(QuarantineItem).where(QuarantineItem.blob.is_not(None)).values(blob=None)
        ),
        [("quarantine", "row")],
    ),
    "a quarantined input's key": (
        on_key(BucketKey.name == "quarantine", wrapped=None),
        [("quarantine", "key_unusable")] * 3,
    ),
}


def without_numbers(places: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Messages by their id, anything else by what it is."""
    return [
        (place if place.startswith("msg_") else place.split()[0], what) for place, what in places
    ]


def test_an_untouched_archive_has_no_difference(filled: Archive) -> None:
    seen: list[tuple[int, int]] = []
    report = fsck.check(
        filled.db, filled.keyring, filled.blobs, lambda *progress: seen.append(progress)
    )
    assert report == Report(records=13, quarantined=3, differences=[])
    assert seen == sorted(seen)
    assert seen[-1] == (13, 13)


def test_an_empty_archive_has_no_difference(archive: Archive) -> None:
    assert check(archive) == Report(0, 0, [])


@pytest.mark.parametrize("what", RECORDS)
def test_tampering_is_reported_at_its_place(filled: Archive, what: str) -> None:
    deed, expected = RECORDS[what]
    tampered(filled.db, deed)
    assert without_numbers(differences(filled)) == expected


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_missing_or_damaged_blob_is_reported(
    filled: Archive, tmp_path: Path, number: int
) -> None:
    [name] = filled.blobs.names()
    path = tmp_path / "blobs" / name[:2] / name
    data = path.read_bytes()
    path.unlink()
    if number:
        path.write_bytes((data[:-1], data + b"x")[number - 1])
    code = "blob_damaged" if number else "blob_missing"
    assert without_numbers(differences(filled)) == [("quarantine", code)]


@pytest.mark.parametrize("batch", [1, 3, 1_000])
@pytest.mark.parametrize("gone", [(3,), (4, 5, 6), (1, 2, 3), (11,), tuple(range(2, 12))])
def test_a_hole_is_seen_wherever_a_batch_ends(
    filled: Archive, monkeypatch: pytest.MonkeyPatch, gone: tuple[int, ...], batch: int
) -> None:
    monkeypatch.setattr(fsck, "_RECORDS", fsck._RECORDS.limit(batch))
    tampered(filled.db, removed(*gone))
    report = check(filled)
    holes = [each for each in report.differences if each.what == "seq"]
    assert holes == [Difference(f"msg_1_{gone[0]}", "seq", f"缺少 {gone[0]} 至 {gone[-1]}")]
    assert report.records == 13 - len(gone)


def test_every_difference_is_found_in_one_run(filled: Archive) -> None:
    tampered(filled.db, on_record(2, text="甲"), removed(5), on_record(9, direction="inbound"))
    found = without_numbers(differences(filled))
    assert found[:3] == [("msg_1_2", "leaf"), ("msg_1_5", "seq"), ("msg_1_9", "direction")]


def test_the_changed_fields_are_named(filled: Archive) -> None:
    tampered(filled.db, on_record(2, text="甲", kind="link"))
    [found] = check(filled).differences
    assert found.detail == "承诺不符：text、facts"


def test_a_log_cut_off_at_its_end_looks_whole(filled: Archive) -> None:
    tampered(filled.db, removed(11, 12))
    assert check(filled) == Report(11, 3, [])


def test_text_that_cannot_be_decoded_is_reported_and_hides_nothing(filled: Archive) -> None:
    if not filled.db.is_sqlite:
        pytest.skip("PostgreSQL keeps no such text")
    broken = cast(b"\xff\xfe", String)
    tampered(filled.db, on_record(5, text=broken), on_record(8, counter="x", text="甲"))
    assert without_numbers(differences(filled))[:2] == [("msg_1_5", "row"), ("msg_1_8", "row")]


@pytest.mark.parametrize("column", ["digest", "leaf", "sealed", "wrapped_key", "suite", "sender"])
@pytest.mark.parametrize("value", ["x", 7, 0.5])
def test_values_of_another_type_are_reported(filled: Archive, column: str, value: object) -> None:
    if not filled.db.is_sqlite:
        pytest.skip("PostgreSQL keeps no such values")
    statement = f"UPDATE records SET {column} = ? WHERE id = ?"  # noqa: S608
    tampered(
        filled.db,
        lambda connection: connection.exec_driver_sql(statement, (value, record_id(1, 5))),
    )
    assert [place for place, _ in differences(filled)] == ["msg_1_5"]
