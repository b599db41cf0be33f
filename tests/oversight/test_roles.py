"""Who may do what with alerts, leads, rules and checks: every role, every route, every scope, against an oracle of its own.

The oracle below is written from what each of the people is for, not from the tables of the product.
"""

from typing import Any, NamedTuple

import pytest
from sqlalchemy import func, select

from app.access import Event, Role
from app.access.models import AuditEvent
from tests.firm import Firm, draft, message

PROMISE = "这款产品保本保息，您放心"
QUESTION = "这个产品保本吗？"
READ, REVIEW, RULE, CHECK, OWN, TEACH = "read", "review", "rule", "check", "own", "teach"
MAY = {  # what each of the people is for
    Role.OFFICER: {READ, REVIEW, RULE, CHECK, TEACH},
    Role.SUPERVISOR: {READ, REVIEW, CHECK},
    Role.INSPECTOR: {READ},
    Role.ADVISER: {CHECK, OWN},
    Role.ADMINISTRATOR: set(),
    Role.AUDITOR: set(),
}
PLACES = {"everywhere": None, "own": "one", "above": "wealth", "foreign": "two"}


class Deed(NamedTuple):
    """A request, what it needs, and whether it is about the one alert or lead of department one."""

    method: str
    path: str
    needs: str
    about: str = ""
    body: dict[str, Any] | None = None


DEEDS = [
    Deed("GET", "alerts", READ),
    Deed("GET", "alerts/{alert}", READ, "alert"),
    Deed("POST", "alerts/{alert}/comment", REVIEW, "alert", {"note": "x"}),
    Deed(
        "POST", "alerts/many", REVIEW, "alert", {"ids": ["{alert}"], "step": "comment", "note": "x"}
    ),
    Deed("GET", "leads", READ),
    Deed("GET", "leads/{lead}", READ, "lead"),
    Deed("POST", "leads/{lead}/comment", REVIEW, "lead", {"note": "x"}),
    Deed("GET", "rule-precision", READ),
    Deed("GET", "alert-figures", READ),
    Deed("GET", "alert-figures/csv", READ),
    Deed("GET", "allow-phrases", READ),
    Deed("GET", "oversight-rules", READ),
    Deed("POST", "oversight-rules/dry-run", RULE, "", {}),
    Deed("GET", "own/alerts", OWN),
    Deed("GET", "own/checks", OWN),
    Deed("GET", "approved-wordings", CHECK),
    Deed("POST", "check", CHECK, "sender", draft(PROMISE)),
]


def oracle(role: Role, place: str, deed: Deed) -> int:
    """The status that must be answered."""
    if deed.needs not in MAY[role]:
        return 403
    if role is Role.ADVISER:
        return 200  # the adviser here is the very sender
    if place == "foreign" and deed.about:
        return 403 if deed.about == "sender" else 404
    return 200


def denials(firm: Firm) -> int:
    with firm.services.db.read() as connection:
        query = select(func.count()).where(AuditEvent.event == Event.REFUSED)
        return connection.execute(query).scalar_one()


@pytest.mark.parametrize("role", Role)
def test_every_role_may_what_it_is_for_and_nothing_else(firm: Firm, role: Role) -> None:
    firm.say(message(1, QUESTION, sender="wmA", recipient="yuan"), message(2, PROMISE))
    names = {
        "alert": firm.officer.get("alerts").json()["items"][0]["id"],
        "lead": firm.officer.get("leads").json()["items"][0]["id"],
    }
    for place, department in PLACES.items():
        employee = "yuan" if role is Role.ADVISER else None
        client = firm.user(f"{role}-{place}", role, department, employee)
        for deed in DEEDS:
            before = denials(firm)
            body = deed.body and {
                key: [each.format(**names) for each in value] if key == "ids" else value
                for key, value in deed.body.items()
            }
            answer = client.request(deed.method, deed.path.format(**names), json=body)
            expected = oracle(role, place, deed)
            assert answer.status_code == expected, (place, deed, answer.text)
            assert denials(firm) - before == (expected == 403), (place, deed)
            if deed.path in ("alerts", "leads") and expected == 200:
                assert len(answer.json()["items"]) == (place != "foreign"), (place, deed)
