"""A supervisor sees her own department and nothing of any other, and takes an alert to its end."""

from typing import Any

import httpx
import pytest

from tests.journeys.office import BREACH, Office, Said, push


def alert_about(client: httpx.Client, source_msg_id: str) -> dict[str, Any] | None:
    """The alert that a caller sees about a message, if any."""
    alerts = client.get("/alerts", params={"limit": 200}).json()["items"]
    about = (each for each in alerts if each["message"]["source_msg_id"] == source_msg_id)
    return next(about, None)


def test_her_search_holds_her_departments_messages_only(leader: httpx.Client) -> None:
    page = leader.get("/messages", params={"q": "琉璃", "count": "exact"}).json()
    ids = {each["source_msg_id"] for each in page["items"]}
    assert ids == {"t1", "t2", "t4", "t8"}
    assert page["total"]["value"] == len(ids)


def test_asking_for_another_department_finds_nothing(leader: httpx.Client) -> None:
    page = leader.get("/messages", params={"q": "琉璃", "department": "two"}).json()
    assert page["items"] == []


@pytest.mark.parametrize("place", ["", "/context"])
def test_another_departments_message_does_not_exist_for_her(
    office: Office, leader: httpx.Client, place: str
) -> None:
    hidden = leader.get(f"/messages/{office.ids['t7']}{place}")
    absent = leader.get(f"/messages/msg_1_999999{place}")
    assert hidden.status_code == absent.status_code == 404
    hidden_body, absent_body = hidden.json(), absent.json()
    assert hidden_body.pop("request_id") != absent_body.pop("request_id")
    assert hidden_body == absent_body


def test_her_alerts_are_her_departments_only(officer: httpx.Client, leader: httpx.Client) -> None:
    assert alert_about(leader, "t3") is not None
    assert alert_about(leader, "t7") is None
    others = alert_about(officer, "t7")
    assert others is not None
    assert leader.get(f"/alerts/{others['id']}").status_code == 404
    assert leader.post(f"/alerts/{others['id']}/claim").status_code == 404


def test_she_claims_and_proposes_another_approves_and_every_step_is_history(
    office: Office, program: httpx.Client, officer: httpx.Client, leader: httpx.Client
) -> None:
    later = "2026-04-05T10:00:00+08:00"
    push(program, [Said("resolve", "yuan", "wmA", f"{BREACH}（办结）", at=later).envelope()])
    office.catch_up()
    alert = alert_about(leader, "resolve")
    assert alert is not None
    place = f"/alerts/{alert['id']}"
    assert (
        leader.post(f"{place}/resolve", json={"note": "x", "disposition": "confirmed"}).status_code
        == 409
    )
    assert leader.post(f"{place}/claim").json()["state"] == "claimed"
    assert leader.post(f"{place}/comment", json={"note": "已联系当事人"}).status_code == 200
    assert leader.post(f"{place}/resolve").status_code == 400  # without disposition and reason
    done = {"note": "承诺保本，已约谈", "disposition": "confirmed"}
    proposed = leader.post(f"{place}/resolve", json=done).json()
    assert (proposed["state"], proposed["disposition"]) == ("proposed", "confirmed")
    assert leader.post(f"{place}/approve").status_code == 403
    resolved = officer.post(f"{place}/approve").json()
    assert (resolved["state"], resolved["disposition"]) == ("resolved", "confirmed")
    steps = [(each["step"], each["note"]) for each in resolved["history"][1:]]
    assert steps == [
        ("claim", ""),
        ("comment", "已联系当事人"),
        ("propose", done["note"]),
        ("approve", ""),
    ]
    actors = [each["actor_name"] for each in resolved["history"][1:]]
    assert actors == [*["样例leader"] * 3, "样例officer"]


def test_what_two_people_claim_belongs_to_the_first(
    office: Office, program: httpx.Client, officer: httpx.Client, leader: httpx.Client
) -> None:
    later = "2026-05-05T10:00:00+08:00"
    push(program, [Said("claim", "yuan", "wmA", f"{BREACH}（认领）", at=later).envelope()])
    office.catch_up()
    alert = alert_about(officer, "claim")
    assert alert is not None
    place = f"/alerts/{alert['id']}"
    assert officer.post(f"{place}/claim").status_code == 200
    late = leader.post(f"{place}/claim")
    assert (late.status_code, late.json()["code"]) == (409, "step_not_possible")
    assert leader.get(place).json()["owner_name"] == "样例officer"


def test_she_may_not_open_raw_bytes(office: Office, leader: httpx.Client) -> None:
    assert leader.get(f"/messages/{office.ids['t3']}/raw").status_code == 403
