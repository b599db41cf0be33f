"""The proofs of a package: one bundle for all its leaves, and bridges from older heads."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection

from app.evidence import logs, merkle, tiles
from app.foundation.files import make_folder

_NEWEST = 100  # of the older checkpoints are always bridged; of the others the last of each day


def write_inclusion(
    connection: Connection, log_id: int, indexes: Iterator[int], size: int, target: Path
) -> None:
    """Write the hashes that, with the leaves themselves, give the root."""
    make_folder(target.parent)
    node = tiles.Reader(connection, log_id).node
    with target.open("wb") as file:
        for each in merkle.bundle(node, indexes, size):
            file.write(each)


def bridges(connection: Connection, log_id: int, size: int) -> Iterator[str]:
    """Consistency proofs from older signed heads to `size`, one JSON object each."""
    older = [each for each in logs.checkpoints(connection, log_id) if each.size < size]
    last_of_day = {f"{each.signed_at:%Y-%m-%d}": each.size for each in older}
    sizes = {*last_of_day.values(), *(each.size for each in older[-_NEWEST:])}
    node = tiles.Reader(connection, log_id).node
    for old in sorted(sizes):
        path = [_b64(each) for each in merkle.consistency(node, old, size)]
        yield json.dumps({"old": old, "size": size, "path": path})


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
