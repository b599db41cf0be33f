"""The clock: sets by when alerts must be dealt with, reminds half-way, and sends up the line what is late.

One process at a time looks, under a lease; every look is one transaction, so that what it does is done once.
"""

import threading
from datetime import datetime, timedelta

from sqlalchemy import Connection

from app.foundation import clock, logs
from app.foundation.database import Database, announce
from app.foundation.followers import take_lease
from app.foundation.worktime import Calendar
from app.oversight import notices, rules, store, times
from app.oversight.alerts import TOPIC
from app.oversight.domain import TOP, State, Step

LEASE = "clock"
LOOK_EVERY = 1.0  # seconds
ACTOR = ("clock", "时限")


class Clock:
    """Looks at what is due on a thread of its own until it is stopped."""

    def __init__(self, db: Database, calendar: Calendar, holder: str) -> None:
        self._db, self._calendar, self._holder = db, calendar, holder
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clock", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the look under way."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=30)

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_EVERY):
            try:
                if times.anything_due(self._db, clock.now()) and take_lease(
                    self._db, LEASE, self._holder
                ):
                    tick(self._db, self._calendar)
            except Exception as error:  # noqa: BLE001  (the loop must outlive a database outage)
                logs.get(__name__).error("clock_failed", exc_info=error)


def tick(db: Database, calendar: Calendar, now: datetime | None = None) -> None:
    """Do what is due at a moment (now, unless given)."""
    now = now or clock.now()
    with db.write() as connection:
        in_force = rules.current(connection)
        timed = [_timed(each, in_force, calendar, now) for each in times.untimed(connection)]
        times.set_times(connection, timed)
        occasions = [
            (alert.number, f"remind:{alert.state}:{alert.level}")
            for alert in times.half_way(connection, now)
        ]
        times.reminded(connection, [number for number, _ in occasions])
        late = times.late(connection, now)
        occasions += [(alert.number, _send_up(connection, alert, now)) for alert in late]
        if late:
            announce(connection, TOPIC)
        notices.tell(connection, occasions, f"clock:{clock.to_ms(now)}")


def _timed(
    alert: store.AlertRow, in_force: rules.Rules, calendar: Calendar, now: datetime
) -> tuple[store.AlertRow, datetime, datetime]:
    """When to remind of an alert and when it is late: until it is claimed, then until it is closed."""
    deadline = in_force.deadline(alert.severity)
    is_open = alert.state in (State.OPEN, State.ESCALATED)
    start = alert.raised_at if alert.state is State.OPEN and not alert.level else now
    span = timedelta(minutes=deadline.claim if is_open else deadline.close)
    return alert, calendar.after(start, span / 2), calendar.after(start, span)


def _send_up(connection: Connection, alert: store.AlertRow, now: datetime) -> str:
    """Take a late alert up the line; who has it keeps it. Gives the occasion."""
    step = Step.ESCALATE if alert.state is State.OPEN else Step.OVERDUE
    state = State.ESCALATED if step is Step.ESCALATE else alert.state
    level = min(alert.level + 1, TOP)
    values = {
        "state": state,
        "level": level,
        "changed_at": now,
        "due_at": None,
        "remind_at": None,
    }
    if not store.change(connection, alert, values):
        return f"overdue:{alert.level}"
    row = store.StepRow(now, step, state, *ACTOR, alert.disposition, "超过处理时限")
    store.add_steps(connection, [(alert.number, row)])
    return f"{'escalate' if step is Step.ESCALATE else 'overdue'}:{level}"
