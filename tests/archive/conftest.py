"""One archive on a fresh database of each kind."""

from pathlib import Path
from typing import NamedTuple

import pytest

from app.archive import fsck, quarantine
from app.archive.append import Door
from app.archive.fsck import Difference
from app.capture.receive import Capture
from app.foundation.blobs import BlobStore
from app.foundation.database import Database
from app.foundation.keys import KeyRing


class Archive(NamedTuple):
    """Everything an archive is made of."""

    db: Database
    keyring: KeyRing
    blobs: BlobStore
    door: Door
    capture: Capture

    def differences(self) -> list[Difference]:
        """What fsck finds."""
        return fsck.check(self.db, self.keyring, self.blobs).differences

    def quarantined(self) -> list[tuple[quarantine.Item, bytes]]:
        """Every quarantined input with its bytes, oldest first."""
        with self.db.read() as connection:
            items = quarantine.items(connection, state=None, before=None, limit=1_000)
            return [
                (each, quarantine.open_bytes(connection, self.keyring, self.blobs, each.id))
                for each in reversed(items)
            ]


def open_archive(db: Database, folder: Path) -> Archive:
    """An archive over a database as one process opens it."""
    keyring, blobs = KeyRing(bytes(32)), BlobStore(folder / "blobs")
    door = Door(db, keyring, blobs)
    return Archive(db, keyring, blobs, door, Capture(db, door, keyring, blobs))


@pytest.fixture
def archive(db: Database, tmp_path: Path) -> Archive:
    return open_archive(db, tmp_path)
