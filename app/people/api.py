"""The routes of people: lists within the caller's scope, one client with her advisers, the import."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

from fastapi import APIRouter, Path, Query
from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from app.access import Action, Caller
from app.access.api import LARGEST_ID, Gate, storable
from app.foundation import http, paging
from app.foundation.errors import BadInput, NotFound
from app.foundation.http import Body
from app.foundation.paging import BadCursor
from app.people import listing
from app.people.listing import Wanted
from app.people.reading import Kind
from app.people.service import People
from app.people.store import Kept

IMPORT_PATH = "/people/import"
IMPORT_MAX_BYTES = 32 * 1024 * 1024  # for the body limit of this route
T = TypeVar("T", bound=BaseModel)


class ClientNotFound(NotFound):
    """There is no such client, or the caller may not know of her."""

    code = "client_not_found"
    title = "没有这个客户"


Words = Annotated[str, StringConstraints(max_length=256), AfterValidator(storable)]
RowId = Annotated[int, Path(ge=1, le=LARGEST_ID)]


class DepartmentOut(BaseModel):
    """A node of the department tree."""

    id: int
    corp: str
    code: str
    name: str
    parent_id: int | None


class MembershipOut(BaseModel):
    """A department from `start_at` up to, not including, `end_at`."""

    department_id: int
    start_at: datetime
    end_at: datetime | None


class EmployeeOut(BaseModel):
    """An employee; `provisional` is one known from messages only."""

    id: int
    corp: str
    userid: str
    name: str
    supervisor_id: int | None
    provisional: bool
    departments: list[MembershipOut] = []


class ClientOut(BaseModel):
    """A client."""

    id: int
    corp: str
    external_id: str
    name: str
    provisional: bool


class AssignmentOut(BaseModel):
    """Who looked after a client from `start_at` up to, not including, `end_at`."""

    employee_id: int
    userid: str
    name: str
    start_at: datetime
    end_at: datetime | None


class ClientDetail(ClientOut):
    """A client with everybody who looked after her."""

    assignments: list[AssignmentOut]


class GroupOut(BaseModel):
    """A group."""

    id: int
    corp: str
    group_id: str
    name: str
    owner_id: int | None
    provisional: bool


class Page(BaseModel, Generic[T]):
    """A part of a list; `next` is the cursor of the following part."""

    items: list[T]
    next: str | None


class ProblemOut(BaseModel):
    """What is wrong where in an import, and what to do about it."""

    place: str
    field: str
    problem: str
    advice: str


class ReportOut(BaseModel):
    """What an import took by kind, and what it did not (the first 1,000 problems)."""

    dry_run: bool
    corp: str
    applied: dict[str, int]
    problem_count: int
    problems: list[ProblemOut]
    ignored: list[str]


class ListQuery(BaseModel):
    """Which part of a list."""

    q: Words | None = None
    corp: Words | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    cursor: str | None = None


Lister = Callable[..., Sequence[Kept]]
Asked = Annotated[ListQuery, Query()]


def routes(people: People, gate: Gate) -> APIRouter:
    """Every route of people."""
    router = APIRouter(tags=["people"], responses=http.PROBLEMS)
    reader = gate.needs(Action.SEE_PEOPLE)

    @router.get("/departments")
    def list_departments(caller: Annotated[Caller, reader], asked: Asked) -> Page[DepartmentOut]:
        """Departments within the scope."""
        return _page(people, caller, asked, listing.departments, DepartmentOut)

    @router.get("/employees")
    def list_employees(caller: Annotated[Caller, reader], asked: Asked) -> Page[EmployeeOut]:
        """Employees within the scope, with their departments."""
        page = _page(people, caller, asked, listing.employees, EmployeeOut)
        _add_departments(people, page.items)
        return page

    @router.get("/clients")
    def list_clients(caller: Annotated[Caller, reader], asked: Asked) -> Page[ClientOut]:
        """Clients within the scope."""
        return _page(people, caller, asked, listing.clients, ClientOut)

    @router.get("/clients/{client_id}")
    def read_client(caller: Annotated[Caller, reader], client_id: RowId) -> ClientDetail:
        """One client with everybody who looked after her."""
        with people.db.read() as connection:
            found = listing.client(connection, caller.scope, client_id)
            if found is None:
                raise ClientNotFound
            served = listing.assignments(connection, client_id)
        assignments = [AssignmentOut(**row._asdict()) for row in served]
        return ClientDetail(**found._asdict(), assignments=assignments)

    @router.get("/groups")
    def list_groups(caller: Annotated[Caller, reader], asked: Asked) -> Page[GroupOut]:
        """Groups within the scope."""
        return _page(people, caller, asked, listing.groups, GroupOut)

    @router.post(IMPORT_PATH)
    def import_people(
        caller: Annotated[Caller, gate.needs(Action.MANAGE_PEOPLE)],
        body: Body,
        kind: Kind | None = None,
        corp: Words | None = None,
        *,
        dry_run: bool = False,
    ) -> ReportOut:
        """Import the JSON document, or with `kind` and `corp` a CSV file; the body is the file itself."""
        if kind is None:
            report = people.import_json(caller, body, dry_run=dry_run)
        elif corp is None:
            raise BadInput("CSV 导入须给出企业编号 corp")
        else:
            report = people.import_csv(caller, body, kind=kind, corp=corp, dry_run=dry_run)
        problems = [ProblemOut(**each._asdict()) for each in report.problems]
        return ReportOut(**(report._asdict() | {"problems": problems}))

    return router


def _page(
    people: People, caller: Caller, asked: ListQuery, lister: Lister, shape: type[T]
) -> Page[T]:
    identity = [shape.__name__, asked.q, asked.corp]
    after = _position(asked.cursor, of=identity)
    wanted = Wanted(asked.corp, asked.q, after, asked.limit + 1)
    with people.db.read() as connection:
        rows = lister(connection, caller.scope, wanted)
    end = rows[asked.limit - 1].id if len(rows) > asked.limit else None
    return Page[T](
        items=[shape(**row._asdict()) for row in rows[: asked.limit]],
        next=None if end is None else paging.encode(end, of=identity),
    )


def _position(cursor: str | None, *, of: Any) -> int:
    if cursor is None:
        return 0
    position = paging.decode(cursor, of=of)
    if type(position) is not int or not 0 <= position <= LARGEST_ID:
        raise BadCursor
    return position


def _add_departments(people: People, employees: Sequence[EmployeeOut]) -> None:
    by_id = {each.id: each for each in employees}
    with people.db.read() as connection:
        rows = listing.memberships(connection, list(by_id))
    for row in rows:
        fields = row._asdict()
        by_id[fields.pop("employee_id")].departments.append(MembershipOut(**fields))
