"""Re-derives both logs' trees from their leaves and reports every tile and every signed head that differs."""

from collections.abc import Iterator

from sqlalchemy import Connection, select

from app.evidence import logs, merkle, note
from app.evidence.logs import AUDIT
from app.evidence.models import LogTile
from app.evidence.signer import Signer
from app.evidence.tiles import WIDTH
from app.foundation import followers
from app.foundation.database import Database
from app.foundation.errors import AppError

BATCH = 5_000


class Tree:
    """A tree growing in memory: per level the hashes of the tile under way."""

    def __init__(self) -> None:
        self.size = 0
        self.levels: list[list[bytes]] = [[]]
        self.numbers: list[int] = [0]

    def add(self, leaf: bytes) -> Iterator[tuple[int, int, bytes]]:
        """Add a leaf hash; yields the tiles that became full: level, number, hashes."""
        self.size += 1
        level, hashed = 0, leaf
        while True:
            if level == len(self.levels):
                self.levels.append([])
                self.numbers.append(0)
            row = self.levels[level]
            row.append(hashed)
            if len(row) < WIDTH:
                return
            yield level, self.numbers[level], b"".join(row)
            hashed = _fold(row)
            self.levels[level] = []
            self.numbers[level] += 1
            level += 1

    def partial(self) -> Iterator[tuple[int, int, bytes]]:
        """The tiles that are not full."""
        for level, row in enumerate(self.levels):
            if row:
                yield level, self.numbers[level], b"".join(row)

    def root(self) -> bytes:
        """The root over all leaves so far."""
        whole: list[bytes] = []  # complete subtrees, largest first
        for row in reversed(self.levels):
            start = 0
            while start < len(row):
                width = 1 << (len(row) - start).bit_length() - 1
                whole.append(_fold(row[start : start + width]))
                start += width
        if not whole:
            return merkle.EMPTY
        found = whole.pop()
        while whole:
            found = merkle.hash_node(whole.pop(), found)
        return found


def check(db: Database, signer: Signer, origin: str) -> list[str]:
    """What differs, in words; empty when all leaves, tiles, heads and signatures agree."""
    with db.read() as connection:
        found = []
        for log_id, name in logs.origins(connection, origin).items():
            found += [f"{name}：{what}" for what in _check_log(connection, log_id, name, signer)]
    return found


def _check_log(connection: Connection, log_id: int, name: str, signer: Signer) -> Iterator[str]:
    follower = "seal_audit" if log_id == AUDIT else "seal"
    size = followers.position(connection, follower, log_id)
    heads = {each.size: each for each in logs.checkpoints(connection, log_id)}
    signed = signer.head(name)
    end = logs.end(connection, log_id)
    if signed is not None and signed.size > end:
        yield f"已签名到 {signed.size}，日志只有 {end} 条：尾部被截断"
    tree, after = Tree(), 0
    while after < size:
        to = min(size, after + BATCH)
        try:
            hashes = logs.leaf_hashes(connection, log_id, after, to)
        except AppError as error:
            yield f"{after + 1} 至 {to}：{error}"
            return
        for hashed in hashes:
            for tile in tree.add(hashed):
                yield from _check_tile(connection, log_id, *tile)
            if head := heads.pop(tree.size, None):
                yield from _check_head(head, tree, name, signer)
            if signed is not None and signed.size == tree.size and signed.root != tree.root():
                yield f"前 {signed.size} 条与签名程序记下的根不同"
        after = to
    for tile in tree.partial():
        yield from _check_tile(connection, log_id, *tile)
    for beyond in heads:
        yield f"检查点 {beyond} 超出了已封存的 {size} 条"


def _check_head(head: logs.Sealed, tree: Tree, name: str, signer: Signer) -> Iterator[str]:
    root = tree.root()
    try:
        told = note.parse(note.open_note(head.note, name, signer.public))
    except note.BadNote as error:
        yield f"检查点 {head.size} 的签名无效（{error}）"
        return
    if (told.origin, told.size, told.root) != (name, head.size, head.root) or root != head.root:
        yield f"检查点 {head.size} 的根与叶子不符"


def _check_tile(
    connection: Connection, log_id: int, level: int, number: int, hashes: bytes
) -> Iterator[str]:
    query = select(LogTile.hashes).where(
        LogTile.log_id == log_id, LogTile.level == level, LogTile.number == number
    )
    kept = connection.execute(query).scalar() or b""
    if kept != hashes:
        yield f"散列块 {level}/{number} 与叶子不符"


def _fold(row: list[bytes]) -> bytes:
    level = row
    while len(level) > 1:
        level = [
            merkle.hash_node(level[place], level[place + 1]) for place in range(0, len(level), 2)
        ]
    return level[0]


__all__ = ["Tree", "check"]
