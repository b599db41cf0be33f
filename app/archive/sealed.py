"""The encrypted part of a record: the seed of its salts and the exact raw bytes."""

from typing import Any

from sqlalchemy import Connection, select

from app.archive.leaf import SEED_BYTES
from app.archive.models import Record
from app.foundation.keys import SUITES, Bucket, KeyRing, KeyUnusable, open_sealed


def about(corp: str, source: str, source_msg_id: str) -> bytes:
    """What a record's ciphertext is bound to: it cannot be passed off as another message."""
    return f"{corp}\0{source}\0{source_msg_id}".encode()


def unseal(row: Any, bucket: Bucket, corp: str) -> tuple[bytes, bytes]:
    """Seed and raw bytes of a row with its sealed columns; raises `KeyUnusable`."""
    bound = about(corp, row.source, row.source_msg_id)
    plain = open_sealed(SUITES[row.suite], bucket.unwrap(row.wrapped_key), row.sealed, bound)
    return plain[:SEED_BYTES], plain[SEED_BYTES:]


def read_raw(connection: Connection, keyring: KeyRing, number: int, corp: str) -> bytes:
    """The exact bytes of a record by its row number; raises `KeyUnusable` once its key is gone."""
    row = connection.execute(
        select(
            Record.source,
            Record.source_msg_id,
            Record.suite,
            Record.bucket_id,
            Record.wrapped_key,
            Record.sealed,
        ).where(Record.id == number)
    ).one()
    bucket = keyring.by_id(connection, [row.bucket_id]).get(row.bucket_id)
    if bucket is None:
        raise KeyUnusable
    return unseal(row, bucket, corp)[1]
