"""A log's tree in the database, in C2SP tiles: 256 hashes of one level a row, 32.1 bytes a leaf.

Tiles grow in the transaction that moves the follower's cursor, so the tree always is as large as the cursor says.
"""

import re
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, delete, select

from app.evidence import merkle
from app.evidence.merkle import HASH_BYTES
from app.evidence.models import LogTile
from app.foundation.database import upsert
from app.foundation.errors import BadInput, NotFound

WIDTH_BITS = 8
WIDTH = 1 << WIDTH_BITS  # hashes in a full tile
_CACHED = 1_024  # tiles; 8 MB
_HIGHEST = 7  # level of tiles; 256^8 leaves are more than there can be
_NAME = re.compile(r"((?:x\d{3}/)*)(\d{3})(?:\.p/([1-9]\d{0,2}))?")


class TileMissing(NotFound):
    """The tree is not that large, or its tiles are damaged."""

    code = "tile_missing"
    title = "没有这一块散列"


class BadTileName(BadInput):
    """Not a tile's name by the C2SP layout."""

    code = "bad_tile_name"
    title = "散列块的名称有误"


class Place(NamedTuple):
    """A tile's number and, when it is not full, how many hashes are wanted of it."""

    number: int
    width: int


class Reader:
    """The tree of one log as the connection sees it; holds what it has read."""

    def __init__(self, connection: Connection, log_id: int) -> None:
        self._connection, self._log_id = connection, log_id
        self._held: OrderedDict[tuple[int, int], bytes] = OrderedDict()

    def node(self, level: int, index: int) -> bytes:
        """The hash over a complete subtree; raises `TileMissing`."""
        row, inner = divmod(level, WIDTH_BITS)
        first = index << inner
        start = (first & (WIDTH - 1)) * HASH_BYTES
        part = self.tile(row, first >> WIDTH_BITS)[start : start + (HASH_BYTES << inner)]
        if len(part) != HASH_BYTES << inner:
            raise TileMissing
        return _fold(part)

    def tile(self, level: int, number: int) -> bytes:
        """The hashes of a tile, one after the other; raises `TileMissing`."""
        place = level, number
        held = self._held.get(place)
        if held is None:
            held = _load(self._connection, self._log_id, level, number)
            if not held:
                raise TileMissing
            self._held[place] = held
            if len(self._held) > _CACHED:
                self._held.popitem(last=False)
        return held


def append(connection: Connection, log_id: int, size: int, hashes: Sequence[bytes]) -> None:
    """Add leaf hashes to a tree of `size`."""
    rows, level, place, fresh = [], 0, size, b"".join(hashes)
    while fresh:
        number, width = divmod(place, WIDTH)
        begun = _load(connection, log_id, level, number)[: width * HASH_BYTES] if width else b""
        if len(begun) != width * HASH_BYTES:
            raise TileMissing("树的散列块缺失：请运行 liuhen rebuild seal")
        data = begun + fresh
        whole = []
        for start in range(0, len(data), WIDTH * HASH_BYTES):
            part = data[start : start + WIDTH * HASH_BYTES]
            rows.append({"log_id": log_id, "level": level, "number": number, "hashes": part})
            number += 1
            if len(part) == WIDTH * HASH_BYTES:
                whole.append(_fold(part))
        level, place, fresh = level + 1, place >> WIDTH_BITS, b"".join(whole)
    upsert(connection, LogTile, rows, ["log_id", "level", "number"])


def forget(connection: Connection, log_id: int) -> None:
    """Remove a log's tree; it can be made again from the leaves."""
    connection.execute(delete(LogTile).where(LogTile.log_id == log_id))


def parse_name(name: str) -> Place:
    """Read `x001/x234/067` or `000.p/17`; raises `BadTileName`."""
    found = _NAME.fullmatch(name)
    if not found:
        raise BadTileName("例如 x001/067 或 000.p/17")
    groups = [*found[1].replace("x", "").split("/")[:-1], found[2]]
    width = int(found[3] or WIDTH)
    if width > WIDTH or (len(groups) > 1 and groups[0] == "000"):
        raise BadTileName("例如 x001/067 或 000.p/17")
    return Place(int("".join(groups)), width)


def read_named(connection: Connection, log_id: int, level: int, name: str) -> bytes:
    """The hashes of a tile by its C2SP name; raises `BadTileName`, `TileMissing`."""
    place = parse_name(name)
    if level > _HIGHEST or place.number >> 48:
        raise TileMissing
    data = _load(connection, log_id, level, place.number)[: place.width * HASH_BYTES]
    if len(data) != place.width * HASH_BYTES:
        raise TileMissing
    return data


def _load(connection: Connection, log_id: int, level: int, number: int) -> bytes:
    query = select(LogTile.hashes).where(
        LogTile.log_id == log_id, LogTile.level == level, LogTile.number == number
    )
    return connection.execute(query).scalar() or b""


def _fold(data: bytes) -> bytes:
    """The root over a power of two of hashes."""
    level = [data[start : start + HASH_BYTES] for start in range(0, len(data), HASH_BYTES)]
    while len(level) > 1:
        level = [
            merkle.hash_node(left, right)
            for left, right in zip(level[::2], level[1::2], strict=True)
        ]
    return level[0]
