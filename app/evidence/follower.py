"""Seals the logs off the write path: leaves into the tree, the tree's head signed, the heads of both logs in each other.

A corp's checkpoint names the head of the audit log; the audit trail gets an entry for a corp's checkpoint at most once
a minute. Tiles, checkpoint and cursor are one transaction. The signer's state may be ahead of it after a crash;
then nothing is signed until the tree has grown as far again.
"""

from app.access import Event, operator, record
from app.evidence import logs, merkle, note, tiles
from app.evidence.logs import AUDIT, Sealed
from app.evidence.signer import Signer, SignerRefuses
from app.foundation import clock, followers
from app.foundation.database import Database

BATCH = 5_000  # leaves in one step
ANCHOR_EVERY_MS = 60_000
SYSTEM = operator("封存")


class SealFollower:
    """Seals one kind of log: every corp's (`seal`), or the audit trail (`seal_audit`)."""

    is_shared = True

    def __init__(self, db: Database, signer: Signer, origin: str, *, of_audit: bool) -> None:
        self._db, self._signer, self._origin = db, signer, origin
        self.name = "seal_audit" if of_audit else "seal"
        self._anchored: dict[int, int] = {}

    def position(self, corp_id: int) -> int:
        """The size of the tree."""
        with self._db.read() as connection:
            return followers.position(connection, self.name, corp_id)

    def step(self, corp_id: int, after: int, end: int) -> int:
        """Grow the tree by a batch and sign its head; raises `SignerRefuses` when history was changed."""
        to = min(end, after + BATCH)
        with self._db.read() as connection:
            hashes = logs.leaf_hashes(connection, corp_id, after, to)
        with self._db.write() as connection:
            tiles.append(connection, corp_id, after, hashes)
            followers.move(connection, self.name, corp_id, after=after, to=to)
            reader = tiles.Reader(connection, corp_id)
            origin = logs.origins(connection, self._origin)[corp_id]
            signed = self._signer.head(origin)
            if signed is not None and to < signed.size:
                if to == end:
                    raise SignerRefuses(f"{origin}：已签名到 {signed.size}，现在只有 {to}")
                return to  # a rebuilt tree on its way up
            audit = None if corp_id == AUDIT else logs.latest(connection, AUDIT)
            anchor = None
            if audit:
                anchor = note.Anchor(f"{self._origin}/audit", audit.size, audit.root)
            head = note.Checkpoint(origin, to, merkle.root(reader.node, to), anchor)
            text = self._signer.sign(head, lambda old: merkle.consistency(reader.node, old, to))
            if logs.at_size(connection, corp_id, to) is None:
                logs.keep(connection, corp_id, Sealed(to, head.root, text, clock.now()))
            is_due = corp_id != AUDIT and clock.now_ms() >= self._anchored.get(corp_id, 0)
            if is_due:
                record(connection, Event.LOG_SEAL, SYSTEM, origin, size=to, root=head.root.hex())
        if is_due:
            self._anchored[corp_id] = clock.now_ms() + ANCHOR_EVERY_MS
        return to

    def reset(self) -> None:
        """Forget the trees, never what was signed."""
        with self._db.write() as connection:
            for log_id in logs.origins(connection, self._origin):
                if (log_id == AUDIT) == (self.name == "seal_audit"):
                    tiles.forget(connection, log_id)
            followers.forget(connection, self.name)
