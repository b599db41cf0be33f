"""Dispositions count for and against the rules, and a false alarm becomes a draft that silences it."""

from typing import Any

import pytest
from sqlalchemy import update

from app.access import OPERATOR, Role
from app.oversight.learning import clause_around
from app.oversight.models import Alert
from app.screening import Turn
from app.screening.allow import BadPhrase, UnknownRule, with_allowed
from tests.firm import Firm, message

PROMISE = "这款产品保本保息，您放心"
WORDS = """category = "c"

[[rule]]
id = "a"
say = ["甲"]

[[rule]]
id = "ab"
unless = ["乙"]
no_match = []
"""


def resolve(firm: Firm, name: str, disposition: str) -> None:
    with firm.services.db.write() as connection:
        connection.execute(update(Alert).where(Alert.id == name).values(severity="yellow"))
    given = {"note": "复听录音", "disposition": disposition}
    assert firm.officer.post(f"alerts/{name}/claim").status_code == 200
    assert firm.officer.post(f"alerts/{name}/resolve", json=given).status_code == 200


def alerted(firm: Firm) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = firm.officer.get("alerts").json()["items"]
    return items


def test_precision_is_what_reviewers_said(firm: Firm) -> None:
    firm.say(*[message(each, "这款保本的", recipient=f"wm{each}") for each in range(4)])
    for alert, disposition in zip(
        alerted(firm), ("confirmed", "remedy", "false_alarm"), strict=False
    ):
        resolve(firm, alert["id"], disposition)
    [row] = firm.officer.get("rule-precision").json()["items"]
    assert row == {
        "rule": "principal_guarantee/word",
        "confirmed": 1,
        "remedy": 1,
        "lead": 0,
        "false_alarm": 1,
        "pending": 1,
        "precision": pytest.approx(2 / 3),
    }
    leader = firm.user("foreign", Role.SUPERVISOR, "two")
    assert leader.get("rule-precision").json()["items"] == []


def test_a_false_alarm_becomes_a_draft_in_which_it_is_silent(firm: Firm) -> None:
    said = "网点搬到璟晖保本巷璀璨坊七弄"  # words that the model does not know
    firm.say(message(1, said))
    [alert] = alerted(firm)
    wanted = {"alert": alert["id"], "rule": alert["reasons"][0]["rule"], "phrase": "保本巷"}
    early = firm.officer.post("allow-phrases", json=wanted)
    assert (early.status_code, early.json()["code"]) == (409, "no_false_alarm")
    resolve(firm, alert["id"], "false_alarm")
    [proposal] = firm.officer.get("allow-phrases").json()["items"]
    assert (proposal["times"], proposal["alerts"]) == (1, [alert["id"]])
    assert proposal["phrase"] in said
    before = firm.services.lexicons.released.current().version
    made = firm.officer.post("allow-phrases", json=wanted)
    assert made.status_code == 201, made.text
    assert (made.json()["state"], made.json()["failures"]) == ("tested", 0)
    assert firm.services.lexicons.released.current().version == before
    tried = firm.services.lexicons.attempt(OPERATOR, made.json()["id"], [Turn("adviser", said)])
    assert tried.findings == ()
    refused = firm.officer.post(f"lexicons/{made.json()['id']}/approve", json={})
    assert (refused.status_code, refused.json()["code"]) == (403, "second_person_needed")


def test_a_phrase_must_come_from_what_was_alerted(firm: Firm) -> None:
    firm.say(message(1, PROMISE))
    [alert] = alerted(firm)
    resolve(firm, alert["id"], "false_alarm")
    given = {"alert": alert["id"], "rule": alert["reasons"][0]["rule"], "phrase": "与此无关"}
    answer = firm.officer.post("allow-phrases", json=given)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_allow_phrase")


def test_the_phrase_is_written_where_the_rule_stands() -> None:
    files = {"categories/c.toml": WORDS}
    assert with_allowed(files, "c/a", "丙丙", "丙丙是") == {
        "categories/c.toml": WORDS.replace(
            'id = "a"\n', 'id = "a"\nunless = ["丙丙"]\nno_match = ["丙丙是"]\n'
        )
    }
    both = with_allowed(files, "c/ab", "丙丙", "丙丙是")["categories/c.toml"]
    assert 'unless = ["丙丙", "乙"]\nno_match = ["丙丙是"]' in both


@pytest.mark.parametrize("rule", ["c/b", "d/a", "", "c/"])
def test_an_unknown_rule_is_named(rule: str) -> None:
    with pytest.raises(UnknownRule):
        with_allowed({"categories/c.toml": WORDS}, rule, "丙丙", "丙丙是")


@pytest.mark.parametrize("phrase", ["", "丙", "丙|丁", '丙"丁', "长" * 31])
def test_a_phrase_that_means_something_else_is_refused(phrase: str) -> None:
    with pytest.raises(BadPhrase):
        with_allowed({"categories/c.toml": WORDS}, "c/a", phrase, phrase)


def test_a_clause_ends_at_marks() -> None:
    assert clause_around("您好，这款保本的，放心", 5, 7) == "这款保本的"
    assert clause_around("保本", 0, 2) == "保本"
