"""Keys: what is sealed opens again with exactly its key and its occasion, and never otherwise."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from app.foundation import keys
from app.foundation.database import Database
from app.foundation.keys import (
    INTL,
    NONCE_BYTES,
    Bucket,
    BucketKey,
    KeyRing,
    KeyUnusable,
    RootKeyMissing,
    load_root,
    open_sealed,
    seal,
)

Together = Callable[[int, Callable[[int], Any]], list[Any]]
ROOT_KEY = bytes(range(32))
secrets = st.binary(min_size=32, max_size=32)
nonces = st.binary(min_size=NONCE_BYTES, max_size=NONCE_BYTES)
words = st.binary(max_size=200)


def bucket(secret: bytes) -> Bucket:
    return Bucket(1, INTL, secret, INTL.cipher(secret))


def other(data: bytes, place: int) -> bytes:
    """The bytes with one bit turned."""
    place %= len(data) * 8
    turned = data[place // 8] ^ (1 << place % 8)
    return data[: place // 8] + bytes([turned]) + data[place // 8 + 1 :]


def opened(db: Database, ring: KeyRing, *names: str) -> dict[str, Bucket]:
    with db.write() as connection:
        return ring.buckets(connection, names)


def numbers(db: Database) -> dict[str, int]:
    with db.read() as connection:
        rows = connection.execute(select(BucketKey.name, BucketKey.id))
        return {name: number for name, number in rows}  # noqa: C416  (rows, not pairs)


# --- sealing


@given(secrets, words, words)
def test_what_is_sealed_opens_again(key: bytes, plain: bytes, about: bytes) -> None:
    sealed = seal(INTL, key, plain, about)
    assert open_sealed(INTL, key, sealed, about) == plain
    assert len(sealed) == len(plain) + 16


@given(secrets, words, words, st.integers(min_value=0))
def test_one_turned_bit_closes_it(key: bytes, plain: bytes, about: bytes, place: int) -> None:
    sealed = seal(INTL, key, plain, about)
    with pytest.raises(KeyUnusable):
        open_sealed(INTL, key, other(sealed, place), about)
    with pytest.raises(KeyUnusable):
        open_sealed(INTL, other(key, place), sealed, about)


@given(secrets, words, words, words)
def test_another_occasion_closes_it(key: bytes, plain: bytes, about: bytes, wrong: bytes) -> None:
    sealed = seal(INTL, key, plain, about)
    if wrong != about:
        with pytest.raises(KeyUnusable):
            open_sealed(INTL, key, sealed, wrong)


@given(secrets, secrets, nonces, st.integers(min_value=0))
def test_a_wrapped_key_comes_back_and_a_turned_bit_closes_it(
    secret: bytes, key: bytes, nonce: bytes, place: int
) -> None:
    wrapped = bucket(secret).wrap(key, nonce)
    assert len(wrapped) == 60
    assert bucket(secret).unwrap(wrapped) == key
    with pytest.raises(KeyUnusable):
        bucket(secret).unwrap(other(wrapped, place))
    with pytest.raises(KeyUnusable):
        bucket(other(secret, place)).unwrap(wrapped)


@given(secrets, st.binary(max_size=59))
def test_bytes_cut_short_are_no_key(secret: bytes, wrapped: bytes) -> None:
    with pytest.raises(KeyUnusable):
        bucket(secret).unwrap(wrapped)
    with pytest.raises(KeyUnusable):
        open_sealed(INTL, secret, wrapped[:15], b"")


def test_a_bucket_does_not_show_its_secret() -> None:
    assert "secret" not in repr(bucket(b"secret" * 5 + b"xx"))


# --- the ring


def test_a_bucket_is_made_once_and_found_by_any_ring_with_the_root(db: Database) -> None:
    made = opened(db, KeyRing(ROOT_KEY), "a", "b")
    ring = KeyRing(ROOT_KEY)
    found = opened(db, ring, "a", "b", "c")
    again = opened(db, ring, "a", "b", "c")
    assert {name: found[name].secret for name in made} == {n: b.secret for n, b in made.items()}
    assert {name: each.secret for name, each in again.items()} == {
        name: each.secret for name, each in found.items()
    }
    assert {name: each.id for name, each in found.items()} == numbers(db)
    assert len({each.secret for each in found.values()}) == 3
    assert opened(db, ring) == {}


def test_buckets_asked_for_at_once_are_made_once(db: Database, at_once: Together) -> None:
    rings = [KeyRing(ROOT_KEY) for _ in range(4)]
    names = [f"{n % 7}" for n in range(40)]

    def ask(number: int) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for start in range(0, 40, 5):
            each = opened(db, rings[number % 4], *names[start : start + 5])
            found |= {name: bucket.secret for name, bucket in each.items()}
        return found

    answers = at_once(8, ask)
    assert all(answer == answers[0] for answer in answers)
    assert sorted(numbers(db).values()) == list(range(1, 8))


def test_a_failed_transaction_leaves_nothing_remembered(db: Database) -> None:
    ring = KeyRing(ROOT_KEY)

    def make_and_fail() -> None:
        with db.write() as connection:
            first = ring.buckets(connection, ["a"])["a"]
            again = ring.buckets(connection, ["a"])["a"]  # found among the uncommitted rows
            assert first.secret == again.secret
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        make_and_fail()
    opened(db, KeyRing(ROOT_KEY), "b")  # takes the number the failed one had
    assert opened(db, ring, "a")["a"].id == numbers(db)["a"]
    assert sorted(numbers(db).values()) == [1, 2]
    with db.read() as connection:
        stored = ring.by_id(connection, [2])[2]
    assert stored.secret == opened(db, ring, "a")["a"].secret


def test_the_ring_forgets_the_oldest_and_finds_it_again(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "_CACHED", 2)
    ring = KeyRing(ROOT_KEY)
    made = opened(db, ring, "a", "b", "c", "d")
    assert len(ring._open) == 2
    assert {n: b.secret for n, b in opened(db, ring, *"abcd").items()} == {
        name: each.secret for name, each in made.items()
    }


def test_another_root_opens_nothing(db: Database) -> None:
    opened(db, KeyRing(ROOT_KEY), "a")
    ring = KeyRing(bytes(32))
    with pytest.raises(KeyUnusable):
        opened(db, ring, "a")
    with db.read() as connection, pytest.raises(KeyUnusable):
        ring.by_id(connection, [1])


def test_a_wrapped_bucket_key_moved_to_another_name_opens_nothing(db: Database) -> None:
    opened(db, KeyRing(ROOT_KEY), "a")
    with db.write() as connection:
        connection.execute(update(BucketKey).values(name="b"))
    with pytest.raises(KeyUnusable):
        opened(db, KeyRing(ROOT_KEY), "b")


def test_a_suite_this_program_lacks_is_said(db: Database) -> None:
    opened(db, KeyRing(ROOT_KEY), "a")
    with db.write() as connection:
        connection.execute(update(BucketKey).values(suite=99))
    with pytest.raises(KeyUnusable, match="99"):
        opened(db, KeyRing(ROOT_KEY), "a")


def test_a_destroyed_bucket_is_unusable_by_name_and_absent_by_number(db: Database) -> None:
    opened(db, KeyRing(ROOT_KEY), "a", "b")
    with db.write() as connection:
        connection.execute(update(BucketKey).where(BucketKey.name == "a").values(wrapped=None))
    ring = KeyRing(ROOT_KEY)
    with pytest.raises(KeyUnusable):
        opened(db, ring, "a")
    with db.read() as connection:
        assert set(ring.by_id(connection, [1, 2, 3])) == {numbers(db)["b"]}


# --- the root


def test_the_root_is_made_once_for_its_owner_alone(empty_root: Path, db: Database) -> None:
    with db.read() as connection:
        made = load_root(empty_root, connection)
        assert load_root(empty_root, connection) == made
    assert len(made) == 32
    assert empty_root.stat().st_mode & 0o777 == 0o600
    assert empty_root.parent.stat().st_mode & 0o777 == 0o700


@pytest.fixture
def empty_root(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "root.key"


def test_a_missing_root_is_refused_once_keys_exist(empty_root: Path, db: Database) -> None:
    opened(db, KeyRing(ROOT_KEY), "a")
    with db.read() as connection, pytest.raises(RootKeyMissing, match=str(empty_root)):
        load_root(empty_root, connection)
    assert not empty_root.exists()


@pytest.mark.parametrize("content", [b"", b"00" * 31, b"00" * 33, b"zz" * 32, b"\xff" * 64])
def test_a_file_that_is_no_root_is_refused_and_left(
    empty_root: Path, db: Database, content: bytes
) -> None:
    empty_root.parent.mkdir()
    empty_root.write_bytes(content)
    with db.read() as connection, pytest.raises(RootKeyMissing, match="64"):
        load_root(empty_root, connection)
    assert empty_root.read_bytes() == content


def test_a_root_that_cannot_be_read_is_said(empty_root: Path, db: Database) -> None:
    empty_root.mkdir(parents=True)
    with db.read() as connection, pytest.raises(RootKeyMissing, match="无法读取"):
        load_root(empty_root, connection)


def test_the_root_key_of_another_database_is_refused_at_once(db: Database) -> None:
    with db.write() as connection:
        KeyRing(bytes(32)).buckets(connection, ["one"])
    with db.read() as connection:
        KeyRing(bytes(32)).check(connection)
        with pytest.raises(RootKeyMissing):
            KeyRing(bytes(31) + b"x").check(connection)
