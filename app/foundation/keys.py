"""Envelope encryption: root key (a file outside the data folder) → bucket key (a row) → message key.

A bucket groups what is disposed of together (conversation, month, retention class): destroying its row makes
everything under it unreadable (evidence research 1.5). Every message has a key of its own, used once. What
an algorithm is called and does stands in a `Suite`; rows carry the suite's number, so that suites can live
side by side.
"""

import hashlib
import hmac
import os
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, Integer, LargeBinary, String, cast, exists, select, update
from sqlalchemy.orm import Mapped, mapped_column

from app.foundation import clock
from app.foundation.database import (
    Base,
    BigKey,
    UtcDateTime,
    after_commit,
    bulk_insert,
    chunks,
    exclusive,
    next_id,
    select_in,
)
from app.foundation.errors import AppError
from app.foundation.files import write_new

ROOT_BYTES = 32
NONCE_BYTES = 12
_ONCE = bytes(NONCE_BYTES)  # a key that seals one message needs no varying nonce
_CACHED = 50_000  # open bucket keys held in memory
_DESTROYED = "destroyed"
_LOOKUP = 500  # numbers in one statement
_NEW_KEY_TYPES = {
    "id": "int8",
    "name": "text",
    "suite": "int4",
    "wrapped": "bytea",
    "created_at": "int8",
}


class KeyUnusable(AppError):
    """A key is missing, destroyed or not the one that sealed this."""

    code = "key_unusable"
    title = "密钥不可用，内容无法解密"
    status = 410


class KeyHeld(AppError):
    """A key to be destroyed is under a hold."""

    code = "key_held"
    title = "密钥受保全，不能销毁"
    status = 409


class RootKeyMissing(AppError):
    """The root key file is not there although keys were made with it."""

    code = "root_key_missing"
    title = "找不到根密钥文件"
    status = 503


class Cipher(Protocol):
    """An AEAD opened with its key."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes: ...  # noqa: D102
    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Suite:
    """One set of algorithms. `commit(salt, data)` is a keyed 32-byte digest, `digest` a plain one."""

    number: int
    name: str
    key_bytes: int
    cipher: Callable[[bytes], Cipher]
    commit: Callable[[bytes, bytes], bytes]
    digest: Callable[[bytes], bytes]


def _hmac_sha256(salt: bytes, data: bytes) -> bytes:
    return hmac.digest(salt, data, "sha256")


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


INTL = Suite(1, "intl", 32, AESGCM, _hmac_sha256, _sha256)
SUITES = {suite.number: suite for suite in (INTL,)}
SUITES_BY_NAME = {suite.name: suite for suite in SUITES.values()}


class BucketKey(Base):
    """A key that others are wrapped with, itself wrapped with the root key; `wrapped` is NULL once destroyed."""

    __tablename__ = "bucket_keys"
    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    name: Mapped[str] = mapped_column(String(700), unique=True)
    suite: Mapped[int] = mapped_column(Integer)
    wrapped: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    destroyed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class KeyHold(Base):
    """A key that may not be destroyed, and who says so; the database itself refuses, too."""

    __tablename__ = "key_holds"
    bucket_id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    hold: Mapped[str] = mapped_column(String(40), primary_key=True)


@dataclass(frozen=True, slots=True)
class Bucket:
    """An open bucket key: wraps and unwraps message keys."""

    id: int
    suite: Suite
    secret: bytes = field(repr=False)
    cipher: Cipher = field(repr=False)

    def wrap(self, key: bytes, nonce: bytes) -> bytes:
        """`nonce` (12 random bytes) followed by the sealed key; 60 bytes in suite `intl`."""
        return nonce + self.cipher.encrypt(nonce, key, None)

    def unwrap(self, wrapped: bytes) -> bytes:
        """Open what `wrap` made; raises `KeyUnusable`."""
        return _decrypt(self.cipher, wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], None)


def seal(suite: Suite, key: bytes, plain: bytes, about: bytes) -> bytes:
    """Encrypt with a key that is used this once; `about` is bound to the result."""
    return suite.cipher(key).encrypt(_ONCE, plain, about)


def open_sealed(suite: Suite, key: bytes, sealed: bytes, about: bytes) -> bytes:
    """Undo `seal`; raises `KeyUnusable` when key, bytes or `about` differ."""
    return _decrypt(suite.cipher(key), _ONCE, sealed, about)


def _decrypt(cipher: Cipher, nonce: bytes, data: bytes, about: bytes | None) -> bytes:
    try:
        return cipher.decrypt(nonce, data, about)
    except (InvalidTag, ValueError):  # ValueError: cut so short that even the nonce is missing
        raise KeyUnusable from None


class KeyRing:
    """Bucket keys by name or number, made on first use, kept open in memory within bounds."""

    def __init__(self, root: bytes, suite: Suite = INTL) -> None:
        self.suite = suite
        self._root = suite.cipher(root)
        self._open: OrderedDict[str, Bucket] = OrderedDict()

    def buckets(self, connection: Connection, names: Iterable[str]) -> dict[str, Bucket]:
        """Open the named buckets, making those that are new in the caller's writing transaction.

        Raises `KeyUnusable` when one has been destroyed.
        """
        wanted = set(names)
        found = {name: bucket for name in wanted if (bucket := self._open.get(name))}
        found = self._living(connection, found)
        missing = sorted(wanted - found.keys())
        if not missing:
            return found
        loaded = self._load(connection, missing)
        fresh = [name for name in missing if name not in loaded]
        opened = loaded | self._make(connection, fresh)
        after_commit(connection, lambda: self._remember(opened))  # a failed one leaves nothing
        return found | opened

    def destroy(self, connection: Connection, ids: Iterable[int]) -> None:
        """Destroy keys in the caller's transaction, for good; raises `KeyHeld` and destroys none when one is held.

        Their names become free: whatever comes late for one of them gets a new key.
        """
        wanted = sorted(set(ids))
        for part in chunks(wanted, _LOOKUP):
            held = select(KeyHold.bucket_id).where(KeyHold.bucket_id.in_(part)).limit(1)
            if connection.execute(held).first() is not None:
                raise KeyHeld
            name = BucketKey.name + f"|{_DESTROYED}|" + cast(BucketKey.id, String)
            connection.execute(
                update(BucketKey)
                .where(BucketKey.id.in_(part), BucketKey.wrapped.is_not(None))
                .values(wrapped=None, destroyed_at=clock.now(), name=name)
            )
        gone = frozenset(wanted)
        after_commit(connection, lambda: self._forget(gone))

    def _living(self, connection: Connection, found: dict[str, Bucket]) -> dict[str, Bucket]:
        """Those not destroyed by another process; on SQLite there is none."""
        if connection.dialect.name == "sqlite" or not found:
            return found
        query = "SELECT id FROM bucket_keys WHERE wrapped IS NULL AND id IN"
        rows = select_in(connection, query, [bucket.id for bucket in found.values()])
        gone = frozenset(row[0] for row in rows)
        if gone:
            self._forget(gone)
        return {name: bucket for name, bucket in found.items() if bucket.id not in gone}

    def _forget(self, ids: frozenset[int]) -> None:
        for name in [name for name, bucket in self._open.items() if bucket.id in ids]:
            del self._open[name]

    def check(self, connection: Connection) -> None:
        """Raise `RootKeyMissing` when the keys of this database were wrapped with another root key."""
        query = select(BucketKey).where(BucketKey.wrapped.is_not(None))
        row = connection.execute(query.order_by(BucketKey.id.desc()).limit(1)).one_or_none()
        if row is None:
            return
        try:
            self._unwrap(row.id, row.name, row.suite, row.wrapped)
        except KeyUnusable:
            raise RootKeyMissing("根密钥文件不是这个数据库的；请换回与它一同备份的那一个") from None

    def by_id(self, connection: Connection, ids: Iterable[int]) -> dict[int, Bucket]:
        """Open buckets by number; those destroyed or unknown are left out."""
        opened: dict[int, Bucket] = {}
        for part in chunks(sorted(set(ids)), _LOOKUP):
            rows = connection.execute(
                select(BucketKey).where(BucketKey.id.in_(part), BucketKey.wrapped.is_not(None))
            )
            opened |= {
                row.id: self._unwrap(row.id, row.name, row.suite, row.wrapped) for row in rows
            }
        return opened

    def _load(self, connection: Connection, names: list[str]) -> dict[str, Bucket]:
        query = "SELECT name, id, suite, wrapped FROM bucket_keys WHERE name IN"
        loaded: dict[str, Bucket] = {}
        for name, number, suite, wrapped in select_in(connection, query, names):
            if wrapped is None:
                raise KeyUnusable(f"密钥 {number} 已销毁")
            loaded[name] = self._unwrap(number, name, suite, bytes(wrapped))
        return loaded

    def _make(self, connection: Connection, names: list[str]) -> dict[str, Bucket]:
        """New keys, numbered here because their makers take turns."""
        if not names:
            return {}
        exclusive(connection, "keys")
        known = self._load(connection, names)  # another process may have been first
        fresh = [name for name in names if name not in known]
        first, now = next_id(connection, "bucket_keys"), clock.now_ms()
        made, rows = known, []
        for number, name in enumerate(fresh, first):
            key = os.urandom(self.suite.key_bytes)
            rows.append((number, name, self.suite.number, self._wrap(name, key), now))
            made[name] = Bucket(number, self.suite, key, self.suite.cipher(key))
        bulk_insert(connection, "bucket_keys", _NEW_KEY_TYPES, rows)
        return made

    def _wrap(self, name: str, key: bytes) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._root.encrypt(nonce, key, name.encode())

    def _unwrap(self, number: int, name: str, suite: int, wrapped: bytes) -> Bucket:
        known = SUITES.get(suite)
        if known is None:
            raise KeyUnusable(f"密钥 {number} 的密码套件 {suite} 本程序不支持")
        secret = _decrypt(self._root, wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], name.encode())
        return Bucket(number, known, secret, known.cipher(secret))

    def _remember(self, loaded: dict[str, Bucket]) -> None:
        self._open.update(loaded)
        while len(self._open) > _CACHED:
            self._open.popitem(last=False)


def load_root(path: Path, connection: Connection) -> bytes:
    """Read the root key, or make it when nothing was ever sealed; raises `RootKeyMissing` otherwise."""
    if path.exists():
        return _read_root(path)
    if connection.execute(select(exists().select_from(BucketKey))).scalar():
        raise RootKeyMissing(f"请把根密钥文件放回 {path}；没有它，已存档的内容无法解密")
    write_new(path, os.urandom(ROOT_BYTES).hex().encode() + b"\n")
    return _read_root(path)


def _read_root(path: Path) -> bytes:
    try:
        root = bytes.fromhex(path.read_text().strip())
    except OSError as error:
        raise RootKeyMissing(f"无法读取 {path}：{error.strerror}") from error
    except ValueError:
        root = b""
    if len(root) != ROOT_BYTES:
        raise RootKeyMissing(f"{path} 不是根密钥文件：应为 64 个十六进制字符")
    return root
