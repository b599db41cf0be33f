"""Who is told of an alert: along the org line as it was when the message was sent, stand-ins for the absent.

Departments are those of that moment; the adviser's own supervisor is today's, for people keeps no earlier ones. Nobody
is told of an alert about himself or of a conversation he took part in, nor of one he may not see.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from app.access import Action, Holder, Role, holders
from app.oversight import notice_store, store
from app.oversight.rules import ChannelName, Route, Rules, Target
from app.people import ancestors, employee_id, supervisor_of

_HOPS = 5  # stand-ins of stand-ins


class Receiver(NamedTuple):
    """Somebody who is told, why, and on which channels."""

    user_id: str
    name: str
    why: tuple[str, ...]
    channels: tuple[ChannelName, ...]


class Audience:
    """Everybody who may be told of alerts, read once for many of them."""

    def __init__(self, connection: Connection, rules: Rules) -> None:
        self._connection, self._rules = connection, rules
        self._holders = {each.id: each for each in holders(connection, Action.SEE_ALERTS)}
        self._away = notice_store.away(connection)
        self._lines: dict[int, list[int]] = {}

    def receivers(self, alert: store.AlertRow, level: int = 0) -> list[Receiver]:
        """Who is told of an alert that has been escalated `level` times; never nobody while somebody may see it."""
        line = self._line(alert.department_id)
        found: dict[str, Receiver] = {}
        for route in self._rules.routes:
            if not _fits(route, alert, line):
                continue
            for target in route.to:
                for holder in self._targets(target, alert, line, level):
                    self._put(found, holder, target, route.channels, alert, line)
        if level or not found:
            self._to_compliance(found, alert, line)
        if not found:
            for holder in self._holders.values():
                self._put(found, holder, "anyone", ("wecom", "mail"), alert, line)
        return list(found.values())

    def shared(self, alert: store.AlertRow) -> list[ChannelName]:
        """The channels with one receiver for all that the alert's routes name."""
        line = self._line(alert.department_id)
        named = [
            channel
            for route in self._rules.routes
            if _fits(route, alert, line)
            for channel in route.channels
        ]
        return list(dict.fromkeys(named))

    def one(self, user_id: str) -> list[Receiver]:
        """One user by herself, as when an alert is assigned to her."""
        holder = self._holders.get(user_id)
        if holder is None:
            return []
        return [Receiver(holder.id, holder.name, ("assignee",), ("wecom", "mail"))]

    def _to_compliance(
        self, found: dict[str, Receiver], alert: store.AlertRow, line: Sequence[int]
    ) -> None:
        for holder in self._targets("compliance", alert, line, 0):
            self._put(found, holder, "compliance", ("wecom", "mail"), alert, line)

    def _targets(
        self, target: Target, alert: store.AlertRow, line: Sequence[int], level: int
    ) -> Iterable[Holder]:
        if target == "supervisor":
            return self._supervisors(alert, level)
        if target == "department":
            return self._department(line[level:])
        return [each for each in self._holders.values() if Role.OFFICER in each.roles]

    def _supervisors(self, alert: store.AlertRow, level: int) -> list[Holder]:
        employee = employee_id(self._connection, alert.corp_id, alert.adviser)
        for _ in range(level + 1):
            if employee is None:
                return []
            employee = supervisor_of(self._connection, employee)
        return [
            each for each in self._holders.values() if employee and each.employee_id == employee
        ]

    def _department(self, line: Sequence[int]) -> list[Holder]:
        """Who supervises the first department of a line that has somebody."""
        for place in line:
            found = [
                each
                for each in self._holders.values()
                if Role.SUPERVISOR in each.roles and place in (each.scope.departments or ())
            ]
            if found:
                return found
        return []

    def _put(
        self,
        found: dict[str, Receiver],
        holder: Holder,
        why: str,
        channels: Sequence[ChannelName],
        alert: store.AlertRow,
        line: Sequence[int],
    ) -> None:
        present = self._present(holder)
        if present is None or not self._may_be_told(present, alert, line):
            return
        reason = why if present.id == holder.id else f"{why}（代 {holder.name}）"
        known = found.get(present.id, Receiver(present.id, present.name, (), ()))
        found[present.id] = known._replace(
            why=tuple(dict.fromkeys((*known.why, reason))),
            channels=tuple(dict.fromkeys((*known.channels, *channels))),
        )

    def _present(self, holder: Holder) -> Holder | None:
        """Who is there in somebody's place; None when the absent has no stand-in who may see alerts."""
        current: Holder | None = holder
        for _ in range(_HOPS):
            if current is None or current.id not in self._away:
                return current
            stand_in = self._away[current.id]
            current = self._holders.get(stand_in) if stand_in else None
        return None

    def _may_be_told(self, holder: Holder, alert: store.AlertRow, line: Sequence[int]) -> bool:
        if not holder.scope.is_everything and not set(holder.scope.departments or ()) & set(line):
            return False
        employee = holder.employee_id
        return employee is None or not store.takes_part(self._connection, alert, employee)

    def _line(self, department: int | None) -> list[int]:
        if department is None:
            return []
        if department not in self._lines:
            self._lines[department] = ancestors(self._connection, department)
        return self._lines[department]


def _fits(route: Route, alert: store.AlertRow, line: Sequence[int]) -> bool:
    return (
        (not route.severities or alert.severity in route.severities)
        and (not route.categories or alert.category in route.categories)
        and (not route.departments or bool(set(route.departments) & set(line)))
    )
