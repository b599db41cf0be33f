"""Retention: nothing goes early, nothing held goes, nobody acts alone, and what is gone is gone everywhere."""

import base64
import json
import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select, update

from app.access import EVERYTHING, OPERATOR, Action, Caller, Role
from app.archive import fsck as archive_fsck
from app.archive.models import Record
from app.bootstrap import Services
from app.evidence import fsck, verify
from app.evidence.selection import Asked
from app.foundation import clock
from app.foundation.errors import Conflict
from app.foundation.keys import BucketKey, KeyHeld, KeyUnusable
from app.main import create_app
from app.retention import disposal, holds, schedules
from app.retention.clockwatch import ClockJumped
from app.retention.disposal import DisposalState, NothingDue
from app.retention.domain import RecordClass, Rule, RuleState, Trigger, add_months, due
from app.retention.schedules import BelowFloor, SecondPerson
from tests.archive.samples import between, envelope, put
from tests.evidence.conftest import seal
from tests.evidence.packages import build, request

CANARY = "金丝雀暗号七四一九"
YEARS_AGO = clock.now_ms() - 3 * 365 * 86_400_000
PASSWORD = "long-enough-password-1"  # noqa: S105
ALL = frozenset({Action.MANAGE_RETENTION, Action.APPROVE_RETENTION, Action.SEE_RETENTION})
ANN, BEA, CAI, DAN = (Caller("user", f"usr_{name}", name, ALL, EVERYTHING) for name in "abcd")


def _old(services: Services) -> None:
    """One old conversation with the canary, one old without, one of today."""
    put(
        services.door,
        envelope("old", sent_at=YEARS_AGO, text=CANARY),
        between("other", "wmB", sent_at=YEARS_AGO, text="旧的另一段"),
        between("new", "wmC", sent_at=clock.now_ms(), text="今天的一段"),
    )
    seal(services)
    for follower in services.followers:
        if follower.name == "search":
            for corp, end in services.tails_of(follower).items():
                while follower.position(corp) < end:
                    follower.step(corp, follower.position(corp), end)


def _short(services: Services, months: int = 6) -> None:
    """Clients' messages are kept six months: proposed, agreed to, waited for."""
    name = schedules.propose(
        services.db, ANN, RecordClass.CLIENT, Trigger.MESSAGE, months, "测试"
    ).id
    schedules.decide(services.db, BEA, name, agree=True, wait=timedelta(0))
    with services.db.write() as connection:
        schedules.settle(connection, clock.now())


def _approved(services: Services) -> str:
    name = services.disposals.request(ANN, "ww1", "到期").id
    services.disposals.approve(BEA, name)
    assert services.disposals.approve(CAI, name).state == DisposalState.APPROVED
    return name


def _texts(services: Services) -> list[str]:
    with services.db.read() as connection:
        return list(connection.execute(select(Record.text).order_by(Record.id)).scalars())


def _hold(services: Services, **asked: Any) -> holds.Hold:
    is_dynamic = asked.pop("dynamic", True)
    return holds.place(
        services.db,
        ANN,
        corp="ww1",
        name="案",
        reason="诉讼",
        asked=Asked(**asked),
        is_dynamic=is_dynamic,
    )


def test_what_is_due_goes_with_two_other_people_and_a_certificate(services: Services) -> None:
    _old(services)
    package = build(services, request())[1]
    _short(services)
    name = _approved(services)
    done = services.disposals.execute(DAN, name)
    assert done.state == DisposalState.CERTIFIED
    assert _texts(services) == ["", "", "今天的一段"]
    told = json.loads(base64.b64decode(disposal.certificate(done)["payload"]))
    assert told["proof"] == {
        "keys_destroyed": 2,
        "keys_that_open": 0,
        "records": 2,
        "texts_left": 0,
    }
    assert [each["by"] for each in told["approvals"]] == ["usr_b", "usr_c"]
    assert not package.exists()
    report = archive_fsck.check(services.db, services.keyring, services.blobs)
    assert report.differences == []
    assert fsck.check(services.db, services.signer, "liuhen") == []


def test_old_proofs_stay_valid_and_new_packages_say_what_is_gone(services: Services) -> None:
    _old(services)
    _, path = build(services, request())
    kept = services.settings.data / "kept.zip"
    kept.write_bytes(path.read_bytes())
    _short(services)
    services.disposals.execute(ANN, _approved(services))
    key = services.signer.vkey("liuhen/export")
    assert verify.verify(str(kept), [key])["C"][0] == "proved"
    _, path = build(services, request())
    verdicts = {claim: verdict for claim, (verdict, _) in verify.verify(str(path), [key]).items()}
    assert [verdicts[claim] for claim in "ABCFG"] == ["proved"] * 5
    assert "2 条有遮盖" in verify.verify(str(path), [key])["G"][1]


def test_the_planted_words_are_nowhere_in_the_data_folder(services: Services) -> None:
    _old(services)
    build(services, request())
    _short(services)
    needle = CANARY.encode()
    if services.db.is_sqlite:
        assert any(needle in data for data in _files(services.settings.data))
    services.disposals.execute(ANN, _approved(services))
    found = [data for data in _files(services.settings.data) if needle in data]
    assert found == []
    follower = next(each for each in services.followers if each.name == "search")
    assert follower.position(1) == 0  # the index begins anew


def _files(folder: Path) -> Iterator[bytes]:
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            yield path.read_bytes()


def test_a_late_message_for_a_disposed_month_gets_a_new_key(services: Services) -> None:
    _old(services)
    _short(services)
    services.disposals.execute(ANN, _approved(services))
    put(services.door, envelope("late", sent_at=YEARS_AGO + 1, text="迟到"))
    seal(services)
    assert _texts(services)[-1] == "迟到"
    assert archive_fsck.check(services.db, services.keyring, services.blobs).differences == []
    assert services.self_check.run().failures == []


def test_nothing_goes_before_its_time(services: Services) -> None:
    _old(services)
    with pytest.raises(NothingDue):  # twenty years at first
        services.disposals.request(ANN, "ww1", "x")
    schedules.propose(services.db, ANN, RecordClass.CLIENT, Trigger.CONTRACT_END, 6, "合同")
    _short(services)
    with pytest.raises(NothingDue):  # no contract's end is known
        services.disposals.request(ANN, "ww1", "x")
    schedules.note_event(
        services.db, ANN, "ww1", "wmB", Trigger.CONTRACT_END, clock.now() - timedelta(days=365), ""
    )
    assert len(services.disposals.request(ANN, "ww1", "x").buckets) == 1


def test_a_rule_lengthened_meanwhile_keeps(services: Services) -> None:
    _old(services)
    _short(services)
    name = _approved(services)
    schedules.propose(services.db, ANN, RecordClass.CLIENT, Trigger.MESSAGE, 60, "延长")
    done = services.disposals.execute(ANN, name)
    assert {each["kept_because"] for each in done.buckets} == {"rule"}
    assert CANARY in _texts(services)


@pytest.mark.parametrize("dynamic", [True, False])
def test_a_hold_beats_an_approved_disposal(services: Services, *, dynamic: bool) -> None:
    _old(services)
    _short(services)
    name = _approved(services)
    _hold(services, q=CANARY[:4], dynamic=dynamic)
    done = services.disposals.execute(ANN, name)
    assert sorted(each.get("kept_because", "") for each in done.buckets) == ["", "hold"]
    assert _texts(services)[:2] == [CANARY, ""]


def test_a_dynamic_hold_covers_what_comes_later(services: Services) -> None:
    put(services.door, between("first", "wmD", sent_at=clock.now_ms()))
    _hold(services, client=("wmA",), dynamic=True)
    _old(services)
    _short(services)
    services.disposals.execute(ANN, _approved(services))
    assert _texts(services)[1:3] == [CANARY, ""]


def test_the_database_itself_refuses_to_destroy_a_held_key(services: Services) -> None:
    _old(services)
    _hold(services, client=("wmA",))
    with services.db.read() as connection:
        bucket = connection.execute(
            select(Record.bucket_id).where(Record.text == CANARY)
        ).scalar_one()
    with pytest.raises(KeyHeld), services.db.write() as connection:
        services.keyring.destroy(connection, [bucket])
    with pytest.raises(Exception, match="key is held"), services.db.write() as connection:
        connection.execute(update(BucketKey).where(BucketKey.id == bucket).values(wrapped=None))
    with pytest.raises(Exception, match="append-only"), services.db.write() as connection:
        connection.execute(update(Record).values(text="", sealed=b"", wrapped_key=b"", digest=b""))
    assert CANARY in _texts(services)


def test_a_release_needs_another_person_and_a_cooling_period(services: Services) -> None:
    _old(services)
    _short(services)
    hold = _hold(services, client=("wmA", "wmB"))
    holds.ask_release(services.db, ANN, hold.id, "结案")
    with pytest.raises(SecondPerson):
        holds.release(services.db, ANN, hold.id, timedelta(0))
    holds.release(services.db, BEA, hold.id, timedelta(days=14))
    with pytest.raises(NothingDue):
        services.disposals.request(ANN, "ww1", "x")
    holds.refuse_release(services.db, CAI, hold.id)
    holds.ask_release(services.db, ANN, hold.id, "结案")
    holds.release(services.db, BEA, hold.id, timedelta(0))
    assert len(services.disposals.request(ANN, "ww1", "x").buckets) == 2


def test_neither_approver_is_the_requester_nor_the_other(services: Services) -> None:
    _old(services)
    _short(services)
    name = services.disposals.request(ANN, "ww1", "到期").id
    with pytest.raises(SecondPerson):
        services.disposals.approve(ANN, name)
    services.disposals.approve(BEA, name)
    with pytest.raises(SecondPerson):
        services.disposals.approve(BEA, name)
    with pytest.raises(Conflict):
        services.disposals.execute(ANN, name)
    assert CANARY in _texts(services)


def test_a_clock_that_was_set_stops_everything(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    _old(services)
    _short(services)
    name = _approved(services)
    real = clock.now_ms()
    with monkeypatch.context() as patched:
        patched.setattr(clock, "now_ms", lambda: real + 2 * 3_600_000)
        with pytest.raises(ClockJumped):
            services.disposals.execute(ANN, name)
    with monkeypatch.context() as patched:
        early = clock.now() - timedelta(minutes=30)
        patched.setattr(clock, "now", lambda: early)
        with pytest.raises(ClockJumped):
            services.disposals.execute(ANN, name)
    assert CANARY in _texts(services)


@pytest.mark.parametrize("step", ["_clear_packages", "_forget_index", "_truncate_log", "_proof"])
def test_a_disposal_that_dies_is_taken_up_again(
    services: Services, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    _old(services)
    _short(services)
    name = _approved(services)

    def die(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(services.disposals, step, die)
        with pytest.raises(OSError, match="No space"):
            services.disposals.execute(ANN, name)
    with services.db.read() as connection:
        assert disposal.one(connection, name).state == DisposalState.DESTROYED
    assert services.disposals.execute(ANN, name).state == DisposalState.CERTIFIED
    assert archive_fsck.check(services.db, services.keyring, services.blobs).differences == []


def test_a_disposal_that_dies_in_its_transaction_changes_nothing(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    _old(services)
    _short(services)
    name = _approved(services)

    def die(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(disposal, "_blank", die)
        with pytest.raises(OSError, match="No space"):
            services.disposals.execute(ANN, name)
    assert _texts(services)[0] == CANARY
    assert services.self_check.run().failures == []
    assert services.disposals.execute(ANN, name).state == DisposalState.CERTIFIED


def test_nobody_can_set_less_than_six_months(services: Services) -> None:
    with pytest.raises(BelowFloor):
        schedules.propose(services.db, ANN, RecordClass.CLIENT, Trigger.MESSAGE, 5, "x")
    with pytest.raises(Exception, match=r"(?i)check"), services.db.write() as connection:
        connection.exec_driver_sql("UPDATE retention_rules SET months = 5")


def test_lengthening_holds_at_once_and_shortening_waits(services: Services) -> None:
    longer = schedules.propose(services.db, ANN, RecordClass.CLIENT, Trigger.MESSAGE, 300, "更长")
    assert longer.state == RuleState.ACTIVE
    shorter = schedules.propose(services.db, ANN, RecordClass.CLIENT, Trigger.MESSAGE, 12, "更短")
    assert shorter.state == RuleState.PROPOSED
    with pytest.raises(SecondPerson):
        schedules.decide(services.db, ANN, shorter.id, agree=True, wait=timedelta(0))
    waiting = schedules.decide(services.db, BEA, shorter.id, agree=True, wait=timedelta(days=14))
    assert waiting.state == RuleState.WAITING
    with services.db.write() as connection:
        schedules.settle(connection, clock.now())
        assert {rule.months for rule in schedules.active(connection)} == {240, 300}
        schedules.settle(connection, clock.now() + timedelta(days=15))
        assert {rule.months for rule in schedules.active(connection)} == {240, 12}


def test_the_longest_rule_decides_and_an_unknown_trigger_keeps() -> None:
    sent = clock.from_ms(YEARS_AGO)
    message = Rule("a", RecordClass.CLIENT, Trigger.MESSAGE, 12)
    contract = Rule("b", RecordClass.CLIENT, Trigger.CONTRACT_END, 6)
    end = sent + timedelta(days=700)
    assert due(
        [message, contract], RecordClass.CLIENT, sent, {Trigger.CONTRACT_END: end}
    ).at == add_months(end, 6)
    assert due([message, contract], RecordClass.CLIENT, sent, {}).awaiting == (
        Trigger.CONTRACT_END,
    )
    assert due([message], RecordClass.INTERNAL, sent, {}).at is None
    floor = Rule("c", RecordClass.CLIENT, Trigger.MESSAGE, 1)
    assert due([floor], RecordClass.CLIENT, sent, {}).at == add_months(sent, 6)


def test_the_self_check_finds_what_cannot_be_had(services: Services) -> None:
    _old(services)
    found = services.self_check.run()
    assert (found.drawn, found.retrievable, found.population) == (3, 3, 3)
    if not services.db.is_sqlite:
        return
    with sqlite3.connect(services.settings.data / "archive.db") as raw:  # an insider's hand
        raw.execute("DROP TRIGGER records_no_update")
        raw.execute("UPDATE records SET text = '改过的话' WHERE source_msg_id = 'old'")
    raw.close()
    assert services.self_check.run().failures == [("msg_1_1", "leaf")]


def test_a_disposed_message_is_told_as_such(services: Services) -> None:
    _old(services)
    _short(services)
    services.disposals.execute(ANN, _approved(services))
    for login, role in (("officer", Role.OFFICER),):
        services.access.create_user(
            OPERATOR,
            login=login,
            name=login,
            password=PASSWORD,
            employee_id=None,
            roles=[(role, None)],
        )
    client = TestClient(create_app(services), base_url="https://testserver")
    client.post("/api/v1/session", json={"login": "officer", "password": PASSWORD})
    raw = client.get("/api/v1/messages/msg_1_1/raw")
    assert (raw.status_code, raw.json()["code"]) == (410, KeyUnusable.code)
    listed = client.get("/api/v1/retention/candidates", params={"corp": "ww1"}).json()
    assert (len(listed["items"]), listed["due"]) == (1, 0)
    checked = client.post("/api/v1/retention/self-check").json()
    assert (checked["drawn"], checked["retrievable"], checked["disposed"]) == (1, 1, 2)
    [one] = client.get("/api/v1/disposals").json()["items"]
    assert client.get(f"/api/v1/disposals/{one['id']}/certificate").json()["payloadType"]
    assert client.get("/api/v1/retention/rules").status_code == 200
    assert client.get("/api/v1/holds").json() == {"items": []}
