"""The audit trail without a database: its closed vocabulary, its hash chain, and the proof of a chain.

Each entry's hash is SHA-256 over the hash before it (32 zero bytes before the first) and the canonical JSON of
the entry: keys sorted, no blanks, ASCII only. A changed, removed, inserted or reordered entry breaks the chain
where it happened; a cut tail shows against a head that was noted elsewhere before.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Any, NamedTuple

START = bytes(32)  # the hash before the first entry


class Event(StrEnum):
    """Everything that is audited, as `room:subject:deed`. Closed: a new deed is a new member."""

    LOGIN_OK = "access:login:ok"
    LOGIN_FAILED = "access:login:failed"
    LOGIN_THROTTLED = "access:login:throttled"
    LOGOUT = "access:session:end"
    REFUSED = "access:action:refused"
    USER_CREATE = "access:user:create"
    USER_CHANGE = "access:user:change"
    USER_PASSWORD = "access:user:password"  # noqa: S105  (an event's name)
    USER_DISABLE = "access:user:disable"
    USER_ENABLE = "access:user:enable"
    ROLE_GRANT = "access:role:grant"
    ROLE_REVOKE = "access:role:revoke"
    TOKEN_CREATE = "access:token:create"  # noqa: S105  (an event's name)
    TOKEN_REVOKE = "access:token:revoke"  # noqa: S105  (an event's name)
    AUDIT_READ = "access:audit:read"
    AUDIT_VERIFY = "access:audit:verify"
    PEOPLE_IMPORT = "people:document:import"
    INGEST_REJECTED = "capture:batch:rejected"
    QUARANTINE_LIST = "archive:quarantine:list"
    QUARANTINE_OPEN = "archive:quarantine:open"
    QUARANTINE_REPLAY = "archive:quarantine:replay"
    MESSAGE_OPEN = "archive:message:open"
    MESSAGE_CONTEXT = "archive:message:context"
    MESSAGE_RAW = "archive:message:raw"
    MESSAGE_PROOF = "archive:message:proof"
    FSCK_RUN = "archive:fsck:run"
    LEXICON_READ = "screening:lexicon:read"
    LEXICON_TRY = "screening:lexicon:try"
    LEXICON_DRAFT = "screening:lexicon:draft"
    LEXICON_BACKTEST = "screening:lexicon:backtest"
    LEXICON_APPROVE = "screening:lexicon:approve"
    LEXICON_REJECT = "screening:lexicon:reject"
    LEXICON_RELEASE = "screening:lexicon:release"
    MESSAGE_SEARCH = "search:message:find"
    MESSAGE_COUNT = "search:message:count"
    THREAD_READ = "search:thread:read"
    SAVED_CREATE = "search:saved:create"
    SAVED_READ = "search:saved:read"
    SAVED_CHANGE = "search:saved:change"
    SAVED_DELETE = "search:saved:delete"
    ALERT_LIST = "oversight:alert:list"
    ALERT_OPEN = "oversight:alert:open"
    ALERT_FIGURES = "oversight:figures:read"
    ALERT_STEP = "oversight:alert:step"
    LEAD_LIST = "oversight:lead:list"
    LEAD_OPEN = "oversight:lead:open"
    LEAD_STEP = "oversight:lead:step"
    ABSENCE_SET = "oversight:absence:set"
    CONTACT_SET = "oversight:contact:set"
    NOTICE_RETRY = "oversight:notice:retry"
    RULES_PUT = "oversight:rules:put"
    OWN_READ = "advice:own:read"
    CHECK_DECIDE = "advice:check:decide"
    CHECK_POLICY = "advice:policy:set"
    LOG_SEAL = "evidence:log:seal"
    EXPORT_REQUEST = "evidence:export:request"
    EXPORT_READ = "evidence:export:read"
    EXPORT_APPROVE = "evidence:export:approve"
    EXPORT_REJECT = "evidence:export:reject"
    EXPORT_BUILD = "evidence:export:build"
    EXPORT_DOWNLOAD = "evidence:export:download"
    SCHEDULE_CHANGE = "retention:schedule:change"
    HOLD_PLACE = "retention:hold:place"
    HOLD_RELEASE = "retention:hold:release"
    DISPOSAL_STEP = "retention:disposal:step"
    DISPOSAL_DONE = "retention:disposal:done"
    RETENTION_READ = "retention:rules:read"
    REBUILD_RUN = "foundation:follower:rebuild"
    KEY_CREATE = "foundation:key:create"
    KEY_ROTATE = "foundation:key:rotate"
    KEY_DESTROY = "foundation:key:destroy"


class Entry(NamedTuple):
    """One line of the trail as it is hashed; `at` in Unix milliseconds, `details` canonical JSON."""

    seq: int
    at: int
    event: str
    actor_kind: str
    actor_id: str
    actor_name: str
    subject: str
    request_id: str
    details: str


class Link(NamedTuple):
    """An entry with the hash that is kept beside it."""

    entry: Entry
    hash: bytes


class Head(NamedTuple):
    """The end of the chain at some moment; (0, START) of an empty one."""

    seq: int
    hash: bytes


class Difference(NamedTuple):
    """Where the kept trail is not what it must be: `gap`, `hash` or `head`."""

    seq: int
    kind: str


def canonical(value: Any) -> str:
    """Write a value as the one JSON text that is hashed; moments and the like as their words."""
    return json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"), default=str)


def digest(previous: bytes, entry: Entry) -> bytes:
    """The hash of an entry that follows the hash `previous`."""
    return hashlib.sha256(previous + canonical(entry._asdict()).encode("ascii")).digest()


def differences(links: Iterable[Link], noted: Head | None = None) -> Iterator[Difference]:
    """Prove a chain given in order from its start; with `noted`, that this head still is in it."""
    head = Head(0, START)
    kept = noted is None or noted == head
    for entry, stored in links:
        if entry.seq != head.seq + 1:
            yield Difference(entry.seq, "gap")
        if digest(head.hash, entry) != stored:
            yield Difference(entry.seq, "hash")
        head = Head(entry.seq, stored)
        kept = kept or noted == head
    if noted is not None and not kept:
        yield Difference(noted.seq, "head")
