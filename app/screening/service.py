"""What people do with versions of the word lists: draft, approve, reject, release, try.

Every deed is one transaction with its step in the history and its audit entry. What takes seconds (compiling, running
examples) happens before it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from app.access import Caller, Event, record
from app.foundation import clock
from app.foundation.database import Database, announce, exclusive
from app.foundation.errors import Conflict
from app.screening import backtests, changes, exchange, lexicons, wordfiles
from app.screening.domain import Turn
from app.screening.exchange import Imported
from app.screening.lexicons import Version
from app.screening.releases import LOCK, Released, files_of, tested, tried
from app.screening.tables import Line
from app.screening.trace import Trace, trace
from app.screening.versions import (
    Approver,
    LexiconStepNotPossible,
    ReasonMissing,
    ReleasedMeanwhile,
    State,
    Step,
    alarms,
    check_approver,
    check_volume,
    next_state,
)


class LexiconKnown(Conflict):
    """There is a version with exactly this content already."""

    code = "lexicon_known"
    title = "已有内容完全相同的词库版本"


class Lexicons:
    """The versions of the word lists of this installation."""

    def __init__(self, db: Database, shipped: Path, alert_share: float) -> None:
        self.db, self.alert_share = db, alert_share
        self.released = Released(db, shipped)

    def one(self, name: str) -> Version:
        """A version by its id, by its version, or as `released`; raises `LexiconNotFound`."""
        if name == State.RELEASED:
            self.released.current()
        with self.db.read() as connection:
            return _one(connection, name)

    def files(self, caller: Caller, name: str) -> Mapping[str, str]:
        """The files of a version."""
        version = self.one(name)
        with self.db.write() as connection:
            record(connection, Event.LEXICON_READ, caller, version.id)
            return files_of(connection, version)

    def draft(
        self,
        caller: Caller,
        given: Mapping[str, str | None],
        *,
        based_on: str | None = None,
        note: str = "",
    ) -> Version:
        """A new version: the base with the given files in place of its own, None removes one.

        Without a base the given files are all. Raises `LexiconError` with file and line, `LexiconKnown`.
        """
        base = self.one(based_on) if based_on else None
        files = wordfiles.changed(self._files(base) if base else {}, given)
        version, packed = wordfiles.version_of(files), wordfiles.pack(files)
        with self.db.read() as connection:
            _refuse_known(connection, version)
        verdict = tried(version, packed)
        with self.db.write() as connection:
            exclusive(connection, LOCK)
            _refuse_known(connection, version)
            made = lexicons.add(
                connection,
                Step.DRAFT,
                caller,
                version=version,
                files=packed,
                verdict=verdict,
                note=note,
                based_on=base.id if base else None,
            )
            made = tested(connection, made, caller)
            facts = {"version": version, "state": made.state, "failures": len(made.failures)}
            record(connection, Event.LEXICON_DRAFT, caller, made.id, **facts)
        return made

    def import_table(
        self, caller: Caller, lines: Sequence[Line], *, based_on: str | None, note: str
    ) -> tuple[Version, Imported]:
        """A draft with the phrases of a table added to a base; raises `NothingToImport`."""
        base = self.one(based_on or State.RELEASED)
        lexicon = self.released.compile(base.version)
        imported = exchange.merged(self._files(base), lines, lexicon)
        made = self.draft(caller, imported.files, based_on=base.id, note=note)
        return made, imported

    def table(self, caller: Caller, name: str) -> list[Line]:
        """The phrases of a version as the lines of a table."""
        version = self.one(name)
        with self.db.write() as connection:
            record(connection, Event.LEXICON_READ, caller, version.id, table=True)
            return exchange.lines_of(files_of(connection, version))

    def difference(
        self, caller: Caller, old: str, new: str
    ) -> tuple[list[changes.FileChange], list[changes.RuleChange]]:
        """What `new` has that `old` has not, and the other way round."""
        one, other = self.one(old), self.one(new)
        with self.db.write() as connection:
            record(connection, Event.LEXICON_READ, caller, other.id, beside=one.id)
            before, after = files_of(connection, one), files_of(connection, other)
        return changes.file_changes(before, after), changes.rule_changes(before, after)

    def attempt(self, caller: Caller, name: str, turns: Sequence[Turn]) -> Trace:
        """What a version makes of some messages, step by step; they are kept nowhere."""
        version = self.one(name)
        with self.db.write() as connection:
            record(connection, Event.LEXICON_TRY, caller, version.id, messages=len(turns))
        return trace(turns, self.released.compile(version.version))

    def warnings(self, connection: Connection, version: Version) -> tuple[bool, list[str]]:
        """Whether a version was back-tested to the end, and what its last back-test warns of."""
        last = backtests.last_done(connection, version)
        return last is not None, alarms(last.result, self.alert_share) if last else []

    def approve(
        self,
        caller: Caller,
        name: str,
        *,
        note: str = "",
        override: str = "",
        as_operator: bool = False,
    ) -> Version:
        """Approve what somebody else drafted; raises `SecondPersonNeeded`, `OverrideMissing`."""
        with self.db.write() as connection:
            exclusive(connection, LOCK)
            version = _one(connection, name)
            next_state(version.state, Step.APPROVE)
            approver = Approver(caller.kind, caller.id)
            check_approver(approver, version.created_by, as_operator=as_operator, reason=note)
            is_backtested, warnings = self.warnings(connection, version)
            check_volume(warnings, override)
            words = _approval(note, override if warnings else "", is_backtested, as_operator)
            who = {"approved_by": caller.id, "approved_by_name": caller.name}
            made = _step(
                connection, version, Step.APPROVE, caller, words, **who, approved_at=clock.now()
            )
            facts = {"backtested": is_backtested, "warnings": warnings, "note": words}
            record(connection, Event.LEXICON_APPROVE, caller, version.id, **facts)
            announce(connection, lexicons.TOPIC)
        return made

    def reject(self, caller: Caller, name: str, reason: str) -> Version:
        """Refuse a version that is not released yet; raises `ReasonMissing`."""
        if not reason.strip():
            raise ReasonMissing("驳回须说明理由")
        with self.db.write() as connection:
            exclusive(connection, LOCK)
            version = _one(connection, name)
            made = _step(connection, version, Step.REJECT, caller, reason)
            record(connection, Event.LEXICON_REJECT, caller, version.id, reason=reason)
        return made

    def release(
        self, caller: Caller, name: str, *, replaces: str | None = None, note: str = ""
    ) -> Version:
        """Put an approved or a retired version in force in place of `replaces`, or of the present one.

        One transaction: before it the old version is in force, after it the new one. Raises `ReleasedMeanwhile` when
        another was released since the caller looked.
        """
        before = self.one(replaces or State.RELEASED)
        version = self.one(name)
        next_state(version.state, Step.RELEASE)
        self.released.compile(version.version)
        with self.db.write() as connection:
            exclusive(connection, LOCK)
            old = lexicons.released(connection)
            if old is None or old.id != before.id:
                raise ReleasedMeanwhile("请查看现行版本后再决定", released=old and old.id)
            version, now = _one(connection, name), clock.now()
            next_state(version.state, Step.RELEASE)
            _step(
                connection, old, Step.RETIRE, caller, f"由 {version.version} 取代", retired_at=now
            )
            made = _step(connection, version, Step.RELEASE, caller, note, released_at=now)
            facts = {"version": version.version, "replaces": old.id}
            record(connection, Event.LEXICON_RELEASE, caller, version.id, **facts)
            announce(connection, lexicons.TOPIC)
        return made

    def _files(self, version: Version) -> dict[str, str]:
        with self.db.read() as connection:
            return files_of(connection, version)


def _one(connection: Connection, name: str) -> Version:
    found = lexicons.released(connection) if name == State.RELEASED else None
    return found or lexicons.one(connection, name)


def _refuse_known(connection: Connection, version: str) -> None:
    known = lexicons.named(connection, version)
    if known:
        raise LexiconKnown(f"即 {known.id}，状态 {known.state}", id=known.id, state=known.state)


def _step(
    connection: Connection, version: Version, step: Step, caller: Caller, note: str, **values: Any
) -> Version:
    state = next_state(version.state, step)
    if not lexicons.change(connection, version, state, **values):
        raise LexiconStepNotPossible("另一位同事刚处理了这个版本，请刷新")
    lexicons.add_step(connection, version, step, state, caller, note)
    return version._replace(state=state, **values)


def _approval(note: str, override: str, is_backtested: bool, as_operator: bool) -> str:  # noqa: FBT001
    parts = [
        "本机代批" if as_operator else "",
        note,
        "" if is_backtested else "未回测",
        f"预警量异常仍放行：{override}" if override else "",
    ]
    return "；".join(part for part in parts if part)
