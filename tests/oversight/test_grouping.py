"""Breaches are grouped by adviser and stretch of conversation, however they come in."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from app.access import EVERYTHING
from app.foundation import clock
from app.oversight import store
from app.oversight.domain import MOST, REPEATS, STRETCH, Breach, Open, State, Step, grouped, raised
from app.oversight.models import Alert, AlertRecord, AlertStep
from app.oversight.store import AlertRow, Wanted
from tests.firm import Firm, message

PROMISE = "这款产品保本保息，您放心"
NOW = clock.from_ms(1_800_000_000_000)
breaches = st.lists(
    st.tuples(st.integers(1, 3), st.sampled_from("ab"), st.integers(0, 600)), max_size=40
).map(
    lambda rows: [
        Breach(number, place, who, NOW + timedelta(minutes=minute))
        for number, (place, who, minute) in enumerate(rows, 1)
    ]
)


@given(breaches)
def test_every_breach_is_in_one_group_of_its_adviser_and_conversation(given: list[Breach]) -> None:
    groups = grouped(given, {})
    assert sorted(each.record for group in groups for each in group.breaches) == [
        each.record for each in given
    ]
    for group in groups:
        assert len({(each.conversation, each.adviser) for each in group.breaches}) == 1


@given(breaches, st.integers(0, 40))
def test_where_a_batch_ends_decides_nothing(given: list[Breach], cut: int) -> None:
    whole = grouped(given, {})
    first = grouped(given[:cut], {})
    known: dict[tuple[int, str], Open] = {}
    for number, group in enumerate(first):
        key = group.breaches[0].conversation, group.breaches[0].adviser
        last_at = max(each.sent_at for each in group.breaches)
        known[key] = Open(number, last_at, len(group.breaches))
    merged = [list(group.breaches) for group in first]
    for group in grouped(given[cut:], known):
        if group.alert is None:
            merged.append(list(group.breaches))
        else:
            merged[group.alert] += group.breaches
    assert sorted(merged) == sorted(list(group.breaches) for group in whole)


def test_silence_ends_a_stretch_and_so_does_a_full_alert() -> None:
    near = Breach(1, 1, "a", NOW)
    late = Breach(2, 1, "a", NOW + STRETCH + timedelta(minutes=1))
    assert [len(group.breaches) for group in grouped([near, late], {})] == [1, 1]
    full = {(1, "a"): Open(7, NOW, MOST)}
    assert [group.alert for group in grouped([near], full)] == [None]


def test_established_breaches_raise_the_next_by_one_level() -> None:
    assert [raised("yellow", each) for each in (0, REPEATS - 1, REPEATS)] == [
        "yellow",
        "yellow",
        "orange",
    ]
    assert raised("red", REPEATS) == "red"


def listed(firm: Firm) -> list[AlertRow]:
    with firm.services.db.read() as connection:
        return store.read_page(connection, Wanted(), EVERYTHING, before=None, limit=100)[::-1]


def test_one_stretch_of_one_adviser_is_one_alert(firm: Firm) -> None:
    firm.say(message(1, PROMISE), message(2, "绝对不会亏的"))
    firm.say(message(3, "公司刚性兑付"))
    firm.say(message(4, PROMISE, recipient="wmB"), message(5, PROMISE, sender="qiao"))
    first, second, third = listed(firm)
    assert (first.messages, first.adviser, first.record_id & 0xFFFF) == (3, "yuan", 1)
    assert {(each.adviser, each.messages) for each in (second, third)} == {("yuan", 1), ("qiao", 1)}
    with firm.services.db.read() as connection:
        assert [each.step for each in store.history(connection, first)] == [Step.RAISE, Step.JOIN]
        records = store.records_of(connection, [first.number])[first.number]
        assert [record & 0xFFFF for record in records] == [1, 2, 3]
    shown = firm.officer.get(f"alerts/{first.id}").json()
    assert [each["source_msg_id"] for each in shown["all_messages"]] == ["1", "2", "3"]
    assert shown["message"]["source_msg_id"] == "3"
    assert len({each["rule"] for each in shown["reasons"]}) >= 3


def test_what_is_resolved_is_not_joined(firm: Firm) -> None:
    firm.say(message(1, PROMISE))
    with firm.services.db.write() as connection:
        connection.execute(update(Alert).values(state=State.RESOLVED))
    firm.say(message(2, PROMISE))
    assert [each.messages for each in listed(firm)] == [1, 1]


def test_a_joined_message_raises_the_severity(firm: Firm) -> None:
    firm.say(message(1, "这款名额不多了，今天不买就没了"))
    (mild,) = listed(firm)
    firm.say(message(2, PROMISE))
    (grave,) = listed(firm)
    assert mild.severity != "red"
    assert (grave.severity, grave.category) == ("red", "principal_guarantee")


def test_an_advisers_established_breaches_raise_the_next_alert(firm: Firm) -> None:
    mild = "这款名额不多了，今天不买就没了"
    for number in range(REPEATS):
        firm.say(message(number, mild, recipient=f"wm{number}"))
        with firm.services.db.write() as connection:
            connection.execute(update(Alert).values(state="resolved", disposition="confirmed"))
    firm.say(message(90, mild), message(91, mild, sender="qiao"))
    *_, repeated, first = listed(firm)
    assert repeated.severity != repeated.found_severity
    assert first.severity == first.found_severity == repeated.found_severity


def test_every_violating_record_is_in_one_alert_after_screening_again(firm: Firm) -> None:
    firm.say(*[message(each, PROMISE) for each in range(1, 8)])
    screening = firm.services.followers[0]
    screening.reset()
    firm.say()
    with firm.services.db.read() as connection:
        assert len(connection.execute(select(AlertRecord)).all()) == 7
        raised_steps = select(AlertStep).where(AlertStep.step == Step.RAISE)
        assert len(connection.execute(raised_steps).all()) == len(listed(firm)) == 1
