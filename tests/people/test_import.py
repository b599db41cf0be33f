"""An import takes the good, reports the bad, in one transaction, as often as one likes."""

from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select

from app.access import OPERATOR, Event
from app.access.audit import Filter, details, page
from app.foundation.clock import to_ms
from app.foundation.database import Base, Database
from app.people import People, corp_ids, memberships_of, note_parties, supervisor_of
from app.people.models import (
    Assignment,
    Client,
    Corp,
    Department,
    Employee,
    Group,
    GroupMember,
    Membership,
)
from app.people.reading import Kind, UnreadableImport
from app.people.service import Report

Import = Callable[..., Report]
SHANGHAI = ZoneInfo("Asia/Shanghai")
TABLES: tuple[type[Base], ...] = (
    Corp,
    Department,
    Employee,
    Membership,
    Client,
    Group,
    GroupMember,
    Assignment,
)


def contents(db: Database) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table of people, without the ids of rows that are replaced."""
    with db.read() as connection:
        return {
            kind.__tablename__: sorted(
                (
                    tuple(row)
                    for row in connection.execute(
                        select(
                            *(
                                column
                                for column in kind.__table__.columns
                                if kind not in (Membership, GroupMember) or column.name != "id"
                            )
                        )
                    )
                ),
                key=repr,
            )
            for kind in TABLES
        }


def test_the_sample_company_is_taken_whole(db: Database, take: Import) -> None:
    report = take()
    assert report.problems == []
    assert report.applied == {
        "departments": 4,
        "employees": 3,
        "clients": 2,
        "groups": 1,
        "assignments": 3,
    }
    with db.read() as connection:
        codes = {row.code: row for row in connection.execute(select(*Department.__table__.columns))}
        boss = select(Employee.id).where(Employee.userid == "lin.an")
        staff = select(Employee.id).where(Employee.userid == "su.he")
        assert codes["wealth1"].parent_id == codes["wealth"].id
        assert codes["hq"].parent_id is None
        assert (
            supervisor_of(connection, connection.execute(staff).scalar_one())
            == connection.execute(boss).scalar_one()
        )
        assert connection.execute(select(func.count()).select_from(GroupMember)).scalar() == 2


def test_a_date_without_a_time_is_a_day_of_the_settings_zone(db: Database, take: Import) -> None:
    take()
    with db.read() as connection:
        corp = corp_ids(connection, ["ww1"])["ww1"]
        spans = memberships_of(connection, corp, ["su.he"])["su.he"]
    change = to_ms(datetime(2025, 6, 1, tzinfo=SHANGHAI))
    assert [(start, end) for _, start, end in spans] == [
        (to_ms(datetime(2025, 1, 1, tzinfo=SHANGHAI)), change),
        (change, None),
    ]


def test_importing_the_same_again_changes_nothing(db: Database, take: Import) -> None:
    first = take()
    before = contents(db)
    assert take() == first
    assert contents(db) == before


def test_a_dry_run_reports_the_same_and_writes_nothing(db: Database, take: Import) -> None:
    before = contents(db)
    wrong = [{"userid": "x", "name": "样例", "departments": [{"code": "gone"}]}]
    dry = take(dry_run=True, employees=wrong, groups=[], assignments=[])
    assert contents(db) == before
    assert dry.dry_run
    wet = take(employees=wrong, groups=[], assignments=[])
    assert wet._replace(dry_run=True) == dry


def test_a_later_import_changes_what_it_speaks_of(db: Database, take: Import) -> None:
    take()
    moved = [
        {"userid": "su.he", "name": "苏禾", "supervisor": None, "departments": [{"code": "hq"}]}
    ]
    ended = [{"client": "wmB", "employee": "SU.HE", "start": "2025-07-01", "end": "2025-08-01"}]
    take(employees=moved, assignments=ended)
    with db.read() as connection:
        corp = corp_ids(connection, ["ww1"])["ww1"]
        spans = memberships_of(connection, corp, ["su.he", "lin.an"])
        ends = [row.end_at for row in connection.execute(select(Assignment.end_at, Assignment.id))]
    assert len(spans["su.he"]) == 1
    assert len(spans["lin.an"]) == 1
    assert len(ends) == 3
    assert datetime(2025, 8, 1, tzinfo=SHANGHAI) in ends


def test_a_column_that_is_not_there_leaves_what_was_known(
    db: Database, people: People, take: Import
) -> None:
    take()
    before = contents(db)
    for kind, file in (
        (Kind.EMPLOYEES, "员工账号,姓名\nsu.he,苏禾\n"),
        (Kind.DEPARTMENTS, "部门编码,部门名称\nwealth1,样例一部\n"),
        (Kind.GROUPS, "群编号,群名\nwrA,样例群\n"),
    ):
        report = people.import_csv(OPERATOR, file.encode(), kind=kind, corp="ww1")
        assert report.problems == []
    assert contents(db) == before


def test_an_empty_cell_clears_what_was_known(db: Database, people: People, take: Import) -> None:
    take()
    file = "员工账号,姓名,直属上级\nsu.he,苏禾,\n"
    people.import_csv(OPERATOR, file.encode(), kind=Kind.EMPLOYEES, corp="ww1")
    with db.read() as connection:
        supervisors = connection.execute(select(Employee.supervisor_id)).scalars()
        assert set(supervisors) == {None}


def test_people_known_from_messages_lose_their_mark_when_they_are_imported(
    db: Database, take: Import
) -> None:
    with db.write() as connection:
        corp = corp_ids(connection, ["ww1"])["ww1"]
        parties = [("employee", "Su.He", None), ("client", "wmA", "甲"), ("client", "wmZ", None)]
        note_parties(connection, corp, parties, [("wrA", None)])
    take()
    with db.read() as connection:
        marked = select(Client.external_id).where(Client.provisional)
        assert list(connection.execute(marked).scalars()) == ["wmZ"]
        assert not any(connection.execute(select(Employee.provisional)).scalars())
        assert not any(connection.execute(select(Group.provisional)).scalars())
        assert connection.execute(select(func.count()).select_from(Employee)).scalar() == 3


def test_the_good_entries_are_taken_and_each_bad_one_is_reported(
    db: Database, people: People
) -> None:
    file = "客户账号,姓名\nwm1,甲\n,乙\nwm3,\nwm1,丁\nwm5,戊\n"
    report = people.import_csv(OPERATOR, file.encode(), kind=Kind.CLIENTS, corp="ww9")
    assert report.applied["clients"] == 2
    assert sorted(problem.place for problem in report.problems) == ["第 3 行", "第 4 行", "第 5 行"]
    with db.read() as connection:
        assert connection.execute(select(func.count()).select_from(Client)).scalar() == 2


def test_corps_do_not_mix(db: Database, people: People, take: Import) -> None:
    take()
    file = "客户账号,员工账号\nwmA,su.he\n"
    report = people.import_csv(OPERATOR, file.encode(), kind=Kind.ASSIGNMENTS, corp="ww2")
    assert report.applied["assignments"] == 0
    assert report.problem_count == 1
    with db.read() as connection:
        assert set(connection.execute(select(Corp.code)).scalars()) == {"ww1", "ww2"}


def test_an_import_leaves_its_audit_entry(db: Database, take: Import) -> None:
    report = take()
    with db.read() as connection:
        (link,) = page(connection, Filter(event=Event.PEOPLE_IMPORT), before=None, limit=10)
    assert link.entry.subject == "ww1"
    assert details(link.entry) == {"applied": report.applied, "problems": 0}


def test_a_file_that_is_no_import_changes_nothing(db: Database, people: People) -> None:
    before = contents(db)
    with pytest.raises(UnreadableImport):
        people.import_json(OPERATOR, b"{")
    assert contents(db) == before
