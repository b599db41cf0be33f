"""A small firm with its application, one browser for each person."""

import json
from datetime import datetime
from typing import Any

from fastapi.testclient import TestClient
from sqlalchemy import select

from app.access import OPERATOR, Role, TokenScope
from app.bootstrap import Services
from app.foundation import clock, followers
from app.main import create_app
from app.people import People
from app.people.models import Department, Employee
from tests.journeys.office import CORP, PASSWORD, PEOPLE

API = "/api/v1"


class Firm:
    """The application over one database, with everybody it is asked for signed in."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.app = create_app(services)
        self._clients: dict[str, TestClient] = {}
        document = json.dumps(PEOPLE, ensure_ascii=False).encode()
        report = People(services.db, services.settings).import_json(OPERATOR, document)
        assert report.problem_count == 0
        with services.db.read() as connection:
            self.departments = {
                row.code: row.id
                for row in connection.execute(select(Department.code, Department.id))
            }
            self.employees = {
                row.userid: row.id
                for row in connection.execute(select(Employee.userid, Employee.id))
            }

    def user(
        self, login: str, role: Role, department: str | None = None, employee: str | None = None
    ) -> TestClient:
        """The browser of a user, who is made when first asked for."""
        if login not in self._clients:
            place = self.departments[department] if department else None
            self.services.access.create_user(
                OPERATOR,
                login=login,
                name=f"样例{login}",
                password=PASSWORD,
                employee_id=self.employees[employee] if employee else None,
                roles=[(role, place)],
            )
            client = TestClient(self.app, base_url=f"https://testserver{API}")
            answer = client.post("session", json={"login": login, "password": PASSWORD})
            assert answer.status_code == 204, answer.text
            self._clients[login] = client
        return self._clients[login]

    def adviser(self, userid: str) -> TestClient:
        """An employee with an adviser's rights."""
        return self.user(userid, Role.ADVISER, employee=userid)

    @property
    def officer(self) -> TestClient:
        """The compliance officer of the whole firm."""
        return self.user("officer", Role.OFFICER)

    def program(self, *scopes: TokenScope) -> TestClient:
        """A program with its token."""
        token = self.services.access.create_token("程序", list(scopes), OPERATOR)
        headers = {"authorization": f"Bearer {token}"}
        return TestClient(self.app, base_url=f"https://testserver{API}", headers=headers)

    def say(self, *envelopes: dict[str, Any]) -> None:
        """Archive messages and let screening catch up."""
        self.services.capture.receive([json.dumps(each).encode() for each in envelopes])
        screening = self.services.followers[0]
        followers.catch_up(screening, self.services.tails(), lambda _left: None)


def message(
    number: int,
    text: str,
    sender: str = "yuan",
    recipient: str = "wmA",
    at: datetime | None = None,
) -> dict[str, Any]:
    """A message of a single chat, sent now unless told."""
    return {
        "corp": CORP,
        "source": "firm",
        "source_msg_id": str(number),
        "sent_at": (at or clock.now()).isoformat(),
        "conversation": {"kind": "single"},
        "sender": party(sender),
        "recipients": [party(recipient)],
        "kind": "text",
        "action": "send",
        "text": text,
    }


def draft(text: str, sender: str = "yuan", recipient: str = "wmA") -> dict[str, Any]:
    """What is asked of `POST /check`."""
    return {
        "corp": CORP,
        "sender": party(sender),
        "recipients": [party(recipient)],
        "conversation": {"kind": "single"},
        "text": text,
    }


def party(name: str) -> dict[str, str]:
    return {"type": "client" if name.startswith("wm") else "employee", "id": name}
