"""What clients ask and complain of is followed up, with an owner and a due date, and is no breach."""

from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.access import Role
from app.foundation import clock
from app.foundation.errors import AppError
from app.oversight.lead_states import LEAD_TRANSITIONS, LeadState, LeadStep, next_lead_state
from tests.firm import Firm, message

QUESTION = "这个产品保本吗？"
COMPLAINT = "我要去银保监会投诉你们"


@given(st.lists(st.tuples(st.sampled_from(LeadStep), st.sampled_from(["", "说明"])), max_size=15))
def test_states_follow_the_table_and_nothing_else(steps: list[tuple[LeadStep, str]]) -> None:
    state = LeadState.OPEN
    for step, note in steps:
        sources = LEAD_TRANSITIONS.get(step, (frozenset[LeadState](), None))[0]
        try:
            after = next_lead_state(state, step, note=note)
        except AppError:
            continue
        assert state in sources
        assert (
            not (after in (LeadState.DONE, LeadState.DISMISSED) and step is not LeadStep.COMMENT)
            or note
        )
        state = after


def leads(client: Any, **asked: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = client.get("leads", params=asked).json()["items"]
    return items


def test_a_clients_question_is_a_lead_and_no_alert(firm: Firm) -> None:
    firm.say(message(1, QUESTION, sender="wmA", recipient="yuan"))
    [lead] = leads(firm.officer)
    assert (lead["client"], lead["category"], lead["state"]) == (
        "wmA",
        "principal_guarantee",
        "open",
    )
    assert lead["is_overdue"] is False
    assert firm.officer.get("alerts").json()["items"] == []
    opened = firm.officer.get(f"leads/{lead['id']}").json()
    assert [each["source_msg_id"] for each in opened["all_messages"]] == ["1"]
    assert opened["reasons"][0]["rule"]


def test_a_complaint_in_the_same_stretch_joins_and_is_due_sooner(firm: Firm) -> None:
    firm.say(message(1, QUESTION, sender="wmA", recipient="yuan"))
    [asked] = leads(firm.officer)
    firm.say(message(2, COMPLAINT, sender="wmA", recipient="yuan"))
    [joined] = leads(firm.officer)
    assert (joined["id"], joined["messages"]) == (asked["id"], 2)
    assert joined["category"] == "complaint_intent"
    assert joined["due_at"] < asked["due_at"]
    firm.say(message(3, QUESTION, sender="wmB", recipient="yuan"))
    assert len(leads(firm.officer)) == 2


def test_a_lead_is_followed_up_to_its_end(firm: Firm) -> None:
    firm.say(message(1, QUESTION, sender="wmA", recipient="yuan"))
    place = f"leads/{leads(firm.officer)[0]['id']}"
    leader = firm.user("leader", Role.SUPERVISOR, "one")
    assert (
        leader.post(f"{place}/done", json={"note": "x"}).json()["code"] == "lead_step_not_possible"
    )
    assert leader.post(f"{place}/claim").json()["state"] == "claimed"
    past = (clock.now() - timedelta(days=1)).isoformat()
    late = leader.post(f"{place}/postpone", json={"note": "客户出差", "due_at": past})
    assert (late.status_code, late.json()["code"]) == (400, "due_missing")
    coming = (clock.now() + timedelta(days=9)).isoformat()
    assert (
        leader.post(f"{place}/postpone", json={"note": "客户出差", "due_at": coming}).status_code
        == 200
    )
    assert leader.post(f"{place}/done").json()["code"] == "lead_note_missing"
    done = leader.post(f"{place}/done", json={"note": "已说明不保本"}).json()
    assert [each["step"] for each in done["history"]] == ["note", "claim", "postpone", "done"]
    assert leads(firm.officer, state="open") == []


def test_leads_are_seen_within_the_scope_and_given_within_it(firm: Firm) -> None:
    firm.say(message(1, QUESTION, sender="wmA", recipient="yuan"))
    [lead] = leads(firm.officer)
    foreign = firm.user("foreign", Role.SUPERVISOR, "two")
    assert leads(foreign) == []
    assert foreign.get(f"leads/{lead['id']}").status_code == 404
    user = foreign.get("session").json()["id"]
    refused = firm.officer.post(f"leads/{lead['id']}/assign", json={"assignee": user})
    assert refused.json()["code"] == "unknown_assignee"
    assert (
        firm.user("inspector", Role.INSPECTOR).post(f"leads/{lead['id']}/claim").status_code == 403
    )


def test_screening_again_notes_no_lead_twice(firm: Firm) -> None:
    firm.say(message(1, QUESTION, sender="wmA", recipient="yuan"))
    firm.services.followers[0].reset()
    firm.say()
    [lead] = leads(firm.officer)
    assert len(firm.officer.get(f"leads/{lead['id']}").json()["history"]) == 1


def test_what_is_overdue_can_be_asked_for(firm: Firm) -> None:
    firm.say(message(1, QUESTION, sender="wmA", recipient="yuan"))
    later = (clock.now() + timedelta(days=30)).isoformat()
    assert len(leads(firm.officer, due_before=later)) == 1
    assert leads(firm.officer, due_before=clock.now().isoformat()) == []
