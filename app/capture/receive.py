"""One batch of bytes through the door: every line ends as a receipt, in the order sent.

A line that cannot be a message goes to quarantine with its bytes; it never spoils the others.
"""

from collections.abc import Callable, Iterable

from app.archive import quarantine
from app.archive.append import Door, Prepared, Receipt, Status
from app.archive.domain import Envelope
from app.capture.bodies import Rejected
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
        return self._receive(lines, WECOM, corp, lambda line: parse_wecom(line, corp))

    def replay(self, number: int) -> Receipt:
        """Read a quarantined input again; raises `NotReplayable` while it is still not understood."""
        with self._db.read() as connection:
            item = quarantine.item(connection, number)
            data = quarantine.open_bytes(connection, self._keyring, self._blobs, number)
        try:
            envelope = self._read_again(item, data)
        except Rejected as error:
            raise NotReplayable(error.detail, reason=error.code) from None
        receipt = self._door.append([self._door.prepare(envelope)])[0]
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
        if item.door == WECOM and item.corp:
            return parse_wecom(data, item.corp)
        return parse_envelope(data)

    def _receive(
        self, lines: Iterable[bytes], door: str, corp: str | None, parse: Parse
    ) -> list[Receipt]:
        receipts: list[Receipt | None] = []
        prepared: list[Prepared] = []
        rejects: list[quarantine.Reject] = []
        for line in lines:
            try:
                prepared.append(self._door.prepare(parse(line)))
                receipts.append(None)
            except Rejected as error:
                receipts.append(_refusal(error))
                if error.quarantine:
                    rejects.append(
                        quarantine.Reject(door, corp or error.corp, error.code, error.detail, line)
                    )
        made = iter(self._door.append(prepared, rejects) if prepared or rejects else ())
        settled = [receipt or next(made) for receipt in receipts]
        _count(settled)
        return settled


def tally(receipts: Iterable[Receipt]) -> dict[str, int]:
    """How many messages ended in each status; every status is named."""
    counts = {status.value: 0 for status in Status}
    for receipt in receipts:
        counts[receipt.status] += 1
    return counts


def _refusal(error: Rejected) -> Receipt:
    status = Status.QUARANTINED if error.quarantine else Status.REJECTED
    return Receipt(status, error.source_msg_id, error=error.code, detail=error.detail)


def _count(receipts: list[Receipt]) -> None:
    for status, number in tally(receipts).items():
        metrics.MESSAGES.labels(status).inc(number)
