"""A small firm whose conversations are searched."""

import json
from typing import Any

from sqlalchemy import select

from app.access import EVERYTHING, Scope
from app.bootstrap import Services
from app.foundation import followers
from app.people.models import Department, Employee
from app.search.asked import AskedPage
from app.search.embedded import EmbeddedIndex
from app.search.shapes import MessagePage

PEOPLE = {
    "corp": {"code": "ww1", "name": "样例信托"},
    "departments": [
        {"code": "hq", "name": "总部", "parent": None},
        {"code": "east", "name": "东区", "parent": "hq"},
        {"code": "west", "name": "西区", "parent": "hq"},
    ],
    "employees": [
        {
            "userid": "he.yu",
            "name": "何屿",
            "departments": [
                {"code": "east", "start": "2026-01-01", "end": "2026-03-01"},
                {"code": "west", "start": "2026-03-01", "end": None},
            ],
            "supervisor": None,
        },
        {
            "userid": "su.he",
            "name": "苏禾",
            "departments": [{"code": "east", "start": "2026-01-01", "end": None}],
            "supervisor": None,
        },
    ],
    "clients": [],
    "groups": [],
    "assignments": [],
}


def line(number: int, text: str, *, sender: str = "he.yu", month: int = 2, **others: str) -> bytes:
    message: dict[str, Any] = {
        "corp": "ww1",
        "source": "test",
        "source_msg_id": str(number),
        "sent_at": f"2026-{month:02d}-05T10:00:{number % 60:02d}+08:00",
        "conversation": {"kind": "single"},
        "sender": {"type": "employee", "id": sender},
        "recipients": [{"type": "client", "id": "wmA1"}],
        "kind": "text",
        "action": "send",
        "text": text,
        **others,
    }
    return json.dumps(message).encode()


def file_of(services: Services) -> EmbeddedIndex:
    """The index of the embedded shape."""
    assert isinstance(services.index, EmbeddedIndex)
    return services.index


def follow(services: Services) -> None:
    for follower in services.followers:
        followers.catch_up(follower, services.tails_of(follower), lambda _left: None)


def search(services: Services, scope: Scope = EVERYTHING, **asked: Any) -> MessagePage:
    return services.finder.page(AskedPage(**asked), scope)


def texts(page: MessagePage) -> list[str]:
    return [item.text for item in page.items]


def department(services: Services, code: str) -> int:
    with services.db.read() as connection:
        query = select(Department.id).where(Department.code == code)
        return connection.execute(query).scalar_one()


def employee(services: Services, userid: str) -> int:
    with services.db.read() as connection:
        query = select(Employee.id).where(Employee.userid == userid)
        return connection.execute(query).scalar_one()
