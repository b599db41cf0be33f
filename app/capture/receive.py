"""One batch of bytes through the door: every line ends as a receipt, in the order sent.

A line that cannot be a message goes to quarantine with its bytes; it never spoils the others.
"""

from collections.abc import Callable, Iterable, Sequence

from app.archive import quarantine
from app.archive.append import UNSTORABLE, Door, Prepared, Receipt, Status
from app.archive.domain import MAX_ID_LENGTH, Envelope
from app.capture.bodies import Rejected, fold
from app.capture.envelope import parse_envelope
from app.capture.wecom import parse_wecom
from app.foundation import metrics
from app.foundation.blobs import BlobStore
from app.foundation.database import Database
from app.foundation.errors import BadInput
from app.foundation.keys import KeyRing

ENVELOPES = "messages"  # the doors by which a quarantined input is read again
WECOM = "wecom"
Parse = Callable[[bytes], Envelope]


class NotReplayable(BadInput):
    """The input is still not understood; its reason is in the detail."""

    code = "not_replayable"
    title = "重放后仍无法入档"
    status = 409


class Capture:
    """Receives batches for one archive."""

    def __init__(self, db: Database, door: Door, keyring: KeyRing, blobs: BlobStore) -> None:
        self._db, self._door, self._keyring, self._blobs = db, door, keyring, blobs

    def receive(self, lines: Iterable[bytes]) -> list[Receipt]:
        """Archive messages of the contract, one per line; returns after the durable commit."""
        return self._receive(lines, ENVELOPES, None, parse_envelope)

    def receive_wecom(self, lines: Iterable[bytes], corp: str) -> list[Receipt]:
        """Archive decrypted WeCom messages of one corp; returns after the durable commit."""
        corp = _corp(corp)
        return self._receive(lines, WECOM, corp, lambda line: parse_wecom(line, corp))

    def replay(self, number: int) -> Receipt:
        """Read a quarantined input again; raises `NotReplayable` while it is still not understood."""
        with self._db.read() as connection:
            item = quarantine.item(connection, number)
            quarantine.require_waiting(item)
            data = quarantine.open_bytes(connection, self._keyring, self._blobs, number)
        try:
            receipt = self._door.append([self._door.prepare(self._read_again(item, data))])[0]
        except Rejected as error:
            raise NotReplayable(error.detail, reason=error.code) from None
        except UNSTORABLE:
            raise NotReplayable(item.detail, reason=item.reason) from None
        if receipt.status is Status.QUARANTINED:
            raise NotReplayable(receipt.detail, reason=receipt.error)
        with self._db.write() as connection:
            quarantine.settle(connection, number, quarantine.State.REPLAYED)
        return receipt

    def quarantined_bytes(self, number: int) -> bytes:
        """The exact bytes of a quarantined input."""
        with self._db.read() as connection:
            return quarantine.open_bytes(connection, self._keyring, self._blobs, number)

    def discard(self, number: int) -> None:
        """Mark a quarantined input as dealt with; its bytes stay."""
        with self._db.write() as connection:
            quarantine.settle(connection, number, quarantine.State.DISCARDED)

    def _read_again(self, item: quarantine.Item, data: bytes) -> Envelope:
        if item.door == quarantine.ARCHIVE:
            raise Rejected(item.reason, item.detail)
        if item.door == WECOM and item.corp:
            return parse_wecom(data, item.corp)
        return parse_envelope(data)

    def _receive(
        self, lines: Iterable[bytes], door: str, corp: str | None, parse: Parse
    ) -> list[Receipt]:
        receipts: list[Receipt | None] = []
        read: list[bytes] = []
        prepared: list[Prepared] = []
        rejects: list[quarantine.Reject] = []
        for line in lines:
            try:
                prepared.append(self._door.prepare(parse(line)))
                read.append(line)
                receipts.append(None)
            except Rejected as error:
                receipts.append(_refusal(error))
                if error.quarantine:
                    rejects.append(
                        quarantine.Reject(door, corp or error.corp, error.code, error.detail, line)
                    )
        made = iter(self._append(door, read, prepared, rejects) if prepared or rejects else ())
        settled = [receipt or next(made) for receipt in receipts]
        _count(settled)
        return settled

    def _append(
        self,
        door: str,
        lines: Sequence[bytes],
        prepared: Sequence[Prepared],
        rejects: Sequence[quarantine.Reject],
    ) -> list[Receipt]:
        """Append; a message with a value that the database refuses goes to quarantine, found by halving."""
        try:
            return self._door.append(prepared, rejects)
        except UNSTORABLE:
            if not prepared:
                raise
        if len(prepared) == 1:
            return [self._set_aside(door, lines[0], prepared[0].envelope, rejects)]
        middle = len(prepared) // 2
        return [
            *self._append(door, lines[:middle], prepared[:middle], rejects),
            *self._append(door, lines[middle:], prepared[middle:], ()),
        ]

    def _set_aside(
        self, door: str, line: bytes, envelope: Envelope, rejects: Sequence[quarantine.Reject]
    ) -> Receipt:
        code, detail = "not_storable", "数据库无法保存消息中的某个值，请联系管理员"
        reject = quarantine.Reject(door, envelope.corp, code, detail, line)
        self._door.append((), [*rejects, reject])
        name = envelope.source_msg_id
        return Receipt(Status.QUARANTINED, name, error=code, detail=detail)


def tally(receipts: Iterable[Receipt]) -> dict[str, int]:
    """How many messages ended in each status; every status is named."""
    counts = {status.value: 0 for status in Status}
    for receipt in receipts:
        counts[receipt.status] += 1
    return counts


def _corp(code: str) -> str:
    """A corp's code in the one spelling in which it is kept."""
    folded = fold(code)
    if not 0 < len(folded) <= MAX_ID_LENGTH:
        raise BadInput(f"corp 应为 1 至 {MAX_ID_LENGTH} 个字符")
    return folded


def _refusal(error: Rejected) -> Receipt:
    status = Status.QUARANTINED if error.quarantine else Status.REJECTED
    return Receipt(status, error.source_msg_id, error=error.code, detail=error.detail)


def _count(receipts: list[Receipt]) -> None:
    for status, number in tally(receipts).items():
        metrics.MESSAGES.labels(status).inc(number)
