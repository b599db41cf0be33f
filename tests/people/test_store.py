"""Who is seen, checked against brute force; who is noted, and how often the database is asked."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, event, func, insert, select

from app.access import EVERYTHING, NOTHING, Scope
from app.foundation.clock import from_ms
from app.foundation.database import SQLITE_ROWS, Database
from app.people import (
    KnownPeople,
    corp_codes,
    corp_ids,
    departments_at,
    employee_id,
    employee_key,
    listing,
    memberships_of,
    names,
    note_parties,
    subtree,
    visible_departments,
    visible_userids,
)
from app.people.listing import Wanted
from app.people.models import (
    Assignment,
    Client,
    Department,
    Employee,
    Group,
    GroupMember,
    Membership,
)
from app.people.service import Report

WORLDS = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class Undo(Exception):
    """Takes an example's rows back."""


class Time(NamedTuple):
    """A half-open span in days."""

    start: int
    end: int | None

    def covers(self, day: int) -> bool:
        """Whether the day lies in it."""
        return self.start <= day and (self.end is None or day < self.end)

    def meets(self, other: "Time") -> bool:
        """Whether a day lies in both."""
        return any(self.covers(day) and other.covers(day) for day in range(12))

    def moments(self) -> dict[str, datetime | None]:
        """The columns of a row; a day is a millisecond here."""
        return {
            "start_at": from_ms(self.start),
            "end_at": None if self.end is None else from_ms(self.end),
        }


class World(NamedTuple):
    """A department's parent by its number; who belonged where; who served whom; owner and members of groups."""

    parents: list[int | None]
    belonged: list[tuple[int, int, Time]]
    served: list[tuple[int, int, Time]]
    groups: list[tuple[int | None, frozenset[int]]]
    seen: frozenset[int]
    own: int | None

    def sees(self, department: int | None) -> bool:
        """Whether the department or one above it is seen."""
        while department is not None:
            if department in self.seen:
                return True
            department = self.parents[department]
        return False


TIMES = st.integers(0, 9).flatmap(
    lambda start: st.builds(Time, st.just(start), st.none() | st.integers(start + 1, 10))
)
NUMBERS = st.integers(0, 4)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    size = draw(st.integers(1, 7))
    parents = [
        draw(st.none() | st.integers(0, number - 1)) if number else None for number in range(size)
    ]
    departments = st.integers(0, size - 1)
    spans: st.SearchStrategy[list[tuple[int, int, Time]]] = st.lists(
        st.tuples(NUMBERS, departments, TIMES),
        max_size=8,
        unique_by=lambda span: (span[0], span[1], span[2].start),
    )
    served: st.SearchStrategy[list[tuple[int, int, Time]]] = st.lists(
        st.tuples(NUMBERS, NUMBERS, TIMES),
        max_size=8,
        unique_by=lambda span: (span[0], span[1], span[2].start),
    )
    return World(
        parents,
        draw(spans),
        draw(served),
        draw(st.lists(st.tuples(st.none() | NUMBERS, st.frozensets(NUMBERS)), max_size=3)),
        draw(st.frozensets(departments, max_size=2)),
        draw(st.none() | NUMBERS),
    )


class Placed(NamedTuple):
    """The world in the database: row ids by number."""

    corp: int
    departments: list[int]
    employees: list[int]
    scope: Scope


def place(connection: Connection, world: World) -> Placed:
    corp = corp_ids(connection, ["ww-world"])["ww-world"]
    departments: list[int] = []
    for number, parent in enumerate(world.parents):
        above = None if parent is None else departments[parent]
        row = {"corp_id": corp, "code": f"d{number}", "name": "样例", "parent_id": above}
        departments.append(_add(connection, Department, row))
    employees = [
        _add(connection, Employee, {"corp_id": corp, "userid": f"e{n}", **_person()})
        for n in range(5)
    ]
    clients = [
        _add(connection, Client, {"corp_id": corp, "external_id": f"c{n}", **_person()})
        for n in range(5)
    ]
    for employee, department, time in world.belonged:
        row = {"employee_id": employees[employee], "department_id": departments[department]}
        _add(connection, Membership, row | time.moments())
    for client, employee, time in world.served:
        row = {"client_id": clients[client], "employee_id": employees[employee]}
        _add(connection, Assignment, row | time.moments())
    for number, (owner, members) in enumerate(world.groups):
        row = {
            "corp_id": corp,
            "group_id": f"g{number}",
            "owner_id": None if owner is None else employees[owner],
            **_person(),
        }
        group = _add(connection, Group, row)
        for member in members:
            _add(connection, GroupMember, {"group_id": group, "employee_id": employees[member]})
        _add(connection, GroupMember, {"group_id": group, "client_id": clients[0]})
    scope = Scope(
        frozenset(departments[number] for number in world.seen),
        None if world.own is None else employees[world.own],
    )
    return Placed(corp, departments, employees, scope)


def _person() -> dict[str, Any]:
    return {"name": "样例", "provisional": False}


def _add(connection: Connection, row_type: Any, row: dict[str, Any]) -> int:
    return int(connection.execute(insert(row_type).values(row).returning(row_type.id)).scalar_one())


@contextmanager
def undone(db: Database) -> Iterator[Connection]:
    with suppress(Undo), db.write() as connection:
        yield connection
        raise Undo


@WORLDS
@given(world=worlds())
def test_a_scope_sees_exactly_its_subtrees(db: Database, world: World) -> None:
    with undone(db) as connection:
        placed = place(connection, world)
        expected = frozenset(
            placed.departments[number] for number in range(len(world.parents)) if world.sees(number)
        )
        assert visible_departments(connection, placed.scope) == expected
        rows = listing.departments(connection, placed.scope, Wanted())
        assert {row.id for row in rows} == expected


@WORLDS
@given(world=worlds(), day=st.integers(0, 11))
def test_a_scope_sees_who_belonged_to_its_subtrees_at_the_moment(
    db: Database, world: World, day: int
) -> None:
    with undone(db) as connection:
        placed = place(connection, world)
        expected = frozenset(
            f"e{employee}"
            for employee, department, time in world.belonged
            if world.sees(department) and time.covers(day)
        ) | frozenset(() if world.own is None else {f"e{world.own}"})
        seen = visible_userids(connection, placed.corp, placed.scope, from_ms(day))
        assert seen == expected


@WORLDS
@given(world=worlds())
def test_lists_show_whom_brute_force_finds(db: Database, world: World) -> None:
    with undone(db) as connection:
        placed = place(connection, world)
        staff = {f"e{who}" for who, where, _ in world.belonged if world.sees(where)}
        served = {
            f"c{client}"
            for client, employee, time in world.served
            if employee == world.own
            or any(
                employee == who and world.sees(where) and time.meets(span)
                for who, where, span in world.belonged
            )
        }
        staff |= set() if world.own is None else {f"e{world.own}"}
        joined = {
            f"g{number}"
            for number, (owner, members) in enumerate(world.groups)
            if staff & {f"e{who}" for who in (owner, *members)}
        }
        groups = listing.groups(connection, placed.scope, Wanted())
        assert {row.group_id for row in groups} == joined
        employees = listing.employees(connection, placed.scope, Wanted())
        clients = listing.clients(connection, placed.scope, Wanted())
        assert {row.userid for row in employees} == staff
        assert {row.external_id for row in clients} == served
        for row in listing.clients(connection, EVERYTHING, Wanted()):
            found = listing.client(connection, placed.scope, row.id)
            assert (found is not None) == (row.external_id in served)


@WORLDS
@given(world=worlds(), day=st.integers(0, 11))
def test_departments_at_a_moment_are_those_whose_span_covers_it(
    db: Database, world: World, day: int
) -> None:
    with undone(db) as connection:
        placed = place(connection, world)
        found = departments_at(connection, placed.corp, ["E1", "nobody"], from_ms(day))
        assert found == {
            "E1": {
                placed.departments[where]
                for who, where, time in world.belonged
                if who == 1 and time.covers(day)
            },
            "nobody": set(),
        }


def test_everything_and_nothing_need_no_tree(db: Database) -> None:
    with db.read() as connection:
        assert visible_departments(connection, EVERYTHING) is None
        assert visible_userids(connection, 1, EVERYTHING) is None
        assert visible_departments(connection, NOTHING) == frozenset()
        assert visible_userids(connection, 1, NOTHING) == frozenset()
        assert subtree(connection, [10**9]) == frozenset()


def test_unknown_corps_are_made_once(db: Database) -> None:
    with db.write() as connection:
        made = corp_ids(connection, ["b", "a", "b"])
        assert corp_ids(connection, ["a", "c"])["a"] == made["a"]
        assert set(corp_codes(connection).values()) == {"a", "b", "c"}
        assert corp_ids(connection, []) == {}


def test_a_thousand_strangers_cost_a_statement_per_table_and_250_rows(db: Database) -> None:
    parties: list[tuple[str, str, str | None]] = [
        (kind, f"{kind}{number}", None) for number in range(400) for kind in ("employee", "client")
    ]
    groups = [(f"wr{number}", "样例群") for number in range(200)]
    with db.write() as connection:
        corp = corp_ids(connection, ["ww1"])["ww1"]
        with counted(connection) as statements:
            note_parties(connection, corp, [*parties, ("robot", "wb1", None)], groups)
        assert len(statements) <= 3 * (1_000 // SQLITE_ROWS)
        for row_type, expected in ((Employee, 400), (Client, 400), (Group, 200)):
            found = connection.execute(
                select(func.count()).select_from(row_type).where(row_type.provisional)
            )
            assert found.scalar() == expected


def test_noting_again_changes_neither_name_nor_mark(
    db: Database, take: Callable[..., Report]
) -> None:
    take()
    with db.write() as connection:
        corp = corp_ids(connection, ["ww1"])["ww1"]
        note_parties(connection, corp, [("employee", "SU.HE", "别名")], [("wrA", "别名")])
        assert names(connection, corp, [("employee", "Su.He")]) == {("employee", "Su.He"): "苏禾"}
        assert set(connection.execute(select(Group.name, Group.provisional))) == {("样例群", False)}


def test_names_are_found_for_as_many_people_as_are_asked_for(db: Database) -> None:
    parties: list[tuple[str, str, str | None]] = [
        ("client", f"wm{number}", f"样例{number}") for number in range(1200)
    ]
    with db.write() as connection:
        corp = corp_ids(connection, ["ww1"])["ww1"]
        note_parties(connection, corp, [*parties, ("employee", "a", None)])
        found = names(connection, corp, [(kind, key) for kind, key, _ in parties])
        assert found == {(kind, key): name for kind, key, name in parties}
        assert names(connection, corp, [("employee", "a"), ("client", "?"), ("robot", "r")]) == {}


def test_spans_are_given_under_the_name_that_was_asked_for(
    db: Database, take: Callable[..., Report]
) -> None:
    take()
    with db.read() as connection:
        corp = corp_ids(connection, ["ww1"])["ww1"]
        spans = memberships_of(connection, corp, ["SU.HE", "su.he", "nobody"])
    assert spans["SU.HE"] == spans["su.he"] != []
    assert spans["nobody"] == []


def test_an_employee_is_found_by_her_row_and_by_her_userid(
    db: Database, take: Callable[..., Report]
) -> None:
    take()
    with db.read() as connection:
        corp = corp_ids(connection, ["ww1"])["ww1"]
        row = employee_id(connection, corp, "Su.He")
        assert row is not None
        assert employee_key(connection, row) == (corp, "su.he")
        assert employee_id(connection, corp, "nobody") is None
        assert employee_key(connection, 10**9) is None


@contextmanager
def counted(connection: Connection) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(*details: Any) -> None:
        seen.append(details[2])

    event.listen(connection, "before_cursor_execute", note)
    yield seen
    event.remove(connection, "before_cursor_execute", note)


def test_only_strangers_are_missing_and_each_once() -> None:
    known = KnownPeople()
    known.remember(1, [("employee", "su.he", None)], [("wr1", None)])
    parties = [
        ("employee", "SU.HE", None),
        ("client", "su.he", None),
        ("client", "wm", "甲"),
        ("client", "wm", None),
        ("robot", "wb", None),
        ("unknown", "x", None),
    ]
    assert known.missing(1, parties) == [("client", "su.he", None), ("client", "wm", "甲")]
    assert known.missing(2, parties[:1]) == parties[:1]
    assert known.missing_groups(1, [("wr1", None), ("wr2", "群"), ("wr2", "群")]) == [("wr2", "群")]


def test_the_memory_stays_within_its_bound() -> None:
    known = KnownPeople(limit=10)
    parties: list[tuple[str, str, str | None]] = [("client", f"wm{n}", None) for n in range(25)]
    for party in parties:
        known.remember(1, [party])
    assert len(parties) - len(known.missing(1, parties)) <= 10
    assert known.missing(1, parties[-1:]) == []
