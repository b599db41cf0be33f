"""Tell people of alerts, by jobs, never in more than one letter per receiver, channel and minute.

It is asked for in the transaction that raises or changes an alert.
`tell` asks; the job `tell` finds the receivers and leaves notices; the job `deliver` sends what waits for one receiver
on one channel as one letter. A failed letter waits longer each time and its notices end as dead letters that can be
revived. Sending is done at least once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from app.foundation import clock, jobs, logs
from app.foundation.database import Database, exclusive
from app.oversight import notice_store, rules, store
from app.oversight.channels import SHARED, Send
from app.oversight.domain import State
from app.oversight.letters import compose
from app.oversight.notice_store import LOCK, NoticeState
from app.oversight.routing import Audience, Receiver
from app.oversight.rules import Quiet, Rules

TELL, DELIVER = "tell", "deliver"
RETRY = jobs.Retry(attempts=8, first=timedelta(seconds=30), longest=timedelta(hours=1))
NO_ADDRESS, NO_CHANNEL = "没有该渠道的地址", "该渠道未设置"
_UNSENT = frozenset({NO_ADDRESS, NO_CHANNEL})  # nothing was sent, and trying again would not help


def tell(connection: Connection, occasions: Sequence[tuple[int, str]], key: str) -> None:
    """Ask that people be told of alerts, by number, each on an occasion such as `raise` or `escalate:1`."""
    if occasions:
        jobs.enqueue(connection, TELL, key, {"occasions": [list(each) for each in occasions]})


@dataclass(frozen=True, slots=True)
class Notifier:
    """The jobs. `channels` are those that are set, `names` gives the names of categories."""

    db: Database
    channels: Mapping[str, Send]
    names: Callable[[], Mapping[str, str]]
    public_url: str
    zone: ZoneInfo

    def handlers(self) -> dict[str, jobs.Handler]:
        """What does the two kinds of jobs."""
        return {TELL: jobs.Handler(self._tell), DELIVER: jobs.Handler(self._deliver, RETRY)}

    def revive(self, connection: Connection, notice: int) -> None:
        """Try a dead letter again; raises NotFound."""
        exclusive(connection, LOCK)
        user_id, channel = notice_store.revive(connection, notice)
        _go_on(connection, user_id, channel, rules.current(connection))

    def _tell(self, payload: dict[str, Any]) -> None:
        with self.db.read() as connection:
            in_force = rules.current(connection)
            audience = Audience(connection, in_force)
            alerts = store.numbered(connection, [number for number, _ in payload["occasions"]])
            rows = [
                row
                for number, occasion in payload["occasions"]
                if (alert := alerts.get(number)) and alert.state is not State.RESOLVED
                for row in self._rows(audience, alert, occasion, in_force)
            ]
        if not rows:
            return
        with self.db.write() as connection:
            exclusive(connection, LOCK)
            notice_store.add(connection, rows)
            for user_id, channel in {(row["user_id"], row["channel"]) for row in rows}:
                _go_on(connection, user_id, channel, in_force)

    def _rows(
        self, audience: Audience, alert: store.AlertRow, occasion: str, in_force: Rules
    ) -> list[dict[str, Any]]:
        now = clock.now()
        row = {
            "alert_number": alert.number,
            "occasion": occasion,
            "state": NoticeState.WAITING,
            "attempts": 0,
            "failure": "",
            "not_before": not_before(now, alert.severity, in_force.quiet, self.zone),
            "created_at": now,
        }
        told = [
            row | {"user_id": each.user_id, "user_name": each.name, "channel": channel}
            for each in _receivers(audience, alert, occasion)
            for channel in each.channels
            if channel in self.channels and channel not in SHARED
        ]
        shared = [
            row | {"user_id": "", "user_name": "", "channel": channel}
            for channel in audience.shared(alert)
            if channel in self.channels and channel in SHARED
        ]
        return told + shared

    def _deliver(self, payload: dict[str, Any]) -> None:
        user_id, channel = payload["user"], payload["channel"]
        with self.db.write() as connection:
            exclusive(connection, LOCK)
            in_force = rules.current(connection)
            notice_store.skip_resolved(connection, user_id, channel)
            if clock.now() < _earliest(connection, user_id, channel, in_force):
                _go_on(connection, user_id, channel, in_force, f":{clock.now_ms()}")
                return
            waiting = notice_store.waiting(connection, user_id, channel, clock.now())
            place = "" if channel in SHARED else notice_store.address(connection, user_id, channel)
        if waiting:
            told = [each.told for each in waiting]
            letter = compose(told, self.names(), self.public_url, self.zone)
            failure = self._send(channel, place, letter)
            self._note(user_id, channel, waiting, failure)

    def _send(self, channel: str, place: str | None, letter: Any) -> str:
        """What went wrong, by its kind; nothing when it was sent."""
        send = self.channels.get(channel)
        if send is None:
            return NO_CHANNEL
        if place is None:
            return NO_ADDRESS
        try:
            send(place, letter)
        except Exception as error:  # noqa: BLE001  (any failure of a channel is a retry)
            logs.get(__name__).error("notice_failed", channel=channel, kind=type(error).__name__)
            return type(error).__name__
        return ""

    def _note(
        self,
        user_id: str,
        channel: str,
        waiting: Sequence[notice_store.Waiting],
        failure: str,
    ) -> None:
        with self.db.write() as connection:
            exclusive(connection, LOCK)
            now = clock.now()
            number = notice_store.note_delivery(connection, user_id, channel, len(waiting), failure)
            for each in waiting:
                values = _became(each.attempts + 1, failure, now) | {"delivery_id": number}
                notice_store.settle(connection, [each.id], **values)
            _go_on(connection, user_id, channel, rules.current(connection))


def _receivers(audience: Audience, alert: store.AlertRow, occasion: str) -> list[Receiver]:
    if occasion.startswith("assign") and alert.owner:
        return audience.one(alert.owner)
    if occasion.startswith("remind") and alert.owner:
        return audience.one(alert.owner)
    return audience.receivers(alert, alert.level)


def _became(attempts: int, failure: str, now: datetime) -> dict[str, Any]:
    if not failure:
        return {"state": NoticeState.SENT, "attempts": attempts, "failure": "", "ended_at": now}
    wait = None if failure in _UNSENT else RETRY.wait(attempts)
    if wait is None:
        return {
            "state": NoticeState.DEAD,
            "attempts": attempts,
            "failure": failure,
            "ended_at": now,
        }
    return {"attempts": attempts, "failure": failure, "not_before": now + wait}


def _go_on(
    connection: Connection, user_id: str, channel: str, in_force: Rules, mark: str = ""
) -> None:
    """Ask for the next letter to a receiver, if anything waits for him; the caller holds `LOCK`.

    A job that came too early asks again for the very moment it was asked for; `mark` makes it another job.
    """
    due = notice_store.next_due(connection, user_id, channel)
    if due is None:
        return
    last = notice_store.last_delivery(connection, user_id, channel)
    run_at = max(due, _earliest(connection, user_id, channel, in_force))
    key = f"{user_id}:{channel}:{last.id if last else 0}:{clock.to_ms(run_at)}{mark}"
    payload = {"user": user_id, "channel": channel}
    jobs.enqueue(connection, DELIVER, key, payload, run_at=run_at)


def _earliest(connection: Connection, user_id: str, channel: str, in_force: Rules) -> datetime:
    """When a receiver may get the next letter on a channel."""
    last = notice_store.last_delivery(connection, user_id, channel)
    if last is None or last.failure in _UNSENT:
        return clock.EPOCH
    return last.at + timedelta(minutes=in_force.digest_minutes)


def not_before(now: datetime, severity: str, quiet: Quiet | None, zone: ZoneInfo) -> datetime:
    """When somebody may be told: at once, or, unless it is red, after the quiet hours."""
    if quiet is None or severity == "red" or quiet.begins == quiet.ends:
        return now
    local = now.astimezone(zone)
    over_midnight = quiet.begins > quiet.ends
    is_quiet = (
        local.time() >= quiet.begins or local.time() < quiet.ends
        if over_midnight
        else quiet.begins <= local.time() < quiet.ends
    )
    if not is_quiet:
        return now
    day = local.date()
    if over_midnight and local.time() >= quiet.begins:
        day += timedelta(days=1)
    return datetime.combine(day, quiet.ends, zone).astimezone(now.tzinfo)
