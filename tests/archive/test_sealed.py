"""The exact bytes of every message come back, and only as that message."""

from hashlib import sha256

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select, update

from app.archive.append import Prepared
from app.archive.leaf import SEED_BYTES, commitments, field_bytes
from app.archive.models import Record
from app.archive.sealed import about, read_raw, unseal
from app.foundation.keys import INTL, Bucket, BucketKey, KeyUnusable
from tests.archive.conftest import Archive
from tests.archive.samples import envelope, put

SEALING = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
IDS = st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=8)


class Row:
    """The sealed columns of a record."""

    def __init__(self, made: Prepared, bucket: Bucket) -> None:
        self.source, self.source_msg_id = made.envelope.source, made.envelope.source_msg_id
        self.suite = INTL.number
        self.wrapped_key = bucket.wrap(made.key, made.nonce)
        self.sealed = made.sealed


@pytest.fixture
def bucket() -> Bucket:
    secret = b"b" * 32
    return Bucket(1, INTL, secret, INTL.cipher(secret))


@SEALING
@given(raws=st.lists(st.binary(max_size=200), min_size=1, max_size=4))
def test_any_bytes_come_back_exactly(archive: Archive, raws: list[bytes]) -> None:
    names = [sha256(raw).hexdigest() for raw in raws]
    put(archive.door, *(envelope(name, raw=raw) for name, raw in zip(names, raws, strict=True)))
    with archive.db.read() as connection:
        for name, raw in zip(names, raws, strict=True):
            query = select(Record.id).where(Record.source_msg_id == name)
            number = connection.execute(query).scalar_one()
            assert read_raw(connection, archive.keyring, number, "ww1") == raw


@SEALING
@given(corp=IDS, source=IDS, name=IDS, raw=st.binary(max_size=50))
def test_what_is_sealed_opens_with_the_seed_of_its_commitments(
    archive: Archive, bucket: Bucket, corp: str, source: str, name: str, raw: bytes
) -> None:
    message = envelope(corp=corp, source=source, source_msg_id=name, raw=raw)
    made = archive.door.prepare(message)
    seed, plain = unseal(Row(made, bucket), bucket, corp)
    assert plain == raw
    assert len(seed) == SEED_BYTES
    assert made.committed == commitments(INTL, seed, field_bytes(message, made.direction))


def test_the_same_message_never_seals_to_the_same_bytes(archive: Archive) -> None:
    one, two = archive.door.prepare(envelope()), archive.door.prepare(envelope())
    assert one.sealed != two.sealed
    assert one.key != two.key
    assert one.committed != two.committed
    assert one.digest == two.digest
    assert b"text" not in one.sealed


@pytest.mark.parametrize("changed", ["corp", "source", "source_msg_id", "sealed", "wrapped_key"])
def test_a_record_opens_only_as_itself(archive: Archive, bucket: Bucket, changed: str) -> None:
    row, corp = Row(archive.door.prepare(envelope()), bucket), "ww1"
    if changed == "corp":
        corp = "ww2"
    elif changed in ("sealed", "wrapped_key"):
        value = bytearray(getattr(row, changed))
        value[-1] ^= 1
        setattr(row, changed, bytes(value))
    else:
        setattr(row, changed, "other")
    with pytest.raises(KeyUnusable):
        unseal(row, bucket, corp)


@given(one=st.tuples(IDS, IDS, IDS), other=st.tuples(IDS, IDS, IDS))
def test_no_two_messages_are_bound_alike(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    assert (about(*one) == about(*other)) == (one == other)


@pytest.mark.parametrize("is_row_there", [True, False])
def test_without_its_key_a_record_cannot_be_read(archive: Archive, is_row_there: bool) -> None:  # noqa: FBT001
    put(archive.door, envelope())
    with archive.db.write() as connection:
        mine = BucketKey.name.like("conversation|%")
        if is_row_there:
            connection.execute(update(BucketKey).where(mine).values(wrapped=None))
        else:
            connection.execute(delete(BucketKey).where(mine))
    with archive.db.read() as connection:
        number = connection.execute(select(Record.id)).scalar_one()
        with pytest.raises(KeyUnusable):
            read_raw(connection, archive.keyring, number, "ww1")
