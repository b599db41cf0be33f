"""A batch through the door: every line ends as a receipt, in its place, and none spoils another."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.archive import quarantine
from app.archive.append import Receipt, Status
from app.archive.domain import Envelope
from app.archive.quarantine import State
from app.archive.store import Message, read_log
from app.capture import receive
from app.capture.bodies import Rejected
from app.capture.envelope import parse_envelope
from app.capture.receive import NotReplayable, tally
from app.capture.wecom import parse_wecom
from app.foundation.database import Database
from app.foundation.errors import BadInput, Conflict, NotFound
from app.people import corp_codes
from tests.archive.conftest import Archive, open_archive

EXAMPLES = (Path(__file__).parents[1] / "data" / "wecom_examples.ndjson").read_bytes().splitlines()


@pytest.fixture
def archive(db: Database, tmp_path: Path) -> Archive:
    return open_archive(db, tmp_path)


def line(name: str = "m1", **changes: Any) -> bytes:
    """A message of the contract with the given fields in place of its own; None takes one out."""
    fields = {
        "corp": "ww1",
        "source": "wecom",
        "source_msg_id": name,
        "source_seq": None,
        "sent_at": "2026-03-05T10:11:12.345+08:00",
        "conversation": {"kind": "single", "id": None, "name": None},
        "sender": {"type": "employee", "id": "su.he", "name": "苏禾"},
        "recipients": [{"type": "client", "id": "wmA", "name": None}],
        "kind": "text",
        "action": "send",
        "recalls": None,
        "text": f"净值以公告为准 {name}",
        "content": {},
        "raw": None,
    }
    return json.dumps(fields | changes, ensure_ascii=False).encode()


def log_of(archive: Archive, corp: str = "ww1") -> list[Message]:
    with archive.db.read() as connection:
        ids = {code: number for number, code in corp_codes(connection).items()}
        return read_log(connection, ids.get(corp, 0), 0, 20_000)


def states(archive: Archive) -> list[State]:
    return [item.state for item, _ in archive.quarantined()]


def test_good_and_bad_lines_are_answered_in_their_order(archive: Archive) -> None:
    lines = [
        line("m1"),
        b"{not json",
        line("m2", sent_at="yesterday"),
        line("m1"),
        b" ",
        line("m3", corp=None),
        line("m1", text="保本保息"),
        line("m4"),
        b"\xff\xfe",
        b"[]",
    ]
    answers = archive.capture.receive(lines)
    assert [(each.status, each.source_msg_id, each.seq, each.error) for each in answers] == [
        (Status.ACCEPTED, "m1", 1, None),
        (Status.QUARANTINED, None, None, "not_json"),
        (Status.QUARANTINED, "m2", None, "sent_at_invalid"),
        (Status.DUPLICATE, "m1", 1, None),
        (Status.REJECTED, None, None, "empty"),
        (Status.QUARANTINED, "m3", None, "corp_missing"),
        (Status.QUARANTINED, "m1", None, "conflict"),
        (Status.ACCEPTED, "m4", 2, None),
        (Status.QUARANTINED, None, None, "not_utf8"),
        (Status.QUARANTINED, None, None, "not_an_object"),
    ]
    assert all(each.detail for each in answers if each.error)
    kept = [(item.door, item.corp, item.reason, data) for item, data in archive.quarantined()]
    assert sorted(kept, key=lambda each: each[2]) == [
        ("archive", "ww1", "conflict", lines[6]),
        ("messages", None, "corp_missing", lines[5]),
        ("messages", None, "not_an_object", b"[]"),
        ("messages", None, "not_json", b"{not json"),
        ("messages", None, "not_utf8", b"\xff\xfe"),
        ("messages", "ww1", "sent_at_invalid", lines[2]),
    ]
    assert [message.source_msg_id for message in log_of(archive)] == ["m1", "m4"]


LINES = st.lists(
    st.sampled_from(
        [line("a"), line("b"), line("a", text="x"), b"{", b"", b"1", line("c", kind="")]
    )
    | st.binary(max_size=12),
    max_size=8,
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(lines=LINES)
def test_every_line_has_one_receipt_and_no_bytes_are_lost(
    archive: Archive, lines: list[bytes]
) -> None:
    answers = archive.capture.receive(lines)
    assert len(answers) == len(lines)
    kept = {data for _, data in archive.quarantined()}
    for sent, answer in zip(lines, answers, strict=True):
        archived = answer.status in (Status.ACCEPTED, Status.DUPLICATE)
        assert archived == (answer.seq is not None) == (answer.error is None)
        assert (answer.status is Status.QUARANTINED) <= (sent in kept)
        assert (answer.status is Status.REJECTED) == (not sent.strip())
    assert tally(answers) == {
        status.value: sum(each.status is status for each in answers) for status in Status
    }


def test_the_tally_names_every_status() -> None:
    assert tally([]) == {"accepted": 0, "duplicate": 0, "quarantined": 0, "rejected": 0}
    receipts = [Receipt(Status.ACCEPTED, "a", 1, "00"), Receipt(Status.REJECTED, None)]
    assert tally(receipts) == {"accepted": 1, "duplicate": 0, "quarantined": 0, "rejected": 1}


def test_nothing_sent_is_nothing_done(archive: Archive) -> None:
    assert archive.capture.receive([]) == []
    assert archive.capture.receive_wecom([], "ww1") == []
    assert archive.capture.receive([b"", b" "])[0].status is Status.REJECTED
    assert archive.quarantined() == []


def test_every_documented_wecom_message_is_archived_with_its_text(archive: Archive) -> None:
    answers = archive.capture.receive_wecom(EXAMPLES, "ww1")
    assert tally(answers) == {
        "accepted": len(EXAMPLES),
        "duplicate": 0,
        "quarantined": 0,
        "rejected": 0,
    }
    log = log_of(archive)
    assert [message.seq for message in log] == [*range(1, len(EXAMPLES) + 1)]
    for message, example in zip(log, EXAMPLES, strict=True):
        expected = parse_wecom(example, "ww1")
        assert message.source_msg_id == expected.source_msg_id == json.loads(example)["msgid"]
        assert (message.text, message.kind) == (expected.text, expected.kind)
        assert (message.sender, message.recipients) == (expected.sender, expected.recipients)
    assert sum(bool(message.text) for message in log) > len(log) // 2
    assert archive.differences() == []
    again = archive.capture.receive_wecom(EXAMPLES, "ww1")
    assert [each._replace(status=Status.ACCEPTED) for each in again] == answers
    assert tally(again)["duplicate"] == len(EXAMPLES)


def test_a_broken_wecom_line_is_kept_with_its_corp_and_replays_as_wecom(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receive, "parse_wecom", _refuse)
    answers = archive.capture.receive_wecom([EXAMPLES[0], b"{"], " ww1 ")
    assert {each.status for each in answers} == {Status.QUARANTINED}
    [(item, data), (broken, _)] = archive.quarantined()
    assert (item.door, item.corp, data) == ("wecom", "ww1", EXAMPLES[0])
    monkeypatch.undo()
    receipt = archive.capture.replay(item.id)
    assert receipt == Receipt(Status.ACCEPTED, "3301_1762912800123_external", 1, receipt.digest)
    with pytest.raises(NotReplayable) as caught:
        archive.capture.replay(broken.id)
    assert caught.value.facts == {"reason": "not_json"}
    assert states(archive) == [State.REPLAYED, State.WAITING]
    [message] = log_of(archive)
    assert message.text == parse_wecom(EXAMPLES[0], "ww1").text


def _refuse(*_: object) -> Envelope:
    raise Rejected("not_understood", "尚不支持")


@pytest.mark.parametrize("corp", ["", " ", "\t\n", "w" * 257, "\ufb2c" * 256])
def test_wecom_messages_need_a_corp_that_can_be_kept(archive: Archive, corp: str) -> None:
    with pytest.raises(BadInput):
        archive.capture.receive_wecom(EXAMPLES[:1], corp)


def test_a_corp_is_kept_in_one_spelling(archive: Archive) -> None:
    archive.capture.receive_wecom([EXAMPLES[0], b"{"], "  e\u0301\0 ")
    assert [message.corp for message in log_of(archive, "\u00e9\ufffd")] == ["\u00e9\ufffd"]
    assert [item.corp for item, _ in archive.quarantined()] == ["\u00e9\ufffd"]


def test_what_is_replayed_after_a_fix_is_archived_once(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receive, "parse_envelope", _refuse)
    archive.capture.receive([line("m1")])
    [(item, data)] = archive.quarantined()
    assert data == archive.capture.quarantined_bytes(item.id) == line("m1")
    with pytest.raises(NotReplayable) as caught:
        archive.capture.replay(item.id)
    assert caught.value.facts == {"reason": "not_understood"}
    assert log_of(archive) == []
    monkeypatch.undo()
    assert archive.capture.replay(item.id).status is Status.ACCEPTED
    with pytest.raises(Conflict):
        archive.capture.replay(item.id)
    with pytest.raises(Conflict):
        archive.capture.discard(item.id)
    assert states(archive) == [State.REPLAYED]
    assert archive.capture.receive([line("m1")])[0].status is Status.DUPLICATE
    assert len(log_of(archive)) == 1


def test_what_was_archived_meanwhile_replays_as_its_duplicate(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receive, "parse_envelope", _refuse)
    archive.capture.receive([line("m1")])
    monkeypatch.undo()
    first = archive.capture.receive([line("m1")])[0]
    [(item, _)] = archive.quarantined()
    assert archive.capture.replay(item.id) == first._replace(status=Status.DUPLICATE)
    assert states(archive) == [State.REPLAYED]


def test_what_was_discarded_is_not_archived_by_a_replay(archive: Archive) -> None:
    archive.capture.receive([b"{"])
    [(item, _)] = archive.quarantined()
    archive.capture.discard(item.id)
    with pytest.raises(Conflict):
        archive.capture.replay(item.id)
    [(after, data)] = archive.quarantined()
    assert (after.state, data) == (State.DISCARDED, b"{")


@pytest.mark.parametrize("number", [0, 1, 2**53])
def test_an_unknown_item_is_neither_replayed_nor_discarded(archive: Archive, number: int) -> None:
    with pytest.raises(NotFound):
        archive.capture.replay(number)
    with pytest.raises(NotFound):
        archive.capture.discard(number)


@pytest.mark.parametrize("is_wecom", [False, True])
def test_a_conflict_stays_one_however_often_it_is_replayed(
    archive: Archive,
    is_wecom: bool,  # noqa: FBT001
) -> None:
    if is_wecom:
        other = EXAMPLES[0].replace(b"text", b"link")
        archive.capture.receive_wecom([EXAMPLES[0], other], "ww1")
    else:
        other = line("m1", text="保本保息")
        archive.capture.receive([line("m1"), other])
    [(item, data)] = archive.quarantined()
    assert data == other
    for _ in range(2):
        with pytest.raises(NotReplayable) as caught:
            archive.capture.replay(item.id)
        assert caught.value.facts == {"reason": "conflict"}
    assert states(archive) == [State.WAITING]
    assert len(log_of(archive)) == 1


@pytest.fixture
def unstorable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the reading of a message let a value through that no database takes."""

    def parse(sent: bytes) -> Envelope:
        envelope = parse_envelope(sent)
        is_bad = envelope.source_msg_id.startswith("bad")
        return envelope._replace(source_seq=2**70) if is_bad else envelope

    monkeypatch.setattr(receive, "parse_envelope", parse)


@pytest.mark.usefixtures("unstorable")
def test_a_value_that_the_database_refuses_spoils_no_other_message(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [line("m1"), b"{", line("bad1"), line("m2"), line("m3"), line("bad2"), line("m1")]
    answers = archive.capture.receive(lines)
    assert [(each.status, each.source_msg_id, each.seq, each.error) for each in answers] == [
        (Status.ACCEPTED, "m1", 1, None),
        (Status.QUARANTINED, None, None, "not_json"),
        (Status.QUARANTINED, "bad1", None, "not_storable"),
        (Status.ACCEPTED, "m2", 2, None),
        (Status.ACCEPTED, "m3", 3, None),
        (Status.QUARANTINED, "bad2", None, "not_storable"),
        (Status.DUPLICATE, "m1", 1, None),
    ]
    kept = {data: item for item, data in archive.quarantined()}
    assert kept.keys() == {b"{", lines[2], lines[5]}
    with pytest.raises(NotReplayable) as caught:
        archive.capture.replay(kept[lines[2]].id)
    assert caught.value.facts == {"reason": "not_storable"}
    monkeypatch.undo()
    assert archive.capture.replay(kept[lines[2]].id).seq == 4
    assert archive.differences() == []


def test_a_large_bad_line_is_kept_whole(archive: Archive) -> None:
    large = b'{"text":"' + b"x" * 300_000
    archive.capture.receive([large, line("m1")])
    [(item, data)] = archive.quarantined()
    assert (item.size, data) == (len(large), large)
    assert len([*archive.blobs.names()]) == 1
    with archive.db.read() as connection:
        assert quarantine.waiting(connection) == 1


def test_a_corp_in_a_bad_line_may_be_as_long_as_it_likes(archive: Archive) -> None:
    longer_once_normalised = "\ufb2c" * 256
    answers = archive.capture.receive([line("m1", corp=longer_once_normalised), line("m2")])
    assert [each.status for each in answers] == [Status.QUARANTINED, Status.ACCEPTED]
