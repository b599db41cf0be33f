"""The check before sending: what it says, who may ask, what is kept, what becomes of it."""

import threading
from typing import Any

import pytest
from sqlalchemy import select

from app.access import Event, Role, TokenScope
from app.access.models import AuditEvent
from app.advice.models import CheckDecision, CheckMatch, CheckRow
from app.archive.models import record_id
from app.screening import Outcome
from app.screening import store as findings
from tests.firm import Firm, draft, message

PROMISE = "这款产品保本保收益，您放心买。"
FIELDS = {
    *("category", "severity", "start", "end", "phrase", "rule", "basis"),
    *("explanation", "suggestion"),
}


def ask(client: Any, text: str, **given: str) -> dict[str, Any]:
    answer = client.post("check", json=draft(text, **given))
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_an_improper_promise_is_answered_with_exactly_the_contracts_fields(firm: Firm) -> None:
    said = ask(firm.adviser("yuan"), PROMISE)
    assert set(said) == {"check_id", "outcome", "findings"}
    assert said["outcome"] == "block"
    assert all(set(each) == FIELDS for each in said["findings"])
    first = said["findings"][0]
    assert PROMISE[first["start"] : first["end"]] == first["phrase"]
    assert (first["category"], first["severity"]) == ("principal_guarantee", "red")
    assert first["basis"]


def test_a_harmless_text_is_clear_and_leaves_only_a_digest(firm: Firm) -> None:
    said = ask(firm.adviser("yuan"), "今天净值更新了，请查收")
    assert (said["outcome"], said["findings"]) == ("clear", [])
    with firm.services.db.read() as connection:
        row = connection.execute(select(CheckRow)).one()
        assert (row.text, row.findings, len(row.salt)) == (None, "[]", 16)
        assert "净值" not in str(row._asdict())


@pytest.mark.parametrize(
    "text",
    [PROMISE, "放心，这款保本的", "咱们这个信托刚性兑付，出了事公司兜底。", "稳赚不赔，手慢无！"],
)
def test_the_suggested_wording_passes_the_check_that_the_text_failed(firm: Firm, text: str) -> None:
    adviser = firm.adviser("yuan")
    for each in ask(adviser, text)["findings"]:
        assert each["suggestion"] not in ("", text)
        assert ask(adviser, each["suggestion"])["outcome"] == "clear"


def test_what_was_said_before_is_the_context(firm: Firm) -> None:
    alone = ask(firm.adviser("yuan"), "是的，没错")
    firm.say(message(1, "这个产品保本吗？", sender="wmA", recipient="yuan"))
    answered = ask(firm.adviser("yuan"), "是的，没错")
    assert (alone["outcome"], answered["outcome"]) == ("clear", "block")
    elsewhere = ask(firm.adviser("yuan"), "是的，没错", recipient="wmB")
    assert elsewhere["outcome"] == "clear"


def test_a_check_finds_what_the_archive_finds(firm: Firm) -> None:
    firm.say(message(1, "这个产品保本吗？", sender="wmA", recipient="yuan"))
    for number, text in enumerate(["保本的", "不保本的", "您看合同吧", "绝对不会亏的"], 2):
        said = ask(firm.program(TokenScope.CHECK), text)
        firm.say(message(number, text))
        with firm.services.db.read() as connection:
            found = findings.of_records(connection, [record_id(1, number)])
            rules = [each.rule for each in found if each.outcome is Outcome.VIOLATION]
            assert sorted(rules) == sorted(each["rule"] for each in said["findings"])


def test_nobody_checks_in_another_persons_name(firm: Firm) -> None:
    answer = firm.adviser("yuan").post("check", json=draft(PROMISE, sender="shen"))
    assert (answer.status_code, answer.json()["code"]) == (403, "not_the_sender")
    leader = firm.user("leader", Role.SUPERVISOR, "one")
    assert ask(leader, PROMISE, sender="qiao")["outcome"] == "block"
    assert leader.post("check", json=draft(PROMISE, sender="shen")).status_code == 403
    with firm.services.db.read() as connection:
        query = select(AuditEvent.actor_name).where(AuditEvent.event == Event.REFUSED)
        assert list(connection.execute(query).scalars()) == ["样例yuan", "样例leader"]


def test_a_program_may_check_for_people_nobody_has_imported(firm: Firm) -> None:
    program = firm.program(TokenScope.CHECK)
    given = draft(PROMISE, sender="nobody.yet") | {"corp": "ww-new"}
    assert program.post("check", json=given).json()["outcome"] == "block"


def test_the_nearest_department_decides(firm: Firm) -> None:
    everywhere = {"red": "warn", "orange": "warn", "yellow": "clear", "keep_text": True}
    assert firm.officer.put("check-policies", json=everywhere).status_code == 204
    assert ask(firm.adviser("yuan"), PROMISE)["outcome"] == "warn"
    mild = everywhere | {"department_id": firm.departments["wealth"], "red": "clear"}
    assert firm.officer.put("check-policies", json=mild).status_code == 204
    assert ask(firm.adviser("yuan"), PROMISE)["outcome"] == "clear"
    strict = everywhere | {"department_id": firm.departments["one"], "red": "block"}
    assert firm.officer.put("check-policies", json=strict).status_code == 204
    assert ask(firm.adviser("yuan"), PROMISE)["outcome"] == "block"
    assert ask(firm.adviser("shen"), PROMISE, sender="shen")["outcome"] == "clear"
    kept = firm.officer.get("check-policies").json()["items"]
    assert {each["department_id"]: each["red"] for each in kept} == {
        None: "warn",
        firm.departments["wealth"]: "clear",
        firm.departments["one"]: "block",
    }
    with firm.services.db.read() as connection:
        texts = connection.execute(select(CheckRow.text).order_by(CheckRow.number)).scalars()
        assert list(texts) == [PROMISE, None, PROMISE, None]


def test_policies_are_set_where_one_is_responsible(firm: Firm) -> None:
    policy = {"red": "warn", "orange": "warn", "yellow": "warn"}
    local = firm.user("local", Role.OFFICER, "one")
    assert local.put("check-policies", json=policy).status_code == 403
    foreign = policy | {"department_id": firm.departments["two"]}
    assert local.put("check-policies", json=foreign).status_code == 404
    own = policy | {"department_id": firm.departments["one"]}
    assert local.put("check-policies", json=own).status_code == 204
    assert firm.adviser("yuan").put("check-policies", json=own).status_code == 403
    unknown = policy | {"department_id": 999_999}
    assert firm.officer.put("check-policies", json=unknown).status_code == 404


def test_a_decision_is_kept_once_and_stays(firm: Firm) -> None:
    adviser = firm.adviser("yuan")
    place = f"check/{ask(adviser, PROMISE)['check_id']}/decision"
    without = adviser.post(place, json={"decision": "sent_anyway"})
    assert (without.status_code, without.json()["code"]) == (400, "reason_missing")
    given = {"decision": "sent_anyway", "reason": "客户要求原话确认"}
    first, again = adviser.post(place, json=given), adviser.post(place, json=given)
    assert (first.status_code, first.json()) == (200, again.json())
    other = adviser.post(place, json={"decision": "abandoned"})
    assert (other.status_code, other.json()["code"]) == (409, "decided_already")
    assert other.json()["decision"] == "sent_anyway"


def test_there_is_nothing_to_decide_about_a_clear_text(firm: Firm) -> None:
    adviser = firm.adviser("yuan")
    place = f"check/{ask(adviser, '早上好')['check_id']}/decision"
    answer = adviser.post(place, json={"decision": "abandoned"})
    assert (answer.status_code, answer.json()["code"]) == (409, "nothing_to_decide")


def test_another_persons_check_does_not_exist(firm: Firm) -> None:
    place = f"check/{ask(firm.adviser('yuan'), PROMISE)['check_id']}/decision"
    given = {"decision": "abandoned"}
    hidden = firm.adviser("shen").post(place, json=given)
    absent = firm.adviser("shen").post("check/chk_0/decision", json=given)
    assert hidden.status_code == absent.status_code == 404
    assert hidden.json()["code"] == absent.json()["code"]


def test_of_many_decisions_at_once_one_is_kept(firm: Firm) -> None:
    adviser = firm.adviser("yuan")
    place = f"check/{ask(adviser, PROMISE)['check_id']}/decision"
    barrier, answers = threading.Barrier(4), list[int]()
    program = firm.program(TokenScope.CHECK)

    def decide(number: int) -> None:
        barrier.wait()
        given = {"decision": "sent_anyway", "reason": str(number)}
        answers.append(program.post(place, json=given).status_code)

    threads = [threading.Thread(target=decide, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200, 409, 409, 409]
    with firm.services.db.read() as connection:
        assert len(connection.execute(select(CheckDecision)).all()) == 1


def test_what_was_sent_in_spite_of_a_warning_is_shown_on_its_alert(firm: Firm) -> None:
    adviser = firm.adviser("yuan")
    check = ask(adviser, PROMISE)["check_id"]
    given = {"decision": "sent_anyway", "reason": "客户坚持"}
    assert adviser.post(f"check/{check}/decision", json=given).status_code == 200
    firm.say(message(1, PROMISE), message(2, "这款绝对不会亏的"))
    shown = firm.officer.get("alerts").json()["items"]
    warnings = [warning for each in shown for warning in each["warnings"]]
    assert [(each["check_id"], each["decision"], each["reason"]) for each in warnings] == [
        (check, "sent_anyway", "客户坚持")
    ]


def test_who_sends_without_saying_so_was_warned_all_the_same(firm: Firm) -> None:
    check = ask(firm.adviser("yuan"), PROMISE)["check_id"]
    firm.say(message(1, f" {PROMISE}\n"))
    [alert] = firm.officer.get("alerts").json()["items"]
    assert [(each["check_id"], each["decision"]) for each in alert["warnings"]] == [(check, None)]


def test_a_check_is_one_message_of_its_sender_in_its_conversation(firm: Firm) -> None:
    firm.say(message(1, "早上好"))
    ask(firm.adviser("yuan"), PROMISE)
    firm.say(
        message(2, PROMISE, sender="qiao"),
        message(3, PROMISE, recipient="wmB"),
        message(4, PROMISE),
        message(5, PROMISE),
    )
    with firm.services.db.read() as connection:
        records = connection.execute(select(CheckMatch.record_id)).scalars()
        assert [number & 0xFFFF for number in records] == [4]


def test_words_changed_after_the_check_are_found_when_they_are_told_late(firm: Firm) -> None:
    firm.say(message(1, "早上好"))
    adviser = firm.adviser("yuan")
    check = ask(adviser, PROMISE)["check_id"]
    firm.say(message(2, "这款产品绝对保本。"))
    given = {"decision": "sent_anyway", "reason": "改短了", "text": "这款产品绝对保本。"}
    assert adviser.post(f"check/{check}/decision", json=given).status_code == 200
    with firm.services.db.read() as connection:
        records = connection.execute(select(CheckMatch.record_id)).scalars()
        assert [number & 0xFFFF for number in records] == [2]
