"""People as the entries use them: the import, one transaction with its audit entry, and its report."""

from collections.abc import Sequence
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from app.access import Caller, Event, record
from app.foundation.database import Database, exclusive
from app.foundation.settings import Settings
from app.people import saving, store
from app.people.entries import Document, Problem
from app.people.reading import Kind, read_csv, read_json
from app.people.settle import Known, Settled, settle

PROBLEMS_SHOWN = 1000


class Report(NamedTuple):
    """What an import did, or would do: entries taken by kind, and every entry that was not."""

    dry_run: bool
    corp: str
    applied: dict[str, int]
    problem_count: int
    problems: Sequence[Problem]  # the first `PROBLEMS_SHOWN`
    ignored: Sequence[str]  # columns or members that mean nothing here


class People:
    """The room's service."""

    def __init__(self, db: Database, settings: Settings) -> None:
        self.db = db
        self.settings = settings
        self._zone = ZoneInfo(settings.time_zone)

    def import_json(self, caller: Caller, data: bytes, *, dry_run: bool = False) -> Report:
        """Import the JSON document; raises `UnreadableImport`."""
        return self.take(caller, read_json(data, self._zone), dry_run=dry_run)

    def import_csv(
        self, caller: Caller, data: bytes, *, kind: Kind, corp: str, dry_run: bool = False
    ) -> Report:
        """Import a CSV file of one kind; raises `UnreadableImport`."""
        document = read_csv(data, kind, corp, self._zone)
        return self.take(caller, document, dry_run=dry_run)

    def take(self, caller: Caller, document: Document, *, dry_run: bool) -> Report:
        """Take what can be taken in one transaction; a dry run only says what would be."""
        if dry_run:
            with self.db.read() as connection:
                settled = settle(document, _known(connection, document.corp))
            return _report(document, settled, dry_run=True)
        with self.db.write() as connection:
            exclusive(connection, "people")
            settled = settle(document, _known(connection, document.corp))
            corp_id = store.corp_ids(connection, [document.corp])[document.corp]
            saving.save(connection, corp_id, document.corp_name, settled)
            report = _report(document, settled, dry_run=False)
            record(
                connection,
                Event.PEOPLE_IMPORT,
                caller,
                document.corp,
                applied=report.applied,
                problems=report.problem_count,
            )
        return report


def _known(connection: Connection, corp: str) -> Known:
    corp_id = store.known_corp(connection, corp)
    return Known() if corp_id is None else saving.known(connection, corp_id)


def _report(document: Document, settled: Settled, *, dry_run: bool) -> Report:
    applied = {kind.value: len(getattr(settled, kind.value)) for kind in Kind}
    shown = settled.problems[:PROBLEMS_SHOWN]
    return Report(dry_run, document.corp, applied, len(settled.problems), shown, document.ignored)
