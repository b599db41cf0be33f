"""Who is told of an alert, how, how often, and what becomes of what cannot be sent."""

import hmac
import json
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from app.access import OPERATOR, Role
from app.foundation import clock
from app.foundation.jobs import Worker
from app.foundation.settings import Settings
from app.oversight import channels, clockwork, rules
from app.oversight.letters import Told, clipped, compose
from app.oversight.models import Alert
from app.oversight.notices import Notifier, not_before
from app.oversight.rules import Quiet, Route, Rules
from tests.firm import Firm, message
from tests.outside import Outside, outside

PROMISE = "这款产品保本保息，您放心"
ZONE = ZoneInfo("Asia/Shanghai")
EVERY = Route(to=["supervisor", "department"], channels=["wecom", "mail", "webhook", "robot"])
LOUD = Rules(routes=[EVERY], quiet=None)


@pytest.fixture
def world() -> Iterator[Outside]:
    with outside() as made:
        yield made


@pytest.fixture
def worker(firm: Firm, world: Outside) -> Worker:
    """The notifier's worker with every channel, and a supervisor with addresses."""
    opened = channels.opened(Settings(**world.settings()))  # type: ignore[arg-type]
    notifier = Notifier(
        firm.services.db,
        opened,
        lambda: {"principal_guarantee": "保本承诺"},
        "https://liuhen.example.com",
        ZONE,
    )
    put_rules(firm, LOUD)
    user = told(firm, "leader", "one")
    assert user
    return Worker(firm.services.db, notifier.handlers(), name="test")


def put_rules(firm: Firm, given: Rules) -> None:
    with firm.services.db.write() as connection:
        rules.put(connection, given, OPERATOR)


def told(firm: Firm, login: str, department: str | None, **given: Any) -> str:
    """A supervisor who can be told by mail and on WeCom; gives her id."""
    client = firm.user(login, Role.SUPERVISOR, department, **given)
    user: str = client.get("session").json()["id"]
    for channel, address in (("mail", f"{login}@example.com"), ("wecom", login)):
        answer = firm.officer.put(f"contacts/{user}/{channel}", json={"address": address})
        assert answer.status_code == 204, answer.text
    return user


def notices(firm: Firm) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = firm.officer.get("notices").json()["items"]
    return items[::-1]


def test_a_breach_reaches_the_supervisor_on_every_channel(
    firm: Firm, world: Outside, worker: Worker
) -> None:
    firm.say(message(1, PROMISE))
    worker.work_off()
    [mail], [card], [hook], [robot] = (
        world.mailbox.mails,
        world.web.cards,
        world.web.hooks,
        world.web.robots,
    )
    [alert] = firm.officer.get("alerts").json()["items"]
    place = f"https://liuhen.example.com/alerts/{alert['id']}"
    assert (mail["to"], "保本承诺" in mail["subject"]) == ("leader@example.com", True)
    assert (card["touser"], card["textcard"]["url"]) == ("leader", place)
    assert json.loads(hook[1])["alerts"][0]["alert"] == alert["id"]
    everything = f"{mail.get_payload()}{card}{hook[1]}{robot}"
    assert "保息" not in everything
    assert "yuan" not in json.dumps(robot)
    opened = firm.officer.get(f"alerts/{alert['id']}").json()
    assert {(each["channel"], each["state"]) for each in opened["notices"]} == {
        ("mail", "sent"),
        ("wecom", "sent"),
        ("webhook", "sent"),
        ("robot", "sent"),
    }


def test_the_webhook_is_signed(firm: Firm, world: Outside, worker: Worker) -> None:
    firm.say(message(1, PROMISE))
    worker.work_off()
    [(headers, body)] = world.web.hooks
    moment, proof = (part.partition("=")[2] for part in headers["x-liuhen-signature"].split(","))
    expected = hmac.new("样例密钥".encode(), f"{moment}.{body}".encode(), "sha256").hexdigest()
    assert proof == expected
    assert abs(int(moment) - clock.now_ms() // 1000) < 60


def test_a_storm_is_one_letter_now_and_one_digest_a_minute_later(
    firm: Firm, world: Outside, worker: Worker
) -> None:
    firm.say(message(0, PROMISE))
    worker.work_off()
    for number in range(1, 40):
        firm.say(message(number, PROMISE, recipient=f"wm{number}"))
        worker.work_off()
    assert len(world.mailbox.mails) == 1
    with firm.services.db.write() as connection:
        connection.exec_driver_sql(
            "UPDATE jobs SET run_at = 0 WHERE state = 'waiting' AND kind = 'deliver'"
        )
    worker.work_off()
    assert len(world.mailbox.mails) == 1, "a job that runs early must not send early"
    later = clock.now() + timedelta(minutes=2)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(clock, "now", lambda: later)
        worker.work_off()
    assert len(world.mailbox.mails) == 2
    assert "39 条预警" in world.mailbox.mails[1]["subject"]
    assert {each["state"] for each in notices(firm)} == {"sent"}


def test_what_fails_is_tried_again_and_ends_as_a_dead_letter_that_can_be_revived(
    firm: Firm, world: Outside, worker: Worker
) -> None:
    put_rules(
        firm, LOUD.model_copy(update={"routes": [Route(to=["department"], channels=["mail"])]})
    )
    world.mailbox.refusing = True
    firm.say(message(1, PROMISE))
    moment = clock.now()
    with pytest.MonkeyPatch.context() as patched:
        for _ in range(10):
            moment += timedelta(hours=2)
            patched.setattr(clock, "now", lambda moment=moment: moment)
            worker.work_off()
    [dead] = firm.officer.get("notices", params={"state": "dead"}).json()["items"]
    assert (dead["attempts"], dead["failure"]) == (8, "SMTPDataError")
    world.mailbox.refusing = False
    assert firm.officer.post(f"notices/{dead['id']}/retry").status_code == 204
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(clock, "now", lambda: moment + timedelta(hours=2))
        worker.work_off()
    assert [each["state"] for each in notices(firm)] == ["sent"]
    assert len(world.mailbox.mails) == 1
    assert firm.officer.post(f"notices/{dead['id']}/retry").status_code == 404


def test_a_missing_address_is_told_at_once(firm: Firm, world: Outside, worker: Worker) -> None:
    firm.user("silent", Role.SUPERVISOR, "two")
    firm.say(message(1, PROMISE, sender="shen"))
    worker.work_off()
    failures = {(each["channel"], each["state"], each["failure"]) for each in notices(firm)}
    assert ("mail", "dead", "没有该渠道的地址") in failures
    assert world.mailbox.mails == []


def test_an_expired_token_is_renewed_and_an_unknown_user_is_no_success(
    firm: Firm, world: Outside, worker: Worker
) -> None:
    world.web.refusals = [{"errcode": 42001}]
    firm.say(message(1, PROMISE))
    worker.work_off()
    assert (len(world.web.cards), world.web.tokens) == (1, 2)
    world.web.refusals = [{"errcode": 0, "invaliduser": "leader"}]
    firm.say(message(2, PROMISE, recipient="wm2"))
    later = clock.now() + timedelta(minutes=2)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(clock, "now", lambda: later)
        worker.work_off()
    waiting = [each for each in notices(firm) if each["state"] == "waiting"]
    assert [(each["channel"], each["failure"]) for each in waiting] == [("wecom", "WecomRefused")]


def test_what_is_resolved_meanwhile_is_not_told(firm: Firm, world: Outside, worker: Worker) -> None:
    firm.say(message(1, PROMISE))
    with firm.services.db.write() as connection:
        connection.execute(update(Alert).values(state="resolved", disposition="false_alarm"))
    worker.work_off()
    assert (world.mailbox.mails, notices(firm)) == ([], [])


def receivers(firm: Firm, **given: Any) -> list[dict[str, Any]]:
    """Who would be told of the newest alert."""
    answer = firm.officer.post("oversight-rules/dry-run", json=given)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"][0]["receivers"]
    return found


def test_nobody_is_told_of_himself_nor_of_what_he_may_not_see(firm: Firm) -> None:
    firm.user("own", Role.SUPERVISOR, "one", employee="yuan")
    firm.user("foreign", Role.SUPERVISOR, "two")
    above = firm.user("above", Role.SUPERVISOR, "wealth").get("session").json()["id"]
    firm.say(message(1, PROMISE))
    only = {"routes": [{"to": ["department"]}]}
    names = [each["user_id"] for each in receivers(firm, rules=only)]
    assert above not in names or len(names) == 1
    assert "样例own" not in [each["name"] for each in receivers(firm, rules=only)]
    assert "样例foreign" not in [each["name"] for each in receivers(firm)]


def test_compliance_is_told_where_nobody_else_can_be(firm: Firm) -> None:
    firm.say(message(1, PROMISE))
    found = [(each["name"], each["why"]) for each in receivers(firm, rules={"routes": []})]
    assert found == [("样例officer", ["compliance"])]


def test_a_stand_in_is_told_in_place_of_the_absent(firm: Firm) -> None:
    leader = firm.user("leader", Role.SUPERVISOR, "one")
    other = firm.user("other", Role.SUPERVISOR, "wealth").get("session").json()["id"]
    leaders = leader.get("session").json()["id"]
    firm.say(message(1, PROMISE))
    only = {"routes": [{"to": ["department"]}]}
    assert [each["name"] for each in receivers(firm, rules=only)] == ["样例leader"]
    now = clock.now()
    away = {
        "user_id": leaders,
        "stand_in": other,
        "since": (now - timedelta(days=1)).isoformat(),
        "until": (now + timedelta(days=1)).isoformat(),
    }
    assert leader.post("absences", json=away | {"user_id": other}).status_code == 403
    assert leader.post("absences", json=away).status_code == 204
    assert [(each["name"], each["why"]) for each in receivers(firm, rules=only)] == [
        ("样例other", ["department（代 样例leader）"])
    ]
    [kept] = firm.officer.get("absences").json()["items"]
    assert firm.officer.delete(f"absences/{kept['id']}").status_code == 204
    assert [each["name"] for each in receivers(firm, rules=only)] == ["样例leader"]


def test_a_dry_run_sends_nothing_and_rules_are_kept_by_who_is_responsible(firm: Firm) -> None:
    firm.say(message(1, PROMISE))
    receivers(firm)
    assert notices(firm) == []
    local = firm.user("local", Role.OFFICER, "one")
    given = LOUD.model_dump(mode="json")
    assert local.put("oversight-rules", json=given).status_code == 403
    assert firm.officer.put("oversight-rules", json=given).status_code == 204
    assert firm.officer.get("oversight-rules").json() == given
    assert firm.officer.put("oversight-rules", json={"nonsense": 1}).status_code == 422


def at(words: str) -> datetime:
    return datetime.fromisoformat(words).replace(tzinfo=ZONE)


@pytest.mark.parametrize(
    ("now", "then"),
    [
        ("2026-03-05 21:59", "2026-03-05 21:59"),
        ("2026-03-05 22:00", "2026-03-06 08:00"),
        ("2026-03-06 03:00", "2026-03-06 08:00"),
        ("2026-03-06 08:00", "2026-03-06 08:00"),
    ],
)
def test_in_quiet_hours_only_red_is_told(now: str, then: str) -> None:
    moment = at(now).astimezone(clock.now().tzinfo)
    assert not_before(moment, "orange", Quiet(), ZONE) == at(then)
    assert not_before(moment, "red", Quiet(), ZONE) == moment
    noon = Quiet(begins=time(12), ends=time(13))
    assert not_before(moment, "orange", noon, ZONE) == moment


def test_the_clock_sets_deadlines_reminds_and_sends_up_the_line(firm: Firm) -> None:
    firm.say(message(1, PROMISE))
    calendar = firm.services.settings.calendar
    db = firm.services.db
    start = clock.now()
    clockwork.tick(db, calendar, start)

    def alert() -> Any:
        with db.read() as connection:
            return connection.execute(select(Alert.__table__)).one()

    first = alert()
    assert first.raised_at < first.remind_at < first.due_at
    clockwork.tick(db, calendar, first.remind_at)
    assert (alert().remind_at, alert().state) == (None, "open")
    clockwork.tick(db, calendar, first.due_at)
    assert (alert().state, alert().level, alert().due_at) == ("escalated", 1, None)
    for _ in range(6):
        clockwork.tick(db, calendar, start + timedelta(days=300))
        clockwork.tick(db, calendar, start + timedelta(days=700))
    assert (alert().level, alert().due_at) == (3, None)
    place = f"alerts/{alert().id}"
    steps = [each["step"] for each in firm.officer.get(place).json()["history"]]
    assert steps == ["raise", "escalate", "overdue", "overdue"]


def test_who_has_a_late_alert_keeps_it(firm: Firm) -> None:
    firm.say(message(1, PROMISE))
    [shown] = firm.officer.get("alerts").json()["items"]
    firm.officer.post(f"alerts/{shown['id']}/claim")
    db, calendar = firm.services.db, firm.services.settings.calendar
    clockwork.tick(db, calendar)
    clockwork.tick(db, calendar, clock.now() + timedelta(days=100))
    late = firm.officer.get(f"alerts/{shown['id']}").json()
    assert (late["state"], late["owner_name"], late["level"]) == ("claimed", "样例officer", 1)


severities = st.sampled_from(["red", "orange", "yellow"])
letters = st.lists(
    st.builds(
        Told,
        alert=st.just("alt_1"),
        severity=severities,
        category=st.just("c"),
        adviser=st.sampled_from(["", "yuan"]),
        messages=st.integers(1, 200),
        last_at=st.just(clock.EPOCH),
        due_at=st.none() | st.just(clock.EPOCH),
        occasion=st.sampled_from(["raise", "remind:open:0", "graver:red"]),
    ),
    min_size=1,
    max_size=30,
)


@given(letters)
def test_a_letter_begins_with_the_gravest_and_names_nobody_in_its_plain_lines(
    told: list[Told],
) -> None:
    letter = compose(told, {}, "https://x", ZONE)
    order = ["red", "orange", "yellow"]
    ranks = [order.index(each.severity) for each in letter.alerts]
    assert ranks == sorted(ranks)
    assert len(letter.alerts) == len(told)
    assert "yuan" not in "".join((letter.title, *letter.plain_lines))


@given(st.text(max_size=300), st.integers(4, 200))
def test_clipping_keeps_within_bytes(text: str, most: int) -> None:
    assert len(clipped(text, most).encode("utf-8", "ignore")) <= most
