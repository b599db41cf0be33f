"""Who works at the sample company, whom they serve and since when: one fixed answer per seed.

A company is timeless: its days count back from an anchor date (0 is the anchor, -180 the first day shown).
`people` and `messages` pin them to the calendar, so the caller stores one date beside the data it pushed.
Spans are half open: on its `end` day the next span has begun.
"""

import datetime as dt
from collections.abc import Iterator
from itertools import accumulate
from random import Random
from typing import Any, Final, NamedTuple

from app.sample.roster import (
    ADDRESSES,
    CORP,
    CORP_NAME,
    DEPARTMENTS,
    GIVEN,
    POSTS,
    SURNAMES,
    Department,
    Post,
)

SEED: Final = 7
DAYS: Final = 181  # days shown, the anchor included
FIRST_DAY: Final = 1 - DAYS
CLIENTS: Final = 400
ROBOT: Final = "wbSample01"

_LONG_AGO: Final = -720
_LEAVER, _JOINER, _MOVER = "bai.qiao", "shi.li", "ding.nan"
_LEFT, _JOINED, _MOVED = -45, -90, -60
_HANDOVERS: Final = {_LEAVER: ("su.he", "jiang.cheng"), _MOVER: ("pan.zhou", "lu.yao")}


class Span(NamedTuple):
    """A department held from day `start` up to, not including, day `end`; None: still."""

    department: str
    start: int
    end: int | None = None


class Employee(NamedTuple):
    """A member of staff; `spans` are her departments in order of time."""

    userid: str
    name: str
    spans: tuple[Span, ...]
    supervisor: str | None
    advises: bool

    @property
    def department(self) -> str:
        """The latest department."""
        return self.spans[-1].department


class Client(NamedTuple):
    """A client of the company; `address` is how advisers speak to her (沈总)."""

    external_id: str
    name: str
    address: str


class Group(NamedTuple):
    """A group chat; it is internal where it has no clients."""

    group_id: str
    name: str
    owner: str
    employees: tuple[str, ...]
    clients: tuple[str, ...]


class Assignment(NamedTuple):
    """An adviser answers for a client from day `start` up to, not including, `end`; None: still."""

    client: str
    employee: str
    start: int
    end: int | None = None

    def covers(self, day: int) -> bool:
        """Tell whether the assignment holds on `day`."""
        return self.start <= day and (self.end is None or day < self.end)


class Company(NamedTuple):
    """The whole company as of its seed."""

    seed: int
    code: str
    name: str
    departments: tuple[Department, ...]
    employees: tuple[Employee, ...]
    clients: tuple[Client, ...]
    groups: tuple[Group, ...]
    assignments: tuple[Assignment, ...]


def company(seed: int = SEED) -> Company:
    """Invent the company: 9 departments, 40 employees, 400 clients, 30 groups."""
    rng = Random(f"{seed}/company")  # noqa: S311
    employees = tuple(_employee(post) for post in POSTS)
    clients = tuple(_clients(rng))
    assignments = tuple(span for client in clients for span in _service(rng, client))
    groups = (*_team_groups(), *_client_groups(rng, clients, assignments))
    return Company(seed, CORP, CORP_NAME, DEPARTMENTS, employees, clients, groups, assignments)


def people(company: Company, until: dt.date) -> dict[str, Any]:
    """Write the company as the import document, its days counted back from `until`; ISO dates."""
    return {
        "corp": {"code": company.code, "name": company.name},
        "departments": [department._asdict() for department in company.departments],
        "employees": [_employee_row(employee, until) for employee in company.employees],
        "clients": [{"external_id": c.external_id, "name": c.name} for c in company.clients],
        "groups": [_group_row(group) for group in company.groups],
        "assignments": [
            {"client": a.client, "employee": a.employee} | _dates(a.start, a.end, until)
            for a in company.assignments
        ],
    }


def _dates(start: int, end: int | None, until: dt.date) -> dict[str, Any]:
    def day(number: int) -> str:
        return (until + dt.timedelta(days=number)).isoformat()

    return {"start": day(start), "end": None if end is None else day(end)}


def _employee_row(employee: Employee, until: dt.date) -> dict[str, Any]:
    departments = [
        {"code": span.department} | _dates(span.start, span.end, until) for span in employee.spans
    ]
    return {
        "userid": employee.userid,
        "name": employee.name,
        "departments": departments,
        "supervisor": employee.supervisor,
    }


def _group_row(group: Group) -> dict[str, Any]:
    return {
        "group_id": group.group_id,
        "name": group.name,
        "owner": group.owner,
        "members": [*group.employees, *group.clients],
    }


def _employee(post: Post) -> Employee:
    return Employee(post.userid, post.name, _spans(post), post.supervisor, post.advises)


def _spans(post: Post) -> tuple[Span, ...]:
    if post.userid == _LEAVER:
        return (Span(post.department, _LONG_AGO, _LEFT),)
    if post.userid == _JOINER:
        return (Span(post.department, _JOINED),)
    if post.userid == _MOVER:
        return (Span(post.department, _LONG_AGO, _MOVED), Span("wealth1", _MOVED))
    return (Span(post.department, _LONG_AGO),)


def _clients(rng: Random) -> Iterator[Client]:
    names = [(surname, given) for surname in SURNAMES for given in GIVEN]
    for number, (surname, given) in enumerate(rng.sample(names, CLIENTS), start=1):
        address = surname + rng.choice(ADDRESSES)
        yield Client(f"wmSample{number:04d}", surname + given, address)


_ADVISERS: Final = tuple(p.userid for p in POSTS if p.advises and p.userid != _JOINER)
_WEIGHTS: Final = tuple(accumulate(1 / (rank + 6) for rank in range(len(_ADVISERS))))


def _service(rng: Random, client: Client) -> Iterator[Assignment]:
    first = rng.choices(_ADVISERS, cum_weights=_WEIGHTS)[0]
    is_new = _one_in(10, rng)
    start = rng.randint(FIRST_DAY + 5, -10) if is_new else rng.randint(_LONG_AGO, FIRST_DAY)
    handover = _handover(rng, first)
    if handover and handover[0] > start:
        day, successor = handover
        yield Assignment(client.external_id, first, start, day)
        yield Assignment(client.external_id, successor, day)
    elif first in _HANDOVERS:  # won after the former adviser had gone
        yield Assignment(client.external_id, _HANDOVERS[first][0], start)
    elif _one_in(60, rng):
        yield Assignment(client.external_id, first, start, rng.randint(-60, -20))
    else:
        yield Assignment(client.external_id, first, start)


def _one_in(chances: int, rng: Random) -> bool:
    return rng.randrange(chances) == 0


def _handover(rng: Random, first: str) -> tuple[int, str] | None:
    if first in _HANDOVERS:
        return (_LEFT if first == _LEAVER else _MOVED), rng.choice(_HANDOVERS[first])
    if first == "wen.yan" and _one_in(3, rng):
        return _JOINED, _JOINER
    if _one_in(25, rng):
        return rng.randint(-150, -30), rng.choice([a for a in _CONSTANT if a != first])
    return None


_CONSTANT: Final = tuple(a for a in _ADVISERS if a not in _HANDOVERS)

_TEAMS: Final = (
    ("样例信托全员群", "gu.yuan", ""),
    ("样例财富管理中心", "cheng.yan", "wealth wealth1 wealth2 wealth3 family"),
    ("样例财富一部", "lin.an", "wealth1"),
    ("样例财富二部", "zhou.heng", "wealth2"),
    ("样例财富三部", "han.mu", "wealth3"),
    ("样例家族办公室", "zhang.xu", "family"),
    ("样例合规沟通群", "wei.zhun", "compliance wealth"),
    ("样例运营与客服", "fu.jian", "operations service"),
    ("样例双录材料对接", "dai.lu", "operations family"),
    ("样例产品培训群", "fang.yu", "wealth wealth1 wealth2"),
)


def _team_groups() -> Iterator[Group]:
    for number, (name, owner, codes) in enumerate(_TEAMS, start=1):
        wanted = codes.split()
        members = [p.userid for p in POSTS if not wanted or p.department in wanted]
        everyone = dict.fromkeys([owner, *members])
        yield Group(f"wrSampleTeam{number:02d}", name, owner, tuple(everyone), ())


def _client_groups(
    rng: Random, clients: tuple[Client, ...], assignments: tuple[Assignment, ...]
) -> Iterator[Group]:
    settled = [a for a in assignments if a.start <= FIRST_DAY and a.end is None]
    names = {client.external_id: client for client in clients}
    for number, chosen in enumerate(rng.sample(settled, 20), start=1):
        client = names[chosen.client]
        kin = [c.external_id for c in clients if c.name[0] == client.name[0] and c != client]
        family = (client.external_id, *kin[: rng.randint(0, 2)])
        helpers = ("feng.ling", "dai.lu") if number % 2 else ("qiu.da",)
        name = f"样例{client.address}服务群{number:02d}"
        yield Group(
            f"wrSampleClient{number:02d}",
            name,
            chosen.employee,
            (chosen.employee, *helpers),
            family,
        )
