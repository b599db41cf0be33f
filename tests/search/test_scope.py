# ruff: noqa: S311 - random firms from a seed, so that a failure can be repeated
"""What anybody finds is what she may see: random people, scopes and messages against reading everything."""

import json
import random
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from app.access import OPERATOR, Scope
from app.bootstrap import Services
from app.people.models import Corp, Department, Employee
from app.search.asked import Asked, AskedPage
from app.search.tokens import norm
from tests.search.firm import follow

ZONE = timezone(timedelta(hours=8))
START = datetime(2026, 1, 1, tzinfo=ZONE)
DAYS = 120
CORPS = ("ww1", "ww2")
STAFF = ("a", "b", "c", "d")
CLIENTS = ("wm1", "wm2")
LETTERS = "保本息證证Aa，,"


class Place(NamedTuple):
    """A department somebody belonged to, from one day up to another."""

    code: str
    start: int
    end: int | None


class Said(NamedTuple):
    """A message: day and minute, who took part, what it says."""

    corp: str
    sent_at: datetime
    staff: frozenset[str]
    clients: frozenset[str]
    text: str


class World(NamedTuple):
    """Everything that was made up: parents of departments, who belonged where, what was said."""

    parents: dict[str, str | None]
    places: dict[tuple[str, str], list[Place]]
    said: list[Said]


def made_up(chance: random.Random) -> World:
    """Two firms of the same shape and the same userids, with people who come, move and go."""
    parents: dict[str, str | None] = {"d0": None}
    for number in range(1, 7):
        parents[f"d{number}"] = chance.choice([*parents])
    places = {(corp, name): _career(chance, [*parents]) for corp in CORPS for name in STAFF}
    said = [_message(chance) for _ in range(80)]
    return World(parents, places, said)


def _career(chance: random.Random, codes: list[str]) -> list[Place]:
    edges = sorted(chance.sample(range(DAYS), 4))
    career = [Place(chance.choice(codes), edges[0], edges[1])]
    if chance.random() < 0.5:
        career.append(Place(chance.choice(codes), edges[1], edges[2]))
    if chance.random() < 0.5:
        career.append(Place(chance.choice(codes), edges[3], None))
    return career


def _message(chance: random.Random) -> Said:
    staff = chance.sample(STAFF, chance.choice((1, 1, 2)))
    return Said(
        chance.choice(CORPS),
        START + timedelta(days=chance.randrange(DAYS), minutes=chance.choice((0, 0, 700))),
        frozenset(staff),
        frozenset({chance.choice(CLIENTS)}),
        "".join(chance.choices(LETTERS, k=chance.randint(1, 6))),
    )


def settle(services: Services, world: World) -> None:
    """Import the people and archive the messages."""
    for corp in CORPS:
        document: dict[str, Any] = {
            "corp": {"code": corp, "name": corp},
            "departments": [
                {"code": code, "name": code, "parent": parent}
                for code, parent in world.parents.items()
            ],
            "employees": [
                {
                    "userid": name,
                    "name": name,
                    "supervisor": None,
                    "departments": [
                        {
                            "code": each.code,
                            "start": f"{START + timedelta(days=each.start):%Y-%m-%d}",
                            "end": each.end and f"{START + timedelta(days=each.end):%Y-%m-%d}",
                        }
                        for each in world.places[corp, name]
                    ],
                }
                for name in STAFF
            ],
            "clients": [],
            "groups": [],
            "assignments": [],
        }
        report = services.people.import_json(OPERATOR, json.dumps(document).encode())
        assert not report.problems
    lines = [_line(number, each) for number, each in enumerate(world.said)]
    services.capture.receive(lines)
    follow(services)


def _line(number: int, said: Said) -> bytes:
    sender, *others = sorted(said.staff)
    recipients = [{"type": "employee", "id": each} for each in others]
    recipients += [{"type": "client", "id": each} for each in said.clients]
    message = {
        "corp": said.corp,
        "source": "test",
        "source_msg_id": str(number),
        "sent_at": said.sent_at.isoformat(),
        "conversation": {"kind": "group", "id": f"g{'-'.join(sorted(said.staff | said.clients))}"},
        "sender": {"type": "employee", "id": sender},
        "recipients": recipients,
        "kind": "text",
        "action": "send",
        "text": said.text,
    }
    return json.dumps(message).encode()


class Watcher(NamedTuple):
    """A scope in the words of the world, and as the program has it."""

    departments: frozenset[tuple[str, str]]
    employee: tuple[str, str] | None
    scope: Scope


def watchers(services: Services, chance: random.Random) -> list[Watcher]:
    """Supervisors of some departments, advisers, both, and nobody."""
    with services.db.read() as connection:
        corps = {row.id: row.code for row in connection.execute(select(Corp.id, Corp.code))}
        query = select(Department.id, Department.corp_id, Department.code)
        places = {(corps[row.corp_id], row.code): row.id for row in connection.execute(query)}
        staff = select(Employee.id, Employee.corp_id, Employee.userid)
        people = {(corps[row.corp_id], row.userid): row.id for row in connection.execute(staff)}
    found = []
    for _ in range(12):
        departments = frozenset(chance.sample(sorted(places), chance.randint(0, 2)))
        employee = chance.choice([None, *sorted(people)])
        scope = Scope(
            frozenset(places[each] for each in departments),
            None if employee is None else people[employee],
        )
        found.append(Watcher(departments, employee, scope))
    return found


def may_see(world: World, watcher: Watcher, said: Said) -> bool:
    """The rule, spelled out: with the employee himself, or with anybody below the departments on that day."""
    if watcher.employee in {(said.corp, name) for name in said.staff}:
        return True
    return any(
        _is_below(world, watcher, said.corp, place.code)
        for name in said.staff
        for place in world.places[said.corp, name]
        if _covers(place, said.sent_at)
    )


def _covers(place: Place, at: datetime) -> bool:
    begun = START + timedelta(days=place.start) <= at
    return begun and (place.end is None or at < START + timedelta(days=place.end))


def _is_below(world: World, watcher: Watcher, corp: str, code: str | None) -> bool:
    while code is not None:
        if (corp, code) in watcher.departments:
            return True
        code = world.parents[code]
    return False


def searches(chance: random.Random) -> list[dict[str, Any]]:
    """Some of what can be asked."""
    word = "".join(chance.choices(LETTERS[:7], k=chance.randint(1, 2)))
    since = START + timedelta(days=chance.randrange(DAYS))
    return [
        {"q": word},
        {"q": word, "literal": True},
        {"q": f"-{word}", "client": ["wm1"]},
        {"adviser": ["a"], "since": since},
        {"q": f"{word} | from:b", "until": since},
    ]


def says(said: Said, asked: dict[str, Any]) -> bool:
    """What each of these searches means."""
    query: str = asked.get("q", "")
    word = query.lstrip("-").removesuffix(" | from:b")
    has = word in said.text if asked.get("literal") else norm(word) in norm(said.text)
    if query.startswith("-"):
        has = not has
    if query.endswith("from:b"):
        has = has or min(said.staff) == "b"
    return (
        has
        and ("adviser" not in asked or "a" in said.staff)
        and ("client" not in asked or "wm1" in said.clients)
        and ("since" not in asked or said.sent_at >= asked["since"])
        and ("until" not in asked or said.sent_at < asked["until"])
    )


def found(services: Services, asked: dict[str, Any], scope: Scope) -> list[int]:
    """Every page of a search, by the number in the world; the exact total must agree."""
    numbers: list[int] = []
    cursor, totals = None, []
    while True:
        page = services.finder.page(
            AskedPage(**asked, limit=7, cursor=cursor, count="exact"), scope
        )
        numbers += [int(item.source_msg_id) for item in page.items]
        totals.append(page.total.value)
        cursor = page.next
        if cursor is None:
            break
    assert totals[0] == len(numbers)
    return sorted(numbers)


@pytest.mark.parametrize("seed", range(4))
def test_nobody_finds_or_counts_more_or_less_than_she_may_see(
    services: Services, seed: int
) -> None:
    chance = random.Random(seed)
    world = made_up(chance)
    settle(services, world)
    seen = 0
    for watcher in watchers(services, chance):
        for asked in searches(chance):
            wanted = [
                number
                for number, said in enumerate(world.said)
                if may_see(world, watcher, said) and says(said, asked)
            ]
            assert found(services, asked, watcher.scope) == wanted, (watcher, asked)
            if not asked.get("literal"):
                zone = ZoneInfo("Asia/Shanghai")
                counted = services.finder.facets(Asked(**asked), watcher.scope, zone)
                assert counted.counted == len(wanted)
            seen += len(wanted)
    assert seen > 100  # the scopes were not all empty
