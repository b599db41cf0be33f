"""Review: who may take which step, two people for red, nobody for himself, and no way to an illegal state."""

import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from app.access import Event, Role, TokenScope
from app.access.models import AuditEvent
from app.foundation.errors import AppError
from app.oversight.domain import TRANSITIONS, Actor, Held, State, Step, check_step
from app.oversight.models import Alert
from tests.firm import Firm, message

PROMISE = "这款产品保本保息，您放心"
DONE = {"note": "属实", "disposition": "confirmed"}
HUMAN = [step for step in Step if step not in (Step.RAISE, Step.JOIN)]
PEOPLE = [Actor("user", "usr_1"), Actor("user", "usr_2"), Actor("token", "tok_1")]


@given(
    st.sampled_from(["red", "orange", "yellow"]),
    st.lists(st.tuples(st.sampled_from(HUMAN), st.sampled_from(PEOPLE)), max_size=25),
)
def test_no_sequence_of_steps_lets_one_person_resolve_red(
    severity: str, steps: list[tuple[Step, Actor]]
) -> None:
    held = Held(State.OPEN, severity, None, None)
    resolved_by: set[str] = set()
    for asked, actor in steps:
        try:
            step, state = check_step(held, asked, actor, note="x")
        except AppError:
            continue
        assert held.state in TRANSITIONS[step].sources
        if step is Step.PROPOSE:
            held = held._replace(proposed_by=actor.id)
        if step in (Step.APPROVE, Step.RETURN):
            assert actor.kind == "user"
            assert actor.id != held.proposed_by
        if step is Step.RESOLVE:
            resolved_by.add(actor.id)
            assert severity != "red"
            assert held.owner == actor.id
        if step in (Step.CLAIM, Step.ASSIGN):
            held = held._replace(owner=actor.id)
        if step in (Step.RELEASE, Step.ESCALATE, Step.REOPEN):
            held = held._replace(owner=None)
        if step in (Step.RETURN, Step.REOPEN):
            held = held._replace(proposed_by=None)
        held = held._replace(state=state)
        assert held.state in State
        assert (held.state is State.PROPOSED) <= (held.proposed_by is not None)
    assert not (severity == "red" and resolved_by)


def raise_one(firm: Firm, severity: str = "red", number: int = 1, recipient: str = "wmA") -> str:
    """An alert of this severity; gives its address."""
    firm.say(message(number, PROMISE, recipient=recipient))
    [shown, *_] = firm.officer.get("alerts").json()["items"]
    with firm.services.db.write() as connection:
        connection.execute(update(Alert).where(Alert.id == shown["id"]).values(severity=severity))
    return f"alerts/{shown['id']}"


def code(answer: Any) -> str:
    assert answer.status_code >= 400, answer.text
    return str(answer.json()["code"])


def test_a_red_alert_takes_two_people(firm: Firm) -> None:
    place = raise_one(firm)
    leader = firm.user("leader", Role.SUPERVISOR, "one")
    assert code(leader.post(f"{place}/resolve", json=DONE)) == "step_not_possible"
    assert leader.post(f"{place}/claim").json()["state"] == "claimed"
    proposed = leader.post(f"{place}/resolve", json=DONE).json()
    assert (proposed["state"], proposed["disposition"]) == ("proposed", "confirmed")
    assert code(leader.post(f"{place}/approve")) == "second_reviewer_needed"
    program = firm.program(TokenScope.ALERTS)
    assert code(program.post(f"{place}/approve")) == "second_reviewer_needed"
    assert code(firm.officer.post(f"{place}/return")) == "note_missing"
    back = firm.officer.post(f"{place}/return", json={"note": "请附录音"}).json()
    assert (back["state"], back["disposition"], back["proposed_by"]) == ("claimed", None, None)
    leader.post(f"{place}/resolve", json=DONE)
    done = firm.officer.post(f"{place}/approve", json={"note": "同意"}).json()
    assert (done["state"], done["disposition"]) == ("resolved", "confirmed")
    assert [each["step"] for each in done["history"]] == [
        *("raise", "claim", "propose", "return", "propose", "approve"),
    ]
    with firm.services.db.read() as connection:
        query = select(AuditEvent).where(AuditEvent.event == Event.REFUSED)
        assert len(connection.execute(query).all()) == 2


def test_nobody_handles_what_he_took_part_in(firm: Firm) -> None:
    place = raise_one(firm)
    own = firm.user("yuan.leads", Role.SUPERVISOR, "one", employee="yuan")
    for step in ("claim", "comment", "escalate", "assign"):
        assert code(own.post(f"{place}/{step}", json={"note": "x"})) == "own_alert"
    other = firm.user("qiao.leads", Role.SUPERVISOR, "one", employee="qiao")
    assert other.post(f"{place}/claim").status_code == 200
    own_id = own.get("session").json()["id"]
    refused = other.post(f"{place}/assign", json={"assignee": own_id})
    assert code(refused) == "unknown_assignee"
    with firm.services.db.read() as connection:
        query = select(AuditEvent.details).where(AuditEvent.event == Event.REFUSED)
        assert len(connection.execute(query).all()) == 4


def test_an_alert_is_assigned_to_who_may_deal_with_it(firm: Firm) -> None:
    place = raise_one(firm)
    leader = firm.user("leader", Role.SUPERVISOR, "one")
    foreign = firm.user("foreign", Role.SUPERVISOR, "two").get("session").json()["id"]
    reader = firm.user("reader", Role.INSPECTOR).get("session").json()["id"]
    for user in (foreign, reader, "usr_nobody"):
        refused = firm.officer.post(f"{place}/assign", json={"assignee": user})
        assert code(refused) == "unknown_assignee"
    leaders = leader.get("session").json()["id"]
    given = firm.officer.post(f"{place}/assign", json={"assignee": leaders}).json()
    assert (given["state"], given["owner"]) == ("claimed", leaders)
    assert code(firm.officer.post(f"{place}/release")) == "not_the_owner"
    assert leader.post(f"{place}/release").json()["owner"] is None


def test_queues_hold_what_waits_for_one(firm: Firm) -> None:
    place = raise_one(firm)
    leader = firm.user("leader", Role.SUPERVISOR, "one")

    def queue(client: Any, name: str) -> int:
        return len(client.get("alerts", params={"queue": name}).json()["items"])

    assert [queue(leader, each) for each in ("unclaimed", "mine", "to_approve")] == [1, 0, 0]
    leader.post(f"{place}/claim")
    assert [queue(leader, each) for each in ("unclaimed", "mine", "to_approve")] == [0, 1, 0]
    leader.post(f"{place}/resolve", json=DONE)
    assert [queue(leader, each) for each in ("unclaimed", "mine", "to_approve")] == [0, 0, 0]
    assert queue(firm.officer, "to_approve") == 1


def test_lists_narrow_by_adviser_and_rule(firm: Firm) -> None:
    firm.say(message(1, PROMISE), message(2, "公司刚性兑付", sender="qiao"))

    def found(**asked: str) -> list[str]:
        items = firm.officer.get("alerts", params=asked).json()["items"]
        return [each["adviser"] for each in items]

    assert found(adviser="yuan") == ["yuan"]
    assert found(rule="principal_guarantee/word") == ["yuan"]
    assert found(rule="nothing") == []
    assert found(owner="none") == ["qiao", "yuan"]


def test_like_alerts_are_dealt_with_at_once_and_unlike_ones_are_not(firm: Firm) -> None:
    firm.say(
        *[
            message(each, "这款产品名额不多了，今天不买就没了", recipient=f"wm{each}")
            for each in range(3)
        ]
    )
    alike = [each["id"] for each in firm.officer.get("alerts").json()["items"]]
    with firm.services.db.write() as connection:
        connection.execute(update(Alert).values(severity="yellow"))
    given = {"ids": alike, "step": "claim"}
    assert {
        each["state"] for each in firm.officer.post("alerts/many", json=given).json()["results"]
    } == {"claimed"}
    given = {
        "ids": [*alike, alike[0]],
        "step": "resolve",
        "note": "同批",
        "disposition": "false_alarm",
    }
    results = firm.officer.post("alerts/many", json=given).json()["results"]
    assert [each["state"] for each in results] == ["resolved"] * 3
    again = firm.officer.post("alerts/many", json=given).json()["results"]
    assert {each["code"] for each in again} == {"step_not_possible"}
    firm.say(message(9, PROMISE))
    mixed = [each["id"] for each in firm.officer.get("alerts").json()["items"]]
    assert (
        code(firm.officer.post("alerts/many", json={"ids": mixed, "step": "claim"})) == "not_alike"
    )


def test_the_surroundings_and_earlier_alerts_are_at_hand(firm: Firm) -> None:
    raise_one(firm, number=1, recipient="wmB")
    firm.say(message(2, "这个产品怎么样？", sender="wmA", recipient="yuan"))
    place = raise_one(firm, number=3)
    firm.say(message(4, "好的谢谢", sender="wmA", recipient="yuan"))
    shown = firm.officer.get(place).json()
    assert [each["source_msg_id"] for each in shown["surroundings"]] == ["2", "3", "4"]
    assert len(shown["earlier"]) == 1


def test_many_who_act_at_once_leave_one_history_without_a_gap(firm: Firm) -> None:
    place = raise_one(firm, "orange")
    barrier = threading.Barrier(4)
    clients = [
        firm.officer,
        firm.program(TokenScope.ALERTS),
        firm.user("leader", Role.SUPERVISOR, "one"),
    ]
    answers: list[tuple[str, int]] = []

    def work(number: int) -> None:
        client = clients[number % 3]
        barrier.wait()
        for step in ("claim", "comment", "resolve", "reopen", "escalate"):
            answer = client.post(f"{place}/{step}", json=DONE)
            answers.append((step, answer.status_code))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {status for _, status in answers} <= {200, 409}
    history = firm.officer.get(place).json()["history"]
    assert len(history) == 1 + sum(status == 200 for _, status in answers)
    state = State.OPEN
    for each in history[1:]:
        transition = TRANSITIONS[Step(each["step"])]
        assert state in transition.sources
        state = transition.target or state
        assert each["state"] == state


@pytest.mark.parametrize("step", ["propose", "join", "raise", "nonsense"])
def test_steps_of_the_product_are_nobodys(firm: Firm, step: str) -> None:
    place = raise_one(firm)
    assert firm.officer.post(f"{place}/{step}", json={"note": "x"}).status_code == 422
