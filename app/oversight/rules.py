"""Who is told of an alert, on which channels, and by when it must be dealt with: one document, kept version by version."""

from datetime import time
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, insert, select

from app.access import Caller
from app.foundation import clock
from app.oversight.models import RulesRow

Severity = Literal["red", "orange", "yellow"]
Target = Literal["supervisor", "department", "compliance"]
ChannelName = Literal["wecom", "mail", "webhook", "robot"]
Minutes = Annotated[int, Field(ge=1, le=60 * 24 * 60)]


class Strict(BaseModel):
    """A document without members that mean nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Deadline(Strict):
    """Minutes of working time until somebody must have claimed an alert, and until it must be closed."""

    claim: Minutes
    close: Minutes


class Route(Strict):
    """Of which alerts whom to tell, and how; empty lists mean any. Every route that fits counts.

    `supervisor` is the adviser's own, `department` who supervises his department or the nearest above it,
    `compliance` the compliance officers who may see it. `departments` are row ids, with everything below.
    """

    severities: list[Severity] = []
    categories: list[Annotated[str, Field(max_length=64)]] = []
    departments: list[int] = []
    to: Annotated[list[Target], Field(min_length=1)]
    channels: list[ChannelName] = ["wecom", "mail"]


class Quiet(Strict):
    """Local hours in which only red alerts are told at once; the others wait until they end."""

    begins: time = time(22, 0)
    ends: time = time(8, 0)


class LeadTimes(Strict):
    """Minutes of working time in which a lead must have been followed up."""

    complaint: Minutes = 8 * 60
    other: Minutes = 3 * 8 * 60


class Rules(Strict):
    """The whole document; without one of their own, firms begin with this."""

    deadlines: dict[Severity, Deadline] = {
        "red": Deadline(claim=30, close=4 * 60),
        "orange": Deadline(claim=2 * 60, close=16 * 60),
        "yellow": Deadline(claim=8 * 60, close=40 * 60),
    }
    routes: Annotated[list[Route], Field(max_length=200)] = [
        Route(severities=["red"], to=["supervisor", "department", "compliance"]),
        Route(severities=["orange"], to=["supervisor", "department"]),
        Route(severities=["yellow"], to=["department"]),
    ]
    quiet: Quiet | None = Quiet()
    digest_minutes: Annotated[int, Field(ge=1, le=24 * 60)] = 1
    leads: LeadTimes = LeadTimes()

    def deadline(self, severity: str) -> Deadline:
        """By when an alert of a severity must be dealt with."""
        return self.deadlines.get(severity) or _DEFAULT.deadlines[severity]  # type: ignore[call-overload, index]


_DEFAULT = Rules()


def current(connection: Connection) -> Rules:
    """The rules in force."""
    query = select(RulesRow.document).order_by(RulesRow.id.desc()).limit(1)
    document = connection.execute(query).scalar()
    return _DEFAULT if document is None else Rules.model_validate_json(document)


def put(connection: Connection, rules: Rules, caller: Caller) -> None:
    """Let rules be in force from now on; the earlier ones stay."""
    row = {
        "document": rules.model_dump_json(),
        "at": clock.now(),
        "actor": caller.id,
        "actor_name": caller.name,
    }
    connection.execute(insert(RulesRow).values(row))
