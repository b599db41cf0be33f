"""What the follower finds is the same wherever its batches end, and once for every message."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from app.archive.models import position_of
from app.archive.store import windows
from app.bootstrap import Services
from app.foundation import followers
from app.foundation.database import Database
from app.screening import store
from app.screening.follower import BEFORE, spans
from app.screening.models import FindingRow

TALK = [
    ("client", "您好，这个产品保本吗？"),
    ("he.yu", "保本的，您放心"),
    ("su.he", "对，保本的"),
    ("client", "那收益呢"),
    ("he.yu", "本金"),
    ("he.yu", "不会有损失的"),
    ("su.he", "产品不保本，请看风险揭示书"),
    ("he.yu", "聊天记录您看完就删了吧"),
    ("client", "好的，删了"),
    ("su.he", "好的"),
]


def line(number: int, speaker: str, text: str) -> bytes:
    people = {
        "client": {"type": "client", "id": "wmA1"},
        "he.yu": {"type": "employee", "id": "he.yu"},
        "su.he": {"type": "employee", "id": "su.he"},
    }
    message: dict[str, Any] = {
        "corp": "ww1",
        "source": "test",
        "source_msg_id": str(number),
        "sent_at": f"2026-03-05T10:00:{number:02d}+08:00",
        "conversation": {"kind": "group", "id": "wr1"},
        "sender": people[speaker],
        "recipients": [party for name, party in people.items() if name != speaker],
        "kind": "text",
        "action": "send",
        "text": text,
    }
    return json.dumps(message).encode()


def findings(db: Database) -> list[tuple[int, str, str, int, tuple[int, ...]]]:
    with db.read() as connection:
        numbers = connection.execute(select(FindingRow.record_id)).scalars().all()
        return [
            (position_of(each.record)[1], each.category, each.rule, each.start, each.earlier)
            for each in store.of_records(connection, set(numbers))
        ]


def screen_in(services: Services, ends: list[int]) -> None:
    """Screen up to each of the ends in turn, then to the end of the log."""
    whole = services.tails()[1]
    for end in [*sorted(ends), whole]:
        followers.catch_up(services.followers[0], {1: min(end, whole)}, lambda _left: None)


@pytest.fixture
def talked(services: Services) -> Services:
    services.capture.receive([line(number, *said) for number, said in enumerate(TALK, 1)])
    return services


def test_every_kind_of_breach_in_the_talk_is_found_at_its_message(talked: Services) -> None:
    screen_in(talked, [])
    found = {(seq, category) for seq, category, *_ in findings(talked.db)}
    assert {(2, "principal_guarantee"), (6, "principal_guarantee"), (8, "concealment")} <= found
    assert (7, "principal_guarantee") not in found


def test_findings_are_the_same_wherever_the_batches_end(
    talked: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(talked.followers[0], "_hand_on", lambda *_: None)
    screen_in(talked, [])
    expected = findings(talked.db)
    assert expected

    @settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(st.integers(1, len(TALK)), max_size=len(TALK)))
    def check(ends: list[int]) -> None:
        with talked.db.write() as connection:
            drop_guard(connection)
            connection.execute(delete(FindingRow))
        talked.followers[0].reset()
        screen_in(talked, ends)
        assert findings(talked.db) == expected

    check()


def drop_guard(connection: Any) -> None:
    """Lift the append-only guard, so that one database serves every example."""
    if connection.dialect.name == "sqlite":
        for deed in ("update", "delete"):
            connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS findings_no_{deed}")
        return
    connection.exec_driver_sql("DROP TRIGGER IF EXISTS findings_append_only ON findings")


def test_a_question_that_comes_after_its_answer_makes_the_answer_a_promise(
    services: Services,
) -> None:
    services.capture.receive([line(2, "he.yu", "是的")])
    screen_in(services, [])
    assert findings(services.db) == []
    services.capture.receive([line(1, "client", "这个保本吗？")])
    screen_in(services, [])
    assert ("principal_guarantee", 1) in {(each[1], each[0]) for each in findings(services.db)}


def test_a_window_reaches_back_no_further_than_it_says(services: Services) -> None:
    chatter = [line(number, "client", f"第{number}句闲话") for number in range(2, 40)]
    services.capture.receive([line(1, "he.yu", "保本的"), *chatter])
    with services.db.read() as connection:
        (window,) = windows(connection, spans([(1, 39)]))
    assert [each.counter for each in window] == list(range(39 - BEFORE, 40))
