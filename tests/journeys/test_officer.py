"""The officer signs in, finds a message, opens what is around it, and sees why it was alerted."""

from typing import Any

import httpx
import pytest

from tests.journeys.office import BREACH, Office

TALKED_ABOUT = {"t1", "t2", "t4", "t5", "t6", "t7", "t8"}  # 琉璃, a word of no example


def found(client: httpx.Client, /, **asked: Any) -> set[str]:
    """The source ids of all messages a search finds, page by page."""
    ids: list[str] = []
    while True:
        answer = client.get("/messages", params=asked)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        ids += [each["source_msg_id"] for each in page["items"]]
        if page["next"] is None:
            assert len(ids) == len(set(ids))
            return set(ids)
        asked["cursor"] = page["next"]


def test_one_character_finds_a_message_with_its_place_marked(officer: httpx.Client) -> None:
    page = officer.get("/messages", params={"q": "涨"}).json()
    [item] = page["items"]
    assert item["source_msg_id"] == "t2"
    assert [item["text"][start:end] for start, end in item["highlights"]] == ["涨"]
    assert page["total"] == {"value": 1, "relation": "eq"}


def test_a_phrase_finds_only_messages_that_hold_it(officer: httpx.Client) -> None:
    assert found(officer, q='"琉璃报告"') == {"t5", "t6"}


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, TALKED_ABOUT),
        ({"adviser": "yuan"}, {"t1", "t2", "t8"}),
        ({"adviser": ["yuan", "shen"]}, {"t1", "t2", "t5", "t6", "t7", "t8"}),
        ({"client": "wmB"}, {"t5", "t6", "t7"}),
        ({"department": "two"}, {"t5", "t6", "t7"}),
        ({"department": "wealth"}, TALKED_ABOUT),
        ({"direction": "inbound"}, {"t2", "t6"}),
        ({"direction": "internal"}, {"t8"}),
        ({"kind": "link"}, {"t4"}),
        ({"conversation": "wrTeam"}, {"t8"}),
        ({"since": "2026-03-07T00:00:00+08:00"}, {"t5", "t6", "t7", "t8"}),
        ({"until": "2026-03-05T10:01:00+08:00"}, {"t1"}),
        ({"category": "principal_guarantee"}, {"t7"}),
        ({"severity": "red"}, {"t7"}),
        ({"severity": "red", "department": "one"}, set()),
    ],
    ids=str,
)
def test_each_filter_narrows_to_exactly_its_messages(
    officer: httpx.Client, filters: dict[str, Any], expected: set[str]
) -> None:
    assert found(officer, q="琉璃", **filters) == expected


def test_pages_of_any_size_give_every_message_once(officer: httpx.Client) -> None:
    for limit in (1, 2, 3):
        assert found(officer, q="琉璃", limit=limit) == TALKED_ABOUT


def test_newest_comes_first_and_oldest_on_request(officer: httpx.Client) -> None:
    newest = officer.get("/messages", params={"q": "琉璃"}).json()["items"]
    oldest = officer.get("/messages", params={"q": "琉璃", "order": "oldest"}).json()["items"]
    assert [each["id"] for each in newest] == [each["id"] for each in oldest[::-1]]
    assert newest[0]["source_msg_id"] == "t8"


def test_the_context_shows_the_conversation_around_a_message_and_no_other(
    office: Office, officer: httpx.Client
) -> None:
    answer = officer.get(
        f"/messages/{office.ids['t2']}/context", params={"before": 1, "after": 1}
    ).json()
    assert [each["source_msg_id"] for each in answer["items"]] == ["t1", "t2", "t3"]
    assert answer["has_before"] is False


def test_an_opened_message_says_what_was_said_and_by_whom(
    office: Office, officer: httpx.Client
) -> None:
    message = officer.get(f"/messages/{office.ids['t3']}").json()
    assert message["text"] == BREACH
    assert message["sender"]["id"] == "yuan"
    assert message["direction"] == "outbound"
    assert len(bytes.fromhex(message["digest"])) == 32


def test_the_alert_gives_its_reason_and_points_into_the_text(officer: httpx.Client) -> None:
    alerts = officer.get("/alerts", params={"severity": "red", "limit": 200}).json()["items"]
    alert = next(each for each in alerts if each["message"]["source_msg_id"] == "t3")
    opened = officer.get(f"/alerts/{alert['id']}").json()
    reason = next(each for each in opened["reasons"] if each["category"] == "principal_guarantee")
    text = opened["message"]["text"]
    assert text[reason["start"] : reason["end"]] == reason["phrase"]
    assert all(reason[name] for name in ("rule", "basis", "explanation", "suggestion"))
    assert next(each["step"] for each in opened["history"]) == "raise"


def test_a_denial_raises_no_alert(officer: httpx.Client) -> None:
    alerts = officer.get("/alerts", params={"limit": 200}).json()["items"]
    ids = {each["message"]["source_msg_id"] for each in alerts}
    assert "3301_1762912800123_external" not in ids  # 收益以合同为准，不保本
