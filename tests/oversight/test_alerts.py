"""Violations become alerts once, and alerts go through review one step at a time."""

import json
import threading
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import DBAPIError

from app.access import EVERYTHING, NOTHING, OPERATOR
from app.bootstrap import Services
from app.foundation import followers
from app.oversight import store
from app.oversight.alerts import raise_alerts
from app.oversight.domain import (
    Disposition,
    DispositionMissing,
    State,
    Step,
    StepNotPossible,
    worst,
)
from app.oversight.models import Alert, AlertRecord, AlertStep
from app.oversight.review import Given, take_step
from app.oversight.store import AlertNotFound, AlertRow, Wanted
from app.screening import store as findings

PROMISE = "这款产品保本保息，您放心"


def envelope(number: int, text: str, sender: str = "employee", client: str = "wmA1") -> bytes:
    parties = {
        "employee": {"type": "employee", "id": "he.yu", "name": "何屿"},
        "client": {"type": "client", "id": client, "name": "样例客户"},
    }
    other = "client" if sender == "employee" else "employee"
    message: dict[str, Any] = {
        "corp": "ww1",
        "source": "test",
        "source_msg_id": str(number),
        "sent_at": f"2026-03-05T10:{number // 60:02d}:{number % 60:02d}+08:00",
        "conversation": {"kind": "single"},
        "sender": parties[sender],
        "recipients": [parties[other]],
        "kind": "text",
        "action": "send",
        "text": text,
    }
    return json.dumps(message).encode()


def say(services: Services, *lines: bytes) -> None:
    """Archive the lines and let screening catch up."""
    services.capture.receive(lines)
    followers.catch_up(services.followers[0], services.tails(), lambda _left: None)


def alerts(services: Services, **wanted: Any) -> list[AlertRow]:
    with services.db.read() as connection:
        return store.read_page(connection, Wanted(**wanted), EVERYTHING, before=None, limit=100)


def step(services: Services, name: str, kind: Step, **given: Any) -> AlertRow:
    with services.db.write() as connection:
        return take_step(connection, name, EVERYTHING, OPERATOR, kind, Given(**given))


def history(services: Services, alert: AlertRow) -> list[Step]:
    with services.db.read() as connection:
        return [each.step for each in store.history(connection, alert)]


def test_what_violates_is_alerted_and_nothing_else(services: Services) -> None:
    say(
        services,
        envelope(1, "您好，今天净值更新了"),
        envelope(2, PROMISE),
        envelope(3, "产品不保本，请看风险揭示书"),
        envelope(4, "这个保本吗？", sender="client"),
    )
    (alert,) = alerts(services)
    assert (alert.record_id & 0xFFFF, alert.category, alert.state) == (
        2,
        "principal_guarantee",
        State.OPEN,
    )
    assert history(services, alert) == [Step.RAISE]


def test_screening_again_raises_nothing_twice(services: Services) -> None:
    say(services, envelope(1, PROMISE))
    screening = services.followers[0]
    screening.reset()
    followers.catch_up(screening, services.tails(), lambda _left: None)
    (alert,) = alerts(services)
    assert history(services, alert) == [Step.RAISE]


def test_findings_of_another_lexicon_join_the_alert_and_raise_its_severity(
    services: Services,
) -> None:
    say(services, envelope(1, PROMISE))
    (alert,) = alerts(services)
    with services.db.write() as connection:
        connection.execute(update(Alert).where(Alert.id == alert.id).values(severity="yellow"))
    with services.db.write() as connection:
        found = findings.of_records(connection, [alert.record_id])
        raise_alerts(connection, found)
        assert len(connection.execute(select(AlertRecord)).all()) == 1
    (again,) = alerts(services)
    assert (again.id, again.severity) == (alert.id, worst([each.severity for each in found]))
    assert history(services, again) == [Step.RAISE, Step.JOIN]


def test_an_alert_and_its_findings_stand_or_fall_with_the_cursor(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.capture.receive([envelope(1, PROMISE)])
    screening = services.followers[0]

    def fail(*_: Any) -> None:
        raise RuntimeError("killed in between")

    monkeypatch.setattr(screening, "_hand_on", fail)
    with pytest.raises(RuntimeError):
        screening.step(1, 0, 1)
    assert (alerts(services), screening.position(1)) == ([], 0)
    monkeypatch.undo()
    screening.step(1, 0, 1)
    assert (len(alerts(services)), screening.position(1)) == (1, 1)


def test_an_alert_goes_from_claim_to_resolution_and_its_history_says_so(services: Services) -> None:
    say(services, envelope(1, PROMISE))
    name = alerts(services)[0].id
    turn(services, name, "orange")
    assert step(services, name, Step.CLAIM).owner == OPERATOR.id
    step(services, name, Step.COMMENT, note="已电话核实")
    with pytest.raises(DispositionMissing):
        step(services, name, Step.RESOLVE)
    done = step(services, name, Step.RESOLVE, note="属实", disposition=Disposition.CONFIRMED)
    assert (done.state, done.disposition) == (State.RESOLVED, Disposition.CONFIRMED)
    with pytest.raises(StepNotPossible):
        step(services, name, Step.CLAIM)
    reopened = step(services, name, Step.REOPEN, note="客户补充")
    assert (reopened.state, reopened.owner, reopened.disposition) == (State.OPEN, None, None)
    assert history(services, reopened) == [
        Step.RAISE,
        Step.CLAIM,
        Step.COMMENT,
        Step.RESOLVE,
        Step.REOPEN,
    ]


def turn(services: Services, name: str, severity: str) -> None:
    """Give an alert another severity, as other findings would have."""
    with services.db.write() as connection:
        connection.execute(update(Alert).where(Alert.id == name).values(severity=severity))


def test_of_two_who_claim_at_once_one_gets_it(services: Services) -> None:
    say(services, envelope(1, PROMISE))
    name = alerts(services)[0].id
    outcomes: list[str] = []
    barrier = threading.Barrier(4)

    def claim() -> None:
        barrier.wait()
        try:
            step(services, name, Step.CLAIM)
            outcomes.append("claimed")
        except StepNotPossible:
            outcomes.append("refused")

    threads = [threading.Thread(target=claim) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["claimed", "refused", "refused", "refused"]


def test_who_sees_nothing_finds_no_alert(services: Services) -> None:
    say(services, envelope(1, PROMISE))
    (alert,) = alerts(services)
    with services.db.read() as connection:
        assert store.read_page(connection, Wanted(), NOTHING, before=None, limit=10) == []
        with pytest.raises(AlertNotFound):
            store.read_one(connection, alert.id, NOTHING)


def test_lists_narrow_and_page(services: Services) -> None:
    say(services, *[envelope(each, PROMISE, client=f"wm{each}") for each in range(1, 6)])
    everything = alerts(services)
    assert len(everything) == 5
    assert alerts(services, states=("resolved",)) == []
    with services.db.read() as connection:
        first = store.read_page(connection, Wanted(), EVERYTHING, before=None, limit=2)
        rest = store.read_page(connection, Wanted(), EVERYTHING, before=first[-1].number, limit=100)
    assert [*first, *rest] == everything


def test_history_cannot_be_changed(services: Services) -> None:
    say(services, envelope(1, PROMISE))
    with pytest.raises(DBAPIError), services.db.write() as connection:
        connection.execute(update(AlertStep).values(note="nothing happened"))
    with services.db.read() as connection:
        notes = connection.execute(select(AlertStep.note)).scalars().all()
    assert "nothing happened" not in notes
