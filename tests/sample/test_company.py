import datetime as dt
import json
from itertools import pairwise

from app.sample import Company, company, people
from app.sample.company import FIRST_DAY
from app.sample.roster import PRODUCTS

DAY = dt.date(2026, 3, 5)


def test_the_company_has_the_promised_size(firm: Company) -> None:
    assert (firm.code, firm.name) == ("wwsample01", "样例信托")
    sizes = (len(firm.departments), len(firm.employees), len(firm.clients), len(firm.groups))
    assert sizes == (9, 40, 400, 30)


def test_the_same_seed_gives_the_same_company_and_another_seed_another() -> None:
    assert company(11) == company(11)
    assert company(11).clients != company(12).clients


def test_departments_form_a_tree_of_three_levels(firm: Company) -> None:
    parents = {department.code: department.parent for department in firm.departments}

    def depth(code: str) -> int:
        parent = parents[code]
        return 1 if parent is None else 1 + depth(parent)

    assert {depth(code) for code in parents} == {1, 2, 3}
    assert [code for code, parent in parents.items() if parent is None] == ["hq"]


def test_departments_groups_and_products_are_marked_as_samples(firm: Company) -> None:
    for named in (firm.departments, firm.groups, PRODUCTS):
        assert all("样例" in each.name for each in named)


def test_names_and_ids_are_unique(firm: Company) -> None:
    for ids in (
        [employee.userid for employee in firm.employees],
        [employee.name for employee in firm.employees],
        [client.external_id for client in firm.clients],
        [client.name for client in firm.clients],
        [group.group_id for group in firm.groups],
        [group.name for group in firm.groups],
    ):
        assert len(set(ids)) == len(ids)


def test_supervisors_lead_up_to_one_chief(firm: Company) -> None:
    chiefs = {employee.userid: employee.supervisor for employee in firm.employees}

    def top(userid: str, steps: int = 0) -> str:
        above = chiefs[userid]
        assert steps < 5
        return userid if above is None else top(above, steps + 1)

    assert {top(userid) for userid in chiefs} == {"gu.yuan"}


def test_every_client_is_served_by_one_adviser_at_a_time(firm: Company) -> None:
    for client in firm.clients:
        spans = [a for a in firm.assignments if a.client == client.external_id]
        assert spans
        assert all(before.end == after.start for before, after in pairwise(spans))
        assert all(span.end is None or span.start < span.end for span in spans)


def test_advisers_serve_only_while_they_are_employed(firm: Company) -> None:
    staff = {employee.userid: employee for employee in firm.employees}
    for assignment in firm.assignments:
        employee = staff[assignment.employee]
        left = employee.spans[-1].end
        assert employee.advises
        assert employee.spans[0].start <= assignment.start
        assert left is None or (assignment.end is not None and assignment.end <= left)


def test_clients_change_hands_and_new_ones_come_during_the_half_year(firm: Company) -> None:
    shown = [a for a in firm.assignments if a.start >= FIRST_DAY]
    earlier = {(a.client, a.end) for a in firm.assignments}
    handovers = [a for a in shown if (a.client, a.start) in earlier]
    assert len(handovers) >= 20
    assert len(shown) - len(handovers) >= 20
    assert any(
        a.end is not None and (a.client, a.end) not in _starts(firm) for a in firm.assignments
    )


def _starts(firm: Company) -> set[tuple[str, int]]:
    return {(a.client, a.start) for a in firm.assignments}


def test_one_employee_joins_one_leaves_and_one_moves(firm: Company) -> None:
    assert sum(e.spans[-1].end is not None for e in firm.employees) == 1
    assert sum(len(e.spans) > 1 for e in firm.employees) == 1
    assert sum(e.spans[0].start > FIRST_DAY for e in firm.employees) == 1


def test_the_import_document_has_the_agreed_members(firm: Company) -> None:
    document = json.loads(json.dumps(people(firm, DAY)))
    assert set(document) == {"corp", "departments", "employees", "clients", "groups", "assignments"}
    assert document["corp"] == {"code": "wwsample01", "name": "样例信托"}
    shapes = {
        "departments": {"code", "name", "parent"},
        "employees": {"userid", "name", "departments", "supervisor"},
        "clients": {"external_id", "name"},
        "groups": {"group_id", "name", "owner", "members"},
        "assignments": {"client", "employee", "start", "end"},
    }
    for part, members in shapes.items():
        assert {frozenset(row) for row in document[part]} == {frozenset(members)}


def test_the_import_document_names_nobody_it_does_not_hold(firm: Company) -> None:
    document = people(firm, DAY)
    departments = {row["code"] for row in document["departments"]}
    staff = {row["userid"] for row in document["employees"]}
    clients = {row["external_id"] for row in document["clients"]}
    assert {
        span["code"] for row in document["employees"] for span in row["departments"]
    } <= departments
    assert {row["supervisor"] for row in document["employees"]} - {None} <= staff
    assert {row["client"] for row in document["assignments"]} == clients
    assert {row["employee"] for row in document["assignments"]} <= staff
    assert {member for row in document["groups"] for member in row["members"]} <= staff | clients
    assert all(row["owner"] in row["members"] for row in document["groups"])


def test_the_dates_of_the_import_document_count_back_from_the_anchor(firm: Company) -> None:
    leaver = next(row for row in people(firm, DAY)["employees"] if row["userid"] == "bai.qiao")
    assert leaver["departments"] == [
        {"code": "wealth1", "start": "2024-03-15", "end": "2026-01-19"}
    ]
