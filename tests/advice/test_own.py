"""An adviser sees what is his own, with the reason and what he may say, and nothing of who judges him."""

import json

from app.access import Role
from tests.firm import Firm, draft, message

PROMISE = "这款产品保本保收益，您放心买。"


def test_one_sees_the_alerts_about_oneself_and_no_reviewer(firm: Firm) -> None:
    firm.say(message(1, PROMISE), message(2, PROMISE, sender="qiao"))
    [alert] = firm.officer.get("alerts", params={"adviser": "yuan"}).json()["items"]
    firm.officer.post(f"alerts/{alert['id']}/claim")
    firm.officer.post(f"alerts/{alert['id']}/comment", json={"note": "需要约谈"})
    [own] = firm.adviser("yuan").get("own/alerts").json()["items"]
    assert (own["id"], own["text"], own["state"]) == (alert["id"], PROMISE, "claimed")
    assert all(each["suggestion"] and each["basis"] for each in own["reasons"])
    shown = json.dumps(own, ensure_ascii=False)
    assert "样例officer" not in shown
    assert "约谈" not in shown
    assert firm.adviser("shen").get("own/alerts").json() == {"items": [], "next": None}


def test_one_sees_ones_own_checks_and_decisions(firm: Firm) -> None:
    adviser = firm.adviser("yuan")
    check = adviser.post("check", json=draft(PROMISE)).json()["check_id"]
    adviser.post("check", json=draft("早上好"))
    given = {"decision": "sent_anyway", "reason": "客户坚持"}
    adviser.post(f"check/{check}/decision", json=given)
    first = adviser.get("own/checks", params={"limit": 1}).json()
    rest = adviser.get("own/checks", params={"limit": 1, "cursor": first["next"]}).json()
    assert [each["outcome"] for each in (*first["items"], *rest["items"])] == ["clear", "block"]
    [warned] = rest["items"]
    assert (warned["decision"], warned["reason"], warned["text"]) == (
        "sent_anyway",
        "客户坚持",
        None,
    )
    assert rest["next"] is None
    assert firm.adviser("shen").get("own/checks").json()["items"] == []


def test_who_is_no_employee_has_nothing_of_his_own(firm: Firm) -> None:
    answer = firm.user("loose", Role.ADVISER).get("own/alerts")
    assert (answer.status_code, answer.json()["code"]) == (403, "no_employee")
    assert firm.officer.get("own/alerts").status_code == 403


def test_approved_wordings_can_be_searched_and_name_their_version(firm: Firm) -> None:
    adviser = firm.adviser("yuan")
    everything = adviser.get("approved-wordings").json()
    assert everything["version"] == firm.services.lexicons.released.current().version
    found = adviser.get("approved-wordings", params={"q": "保本 风险揭示书"}).json()["items"]
    assert [each["category"] for each in found] == ["principal_guarantee"]
    assert len(everything["items"]) > len(found)
    assert adviser.get("approved-wordings", params={"version": "none"}).status_code == 404
