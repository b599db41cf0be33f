"""Reading within a scope, checked against brute force over random departments, moments and conversations."""

import itertools
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, insert

from app.access import EVERYTHING, NOTHING, Scope
from app.archive.domain import Action, Envelope, Party, PartyType
from app.archive.models import SEQ_BITS, position_of, record_id
from app.archive.store import (
    Message,
    MessageNotFound,
    audience_of,
    context,
    message_id,
    parse_message_id,
    read_log,
    read_many,
    read_one,
    recalled_by,
    tails,
    windows,
)
from app.foundation.clock import from_ms
from app.people import corp_codes, corp_ids
from app.people.models import Department, Employee, Membership
from tests.archive.conftest import Archive
from tests.archive.samples import between, envelope, in_group, put

DAY = 86_400_000
FIRST_DAY = 1_772_000_000_000
STAFF = 4
Place = tuple[int, int]


class Belonged(NamedTuple):
    """An employee was in a department from the first day up to, not including, the last."""

    employee: int
    department: int
    start: int
    end: int | None

    def covers(self, day: int) -> bool:
        """Whether the day lies in it."""
        return self.start <= day and (self.end is None or day < self.end)


class Said(NamedTuple):
    """A message of a corp on a day, between employees and perhaps a client; in a group or not."""

    corp: int
    day: int
    staff: frozenset[int]
    client: int | None
    room: int | None

    def envelope(self, name: str, corps: list[str]) -> Envelope:
        """The first of those who took part speaks to the others."""
        parties = [Party(PartyType.EMPLOYEE, f"e{number}") for number in sorted(self.staff)]
        if self.client is not None:
            # A client may have an id that is an employee's: only the type tells them apart.
            parties.append(Party(PartyType.CLIENT, f"e{self.client}"))
        fields: dict[str, Any] = {
            "corp": corps[self.corp],
            "sent_at": FIRST_DAY + self.day * DAY,
            "sender": parties[0],
            "recipients": tuple(parties[1:]),
        }
        return (
            envelope(name, **fields)
            if self.room is None
            else in_group(name, f"wr{self.room}", **fields)
        )


class World(NamedTuple):
    """Departments by their parents, who belonged where, what was said, and who asks."""

    parents: list[int | None]
    belonged: list[Belonged]
    said: list[Said]
    seen: frozenset[int] | None
    own: int | None

    def sees(self, message: Said) -> bool:
        """Whether the caller may know of the message; both corps have employees of the same ids."""
        if self.seen is None:
            return True
        if message.corp != 0:  # the departments and the employee are the first corp's
            return False
        return self.own in message.staff or any(
            self._sees_department(span.department)
            for span in self.belonged
            if span.employee in message.staff and span.covers(message.day)
        )

    def _sees_department(self, department: int | None) -> bool:
        while department is not None:
            if department in (self.seen or ()):
                return True
            department = self.parents[department]
        return False


@st.composite
def worlds(draw: st.DrawFn) -> World:
    size = draw(st.integers(1, 5))
    parents = [
        draw(st.none() | st.integers(0, number - 1)) if number else None for number in range(size)
    ]
    departments, days, staff = (
        st.integers(0, size - 1),
        st.integers(0, 6),
        st.integers(0, STAFF - 1),
    )
    spans = st.builds(Belonged, staff, departments, days, st.none() | st.integers(1, 7))
    said = st.builds(
        Said,
        st.sampled_from([0, 0, 0, 1]),
        days,
        st.frozensets(staff, min_size=1, max_size=3),
        st.none() | staff,
        st.none() | st.integers(0, 1),
    )
    scopes = st.none() | st.frozensets(departments, max_size=2)
    return World(
        parents,
        draw(st.lists(spans, max_size=8, unique_by=lambda span: span[:3])),
        draw(st.lists(said, min_size=1, max_size=10)),
        draw(scopes),
        draw(st.none() | staff),
    )


RUNS = itertools.count()


def placed(archive: Archive, world: World) -> tuple[list[Place], Scope]:
    """The world in the database, in two corps of its own; where each message stands and how far the caller sees."""
    run = next(RUNS)
    codes = [f"ww{run}-0", f"ww{run}-1"]
    with archive.db.write() as connection:
        corps = corp_ids(connection, codes)
        scope = _people(connection, world, [corps[code] for code in codes])
    receipts = put(
        archive.door, *(said.envelope(f"m{n}", codes) for n, said in enumerate(world.said))
    )
    places = [
        (corps[codes[said.corp]], receipt.seq or 0)
        for said, receipt in zip(world.said, receipts, strict=True)
    ]
    return places, scope


def _people(connection: Connection, world: World, corps: list[int]) -> Scope:
    employees = [
        [
            _add(connection, Employee, corp_id=corp, userid=f"e{n}", name="样例", provisional=False)
            for n in range(STAFF)
        ]
        for corp in corps
    ]
    departments: list[int] = []
    for number, parent in enumerate(world.parents):
        above = None if parent is None else departments[parent]
        row = {"corp_id": corps[0], "code": f"d{number}", "name": "样例", "parent_id": above}
        departments.append(_add(connection, Department, **row))
    for span in world.belonged:
        _add(
            connection,
            Membership,
            employee_id=employees[0][span.employee],
            department_id=departments[span.department],
            start_at=from_ms(FIRST_DAY + span.start * DAY),
            end_at=None if span.end is None else from_ms(FIRST_DAY + span.end * DAY),
        )
    seen = None if world.seen is None else frozenset(departments[each] for each in world.seen)
    return Scope(seen, None if world.own is None else employees[0][world.own])


def _add(connection: Connection, row_type: Any, **row: Any) -> int:
    return int(connection.execute(insert(row_type).values(row).returning(row_type.id)).scalar_one())


WORLDS = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@WORLDS
@given(world=worlds())
def test_a_scope_reads_exactly_what_brute_force_allows(archive: Archive, world: World) -> None:
    places, scope = placed(archive, world)
    expected = {place for place, said in zip(places, world.said, strict=True) if world.sees(said)}
    with archive.db.read() as connection:
        found = read_many(connection, places, scope)
        assert len(found) == len(expected)
        assert {(each.corp_id, each.seq) for each in found} == expected
        assert read_many(connection, places, NOTHING) == []
        assert len(read_many(connection, places, EVERYTHING)) == len(places)
        for place in places:
            assert (_read(connection, place, scope) is not None) == (place in expected)


def _read(connection: Connection, place: Place, scope: Scope) -> Message | None:
    try:
        return read_one(connection, message_id(*place), scope)
    except MessageNotFound:
        return None


@pytest.mark.parametrize(
    ("since_start", "until_end", "is_seen"),
    [(-1, None, False), (0, None, True), (None, 1, True), (None, 0, False)],
)
def test_a_department_sees_from_the_first_millisecond_up_to_the_last(
    archive: Archive, since_start: int | None, until_end: int | None, *, is_seen: bool
) -> None:
    world = World([None], [Belonged(0, 0, 2, 4)], [], frozenset({0}), None)
    _, scope = placed(archive, world)
    moment = 2 * DAY + since_start if since_start is not None else 4 * DAY - (until_end or 0)
    sender = Party(PartyType.EMPLOYEE, "e0")
    with archive.db.read() as connection:
        [code] = [code for code in corp_codes(connection).values() if code.endswith("-0")]
    put(archive.door, envelope("m1", corp=code, sender=sender, sent_at=FIRST_DAY + moment))
    with archive.db.read() as connection:
        [place] = [place for place in tails(connection).items() if place[1]]
        assert (_read(connection, place, scope) is not None) == is_seen


@WORLDS
@given(world=worlds(), before=st.integers(0, 4), after=st.integers(0, 4))
def test_a_context_holds_the_nearest_that_the_scope_sees(
    archive: Archive, world: World, before: int, after: int
) -> None:
    places, scope = placed(archive, world)
    with archive.db.read() as connection:
        everything = {
            (each.corp_id, each.seq): each for each in read_many(connection, places, EVERYTHING)
        }
        visible = [
            everything[place]
            for place, said in zip(places, world.said, strict=True)
            if world.sees(said)
        ]
        for message in visible:
            thread = [each for each in visible if each.conversation_id == message.conversation_id]
            thread.sort(key=lambda each: each.counter)
            at = thread.index(message)
            found = context(connection, message, scope, before=before, after=after)
            assert found == thread[max(0, at - before) : at + after + 1]


@pytest.fixture
def thread(archive: Archive) -> list[Message]:
    """Seven messages of a conversation, with others in between."""
    for number in range(7):
        put(archive.door, envelope(f"m{number}"), between(f"n{number}", "wmB"))
    with archive.db.read() as connection:
        log = read_log(connection, 1, 0, 100)
    return [each for each in log if each.source_msg_id.startswith("m")]


@pytest.mark.parametrize(
    ("at", "before", "after", "expected"),
    [
        (3, 0, 0, "3"),
        (3, 1, 2, "2345"),
        (0, 2, 1, "01"),
        (6, 1, 2, "56"),
        (3, 100, 100, "0123456"),
        (0, 0, 0, "0"),
        (6, 0, 0, "6"),
    ],
)
def test_a_context_ends_where_the_conversation_does(
    archive: Archive, thread: list[Message], at: int, before: int, after: int, expected: str
) -> None:
    with archive.db.read() as connection:
        found = context(connection, thread[at], EVERYTHING, before=before, after=after)
    assert [each.source_msg_id for each in found] == [f"m{number}" for number in expected]


def test_windows_give_the_asked_counters_of_each_conversation(archive: Archive) -> None:
    put(
        archive.door,
        *(between(f"{room}-{n}", f"wm{room}") for n in range(5) for room in range(250)),
    )
    with archive.db.read() as connection:
        log = read_log(connection, 1, 0, 250)
        spans = {
            each.conversation_id: (number % 7 - 1, number % 7 + 1)
            for number, each in enumerate(log)
        }
        found = windows(connection, spans)
        assert windows(connection, {}) == []
        assert windows(connection, {log[0].conversation_id: (9, 12), -1: (1, 5)}) == []
    expected = {
        place: [counter for counter in range(first, last + 1) if 1 <= counter <= 5]
        for place, (first, last) in spans.items()
    }
    counters = {each[0].conversation_id: [message.counter for message in each] for each in found}
    assert counters == {place: asked for place, asked in expected.items() if asked}
    assert len(found) == len(counters)


def recall(name: str, recalls: str, **changes: Any) -> Envelope:
    return envelope(name, action=Action.RECALL, kind="revoke", recalls=recalls, **changes)


def test_a_recall_is_found_from_what_it_takes_back(archive: Archive) -> None:
    put(
        archive.door,
        envelope("a"),
        envelope("b"),
        recall("r1", "a"),
        recall("r2", "a"),
        recall("r3", "never-seen"),
    )
    with archive.db.read() as connection:
        log = read_log(connection, 1, 0, 10)
        assert recalled_by(connection, log) == {(1, "wecom", "a"): (1, 3)}
        assert recalled_by(connection, []) == {}


def test_a_recall_takes_back_only_what_its_own_source_and_corp_sent(archive: Archive) -> None:
    put(
        archive.door,
        envelope("a"),
        envelope("a", source="mail"),
        envelope("a", corp="ww2"),
        recall("r", "a", source="mail"),
    )
    with archive.db.read() as connection:
        log = [*read_log(connection, 1, 0, 10), *read_log(connection, 2, 0, 10)]
        assert recalled_by(connection, log) == {(1, "mail", "a"): (1, 3)}


def test_any_number_of_messages_can_be_asked_for_their_recalls(archive: Archive) -> None:
    put(archive.door, *(envelope(f"m{number}") for number in range(1_200)))
    put(archive.door, recall("r", "m1199"))
    with archive.db.read() as connection:
        log = read_log(connection, 1, 0, 2_000)
        assert recalled_by(connection, log) == {(1, "wecom", "m1199"): (1, 1_201)}


def test_the_log_is_read_in_order_and_piece_by_piece(archive: Archive) -> None:
    put(archive.door, *(between(f"m{n}", f"wm{n % 3}", corp=f"ww{n % 2}") for n in range(10)))
    with archive.db.read() as connection:
        assert tails(connection) == {1: 5, 2: 5}
        pieces = [read_log(connection, 1, after, 2) for after in (0, 2, 4, 5)]
        assert read_log(connection, 3, 0, 10) == []
    assert [[each.seq for each in piece] for piece in pieces] == [[1, 2], [3, 4], [5], []]
    assert {each.corp for piece in pieces for each in piece} == {"ww0"}


def test_an_audience_is_everybody_once(archive: Archive) -> None:
    client = Party(PartyType.CLIENT, "wmA")
    put(archive.door, envelope("m1", recipients=(client, client._replace(name="样例"))))
    with archive.db.read() as connection:
        found = audience_of(connection, [(1, 1), (1, 2)])
    assert {place: sorted(parties) for place, parties in found.items()} == {
        (1, 1): [("client", "wmA"), ("employee", "su.he")]
    }


PLACES = st.tuples(st.integers(1, 999_999), st.integers(0, 2**SEQ_BITS - 1))


@given(place=PLACES)
def test_a_public_id_stands_for_its_place(place: Place) -> None:
    assert parse_message_id(message_id(*place)) == place
    assert position_of(record_id(*place)) == place


JUNK = [
    *("", "msg", "msg_", "msg_1", "msg_1_", "msg__1", "msg_1_1_1", "MSG_1_1", "alt_1_1"),
    *("msg_+1_1", "msg_1_-1", "msg_1_ 1", " msg_1_1", "msg_1_1\n", "msg_1_0x1", "msg_1.0_1"),
    *("msg_\u0661_1", "msg_1_\u00b2", "msg_\uff11_1", "msg_1_1\0", "msg_1_1'--"),
    *("msg_01_1", "msg_1_01", "msg_1_00"),  # other names of messages that have one
    *(f"msg_1_{2**SEQ_BITS}", "msg_1000000_1", f"msg_1_{'9' * 5_000}", f"msg_{'9' * 5_000}_1"),
]


@pytest.mark.parametrize("name", JUNK, ids=range(len(JUNK)))
def test_junk_is_no_message(name: str) -> None:
    with pytest.raises(MessageNotFound):
        parse_message_id(name)


@given(name=st.text(max_size=20) | st.from_regex(r"\Amsg_\d+_\d+\Z"))
def test_whatever_is_accepted_is_the_one_name_of_a_place(name: str) -> None:
    try:
        place = parse_message_id(name)
    except MessageNotFound:
        return
    assert message_id(*place) == name
