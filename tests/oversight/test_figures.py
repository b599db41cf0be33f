"""The figures count what was raised, how fast it was dealt with and what is left, within the scope."""

import csv
import io
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import load_workbook
from sqlalchemy import update

from app.access import Role
from app.foundation import clock
from app.oversight.models import Alert
from app.oversight.tallies import Counted, backlog, rows_by, times, weeks
from tests.firm import Firm, message

PROMISE = "这款产品保本保息，您放心"
ZONE = ZoneInfo("Asia/Shanghai")
START = clock.from_ms(1_767_000_000_000)
minutes = st.none() | st.integers(0, 100_000)
alerts = st.lists(
    st.builds(
        lambda raised, claimed, resolved, severity, disposition, department: Counted(
            department,
            "c",
            severity,
            "open" if resolved is None else "resolved",
            None if resolved is None else disposition,
            START + timedelta(minutes=raised),
            None if claimed is None else START + timedelta(minutes=raised + claimed),
            None if resolved is None else START + timedelta(minutes=raised + resolved),
            None,
        ),
        st.integers(0, 200_000),
        minutes,
        minutes,
        st.sampled_from(["red", "orange", "yellow"]),
        st.sampled_from(["confirmed", "remedy", "lead", "false_alarm"]),
        st.sampled_from([None, 1, 2]),
    ),
    max_size=30,
)


@given(alerts)
def test_every_alert_is_counted_once_everywhere(given: list[Counted]) -> None:
    rows = rows_by(given, lambda each: str(each.department_id), {"1": 1000})
    assert sum(row.alerts for row in rows) == len(given)
    assert all(row.confirmed + row.false_alarms <= row.alerts for row in rows)
    assert [row.per_thousand for row in rows if row.key == "1"] == [
        float(row.alerts) for row in rows if row.key == "1"
    ]
    assert sum(week.alerts for week in weeks(given, ZONE)) == len(given)
    assert all(week.monday.weekday() == 0 for week in weeks(given, ZONE))
    left = backlog(given, START)
    assert left.red + left.orange + left.yellow == sum(each.state == "open" for each in given)


@given(alerts)
def test_at_least_the_share_took_no_longer(given: list[Counted]) -> None:
    taken = [
        (each.claimed_at - each.raised_at) / timedelta(minutes=1)
        for each in given
        if each.claimed_at
    ]
    found = times(given, lambda each: each.claimed_at)
    assert found.alerts == len(taken)
    for share, value in ((0.5, found.median), (0.9, found.p90)):
        if value is not None:
            assert sum(each <= value for each in taken) >= share * len(taken)
            assert sum(each < value for each in taken) < share * len(taken)


def figures(client: Any, **asked: str) -> dict[str, Any]:
    answer = client.get("alert-figures", params=asked)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_figures_are_of_the_scope(firm: Firm) -> None:
    firm.say(message(1, PROMISE), message(2, "早上好"), message(3, PROMISE, sender="shen"))
    firm.say(message(4, "您好", sender="shen"))
    everything = figures(firm.officer)
    assert (everything["messages"], everything["alerts"], everything["per_thousand"]) == (4, 2, 500)
    assert {(each["key"], each["per_thousand"]) for each in everything["departments"]} == {
        ("财富一部", 500),
        ("财富二部", 500),
    }
    own = figures(firm.user("leader", Role.SUPERVISOR, "one"))
    assert (own["messages"], own["alerts"]) == (2, 1)
    assert [each["key"] for each in own["departments"]] == ["财富一部"]
    assert own["backlog"] == {"red": 1, "orange": 0, "yellow": 0, "late": 0}


def test_times_and_dispositions_come_from_the_review(firm: Firm) -> None:
    firm.say(message(1, PROMISE))
    [alert] = firm.officer.get("alerts").json()["items"]
    with firm.services.db.write() as connection:
        past = clock.now() - timedelta(minutes=90)
        connection.execute(update(Alert).values(severity="yellow", raised_at=past))
    firm.officer.post(f"alerts/{alert['id']}/claim")
    given = {"note": "x", "disposition": "false_alarm"}
    firm.officer.post(f"alerts/{alert['id']}/resolve", json=given)
    found = figures(firm.officer)
    assert 89 < found["to_claim"]["median"] < 95
    assert (found["to_close"]["alerts"], found["backlog"]["yellow"]) == (1, 0)
    assert found["categories"][0]["false_alarms"] == 1
    assert found["rules"][0]["precision"] == 0


def test_the_sheets_say_the_same(firm: Firm) -> None:
    firm.say(message(1, PROMISE))
    sheet = firm.officer.get("alert-figures/csv")
    rows = list(csv.reader(io.StringIO(sheet.content.decode("utf-8-sig"))))
    assert ["部门", "财富一部", "1", "0", "0", "1000.0", "", "", ""] in rows
    book = load_workbook(io.BytesIO(firm.officer.get("alert-figures/xlsx").content))
    assert len(list(book.active.iter_rows())) == len(rows)


@pytest.mark.parametrize(
    "asked",
    [
        {"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"},
        {"since": "2020-01-01T00:00:00Z", "until": "2026-01-01T00:00:00Z"},
        {"until": "0001-01-01T00:00:00Z"},
    ],
)
def test_a_span_that_is_none_is_refused(firm: Firm, asked: dict[str, str]) -> None:
    assert firm.officer.get("alert-figures", params=asked).status_code == 400
