"""What of an import is taken: whole entries, no dangling reference, no cycle."""

from hypothesis import given
from hypothesis import strategies as st

from app.people.entries import (
    AssignmentEntry,
    ClientEntry,
    DepartmentEntry,
    Document,
    EmployeeEntry,
    GroupEntry,
    Span,
)
from app.people.settle import CYCLE, REFUSED, UNKNOWN, Known, settle, settle_tree

KEYS = st.sampled_from("abcdefgh")
PARENTS = st.dictionaries(KEYS, st.none() | KEYS | st.just("nowhere"))


@st.composite
def forests(draw: st.DrawFn) -> dict[str, str | None]:
    order = draw(st.permutations("abcdefgh"))
    size = draw(st.integers(0, len(order)))
    return {
        key: draw(st.none() | st.sampled_from(order[:number])) if number else None
        for number, key in enumerate(order[:size])
    }


def employee(userid: str, *, supervisor: str | None = None, department: str = "d") -> EmployeeEntry:
    return EmployeeEntry(userid, userid, "样例", supervisor, True, (Span(department, 0, None),))


def test_a_tree_names_why_each_parent_cannot_be_set() -> None:
    wanted = {"a": "b", "b": "a", "c": "nowhere", "d": "c", "e": None, "f": "e"}
    assert settle_tree({}, wanted) == {"a": CYCLE, "b": CYCLE, "c": UNKNOWN, "d": REFUSED}


def test_a_cycle_through_what_exists_refuses_the_new_link_only() -> None:
    assert settle_tree({"top": None, "below": "top"}, {"top": "below"}) == {"top": CYCLE}


@given(forests(), PARENTS)
def test_what_is_taken_leaves_a_forest(
    existing: dict[str, str | None], wanted: dict[str, str | None]
) -> None:
    refused = settle_tree(existing, wanted)
    after = {**existing, **{k: p for k, p in wanted.items() if k not in refused}}
    for parent in after.values():
        step, walked = parent, set[str]()
        while step is not None:
            assert step in after
            assert step not in walked
            walked.add(step)
            step = after[step]


@given(forests())
def test_a_forest_is_taken_whole_into_an_empty_corp(wanted: dict[str, str | None]) -> None:
    assert settle_tree({}, wanted) == {}


def test_an_employee_is_refused_with_a_department_nobody_knows_and_her_staff_with_her() -> None:
    document = Document(
        "ww1", employees=(employee("boss", department="gone"), employee("x", supervisor="boss"))
    )
    settled = settle(document, Known(departments={"d": None}))
    assert settled.employees == []
    assert [problem.place for problem in settled.problems] == ["boss", "x"]
    assert "有误" in settled.problems[1].problem


def test_a_known_supervisor_may_be_named_though_her_own_entry_is_refused() -> None:
    document = Document(
        "ww1", employees=(employee("boss", department="gone"), employee("x", supervisor="boss"))
    )
    settled = settle(document, Known(departments={"d": None}, employees={"boss": None}))
    assert [entry.userid for entry in settled.employees] == ["x"]


def test_of_two_entries_with_one_key_the_first_is_taken() -> None:
    document = Document("ww1", clients=(ClientEntry("1", "wm", "甲"), ClientEntry("2", "wm", "乙")))
    settled = settle(document, Known())
    assert [entry.place for entry in settled.clients] == ["1"]
    assert [problem.place for problem in settled.problems] == ["2"]


def test_members_and_owners_and_assignments_need_people_that_are_known() -> None:
    document = Document(
        "ww1",
        clients=(ClientEntry("c", "wm", "甲"),),
        groups=(
            GroupEntry("g1", "g1", "群", "a", True, ("wm", "A")),
            GroupEntry("g2", "g2", "群", "b", True, None),
            GroupEntry("g3", "g3", "群", None, True, ("b",)),
        ),
        assignments=(
            AssignmentEntry("s1", "wm", "a", 0, None),
            AssignmentEntry("s2", "wm", "b", 0, None),
            AssignmentEntry("s3", "xx", "a", 0, None),
        ),
    )
    settled = settle(document, Known(employees={"a": None}))
    assert [entry.place for entry in settled.groups] == ["g1"]
    assert [entry.place for entry in settled.assignments] == ["s1"]
    assert sorted(problem.place for problem in settled.problems) == ["g2", "g3", "s2", "s3"]


def test_what_an_entry_does_not_speak_of_stays() -> None:
    document = Document(
        "ww1",
        departments=(DepartmentEntry("d", "d", "部", None, False),),
        employees=(EmployeeEntry("e", "e", "员", None, False, None),),
        groups=(GroupEntry("g", "g", "群", None, False, None),),
    )
    known = Known({"d": "top", "top": None}, {"e": "boss", "boss": None}, frozenset(), {"g": "e"})
    settled = settle(document, known)
    assert settled.departments[0].parent == "top"
    assert settled.employees[0].supervisor == "boss"
    assert settled.groups[0].owner == "e"
