"""What could not be understood: its exact bytes, encrypted, with the reason, until somebody deals with it.

The same bytes are kept once, however often they come. Small input lies in its row; large input in a blob that is
durable before the row names it, so a crash can leave an unnamed blob but never a row without its bytes.
"""

import hmac
import os
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select, update

from app.archive.domain import MAX_ID_LENGTH
from app.archive.models import QuarantineItem
from app.foundation import clock
from app.foundation.blobs import BlobStore
from app.foundation.database import chunks, insert_new
from app.foundation.errors import Conflict, NotFound
from app.foundation.keys import (
    NONCE_BYTES,
    Bucket,
    KeyRing,
    KeyUnusable,
    open_sealed,
    seal,
)

INLINE_BYTES = 64 * 1024
_LOOKUP = 500
ARCHIVE = "archive"  # the door of raw bytes that were understood, but contradict what is archived
_BUCKET = "quarantine"
_ABOUT = b"quarantine"


class State(StrEnum):
    """待处理, 已重放, 已放弃."""

    WAITING = "waiting"
    REPLAYED = "replayed"
    DISCARDED = "discarded"


class Reject(NamedTuple):
    """Input to keep: `door` is where it came in and so how it is read again."""

    door: str
    corp: str | None
    reason: str
    detail: str
    data: bytes


class Item(NamedTuple):
    """A quarantined input without its bytes."""

    id: int
    door: str
    corp: str | None
    reason: str
    detail: str
    size: int
    received_at: datetime
    state: State
    ended_at: datetime | None


_COLUMNS = tuple(getattr(QuarantineItem, name) for name in Item._fields)


def keep(
    connection: Connection, keyring: KeyRing, blobs: BlobStore, rejects: Sequence[Reject]
) -> None:
    """Keep the rejects in the caller's transaction; bytes already kept are not kept again."""
    if not rejects:
        return
    bucket = keyring.buckets(connection, [_BUCKET])[_BUCKET]
    found: dict[bytes, Reject] = {}
    for reject in rejects:
        corp = reject.corp and reject.corp[:MAX_ID_LENGTH]  # normalising may have lengthened it
        mark = _fingerprint(bucket, reject.door, corp, reject.data)
        found.setdefault(mark, reject._replace(corp=corp))
    known = _known(connection, list(found))
    now = clock.now()
    insert_new(
        connection,
        QuarantineItem,
        [
            _row(bucket, blobs, reject, mark, now)
            for mark, reject in found.items()
            if mark not in known
        ],
    )


def items(
    connection: Connection, *, state: State | None, before: int | None, limit: int
) -> list[Item]:
    """A page of the quarantine, newest first."""
    query = select(*_COLUMNS).order_by(QuarantineItem.id.desc()).limit(limit)
    if state is not None:
        query = query.where(QuarantineItem.state == state)
    if before is not None:
        query = query.where(QuarantineItem.id < before)
    return [_item(row) for row in connection.execute(query)]


def item(connection: Connection, number: int) -> Item:
    """One item; raises NotFound."""
    row = connection.execute(select(*_COLUMNS).where(QuarantineItem.id == number)).one_or_none()
    if row is None:
        raise NotFound("隔离区没有这一项")
    return _item(row)


def open_bytes(connection: Connection, keyring: KeyRing, blobs: BlobStore, number: int) -> bytes:
    """The exact bytes that came in; raises NotFound, `KeyUnusable`, `BlobMissing` or `BlobDamaged`."""
    row = _sealed_row(connection, number)
    return _open(_bucket(connection, keyring, row), blobs, row)


def is_intact(connection: Connection, keyring: KeyRing, blobs: BlobStore, number: int) -> bool:
    """Whether an item's bytes are those that came in through its door; raises like `open_bytes`."""
    row = _sealed_row(connection, number)
    bucket = _bucket(connection, keyring, row)
    data = _open(bucket, blobs, row)
    mark = _fingerprint(bucket, row.door, row.corp, data)
    return bool(len(data) == row.size and mark == row.fingerprint)


def settle(connection: Connection, number: int, state: State) -> None:
    """End a waiting item; raises NotFound, or Conflict when somebody else has ended it."""
    ended = connection.execute(
        update(QuarantineItem)
        .where(QuarantineItem.id == number, QuarantineItem.state == State.WAITING)
        .values(state=state, ended_at=clock.now())
    )
    if ended.rowcount != 1:
        require_waiting(item(connection, number))


def require_waiting(found: Item) -> None:
    """Raise Conflict when an item has been dealt with."""
    if found.state is not State.WAITING:
        raise Conflict("这一项已处理过")


def waiting(connection: Connection) -> int:
    """How many items nobody has dealt with."""
    query = select(func.count()).where(QuarantineItem.state == State.WAITING)
    return connection.execute(query).scalar() or 0


def _sealed_row(connection: Connection, number: int) -> Any:
    columns = QuarantineItem.__table__.c
    row = connection.execute(select(*columns).where(columns.id == number)).one_or_none()
    if row is None:
        raise NotFound("隔离区没有这一项")
    return row


def _bucket(connection: Connection, keyring: KeyRing, row: Any) -> Bucket:
    bucket = keyring.by_id(connection, [row.bucket_id]).get(row.bucket_id)
    if bucket is None:
        raise KeyUnusable
    return bucket


def _open(bucket: Bucket, blobs: BlobStore, row: Any) -> bytes:
    sealed = blobs.get(row.blob) if row.sealed is None else row.sealed
    return open_sealed(bucket.suite, bucket.unwrap(row.wrapped_key), sealed, _ABOUT)


def _fingerprint(bucket: Bucket, door: str, corp: str | None, data: bytes) -> bytes:
    identity = f"{door}\0{corp or ''}\0".encode() + data
    return hmac.digest(bucket.secret, identity, "sha256")


def _known(connection: Connection, fingerprints: list[bytes]) -> set[bytes]:
    known: set[bytes] = set()
    for part in chunks(fingerprints, _LOOKUP):
        query = select(QuarantineItem.fingerprint).where(QuarantineItem.fingerprint.in_(part))
        known |= set(connection.execute(query).scalars())
    return known


def _row(
    bucket: Bucket, blobs: BlobStore, reject: Reject, fingerprint: bytes, now: datetime
) -> dict[str, object]:
    # derived, so that input handed in again after a failed commit finds the blob it left behind
    key = hmac.digest(bucket.secret, b"key" + fingerprint, "sha256")[: bucket.suite.key_bytes]
    sealed = seal(bucket.suite, key, reject.data, _ABOUT)
    is_small = len(sealed) <= INLINE_BYTES
    return {
        "door": reject.door,
        "corp": reject.corp,
        "reason": reject.reason,
        "detail": reject.detail,
        "size": len(reject.data),
        "fingerprint": fingerprint,
        "bucket_id": bucket.id,
        "wrapped_key": bucket.wrap(key, os.urandom(NONCE_BYTES)),
        "sealed": sealed if is_small else None,
        "blob": None if is_small else blobs.put(sealed),
        "received_at": now,
        "state": State.WAITING,
    }


def _item(row: object) -> Item:
    fields = Item(*row)  # type: ignore[misc]
    return fields._replace(state=State(fields.state))
