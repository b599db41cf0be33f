"""Files that are there whole or not at all, whatever kills the process or the machine in between."""

import contextlib
import os
import secrets
from pathlib import Path


def write_new(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Create `path` with exactly `data`, durably; FileExistsError when it is already there, durably too.

    Each step prevents one loss: writing aside, a half file under the real name; fsync before the link, a
    real name over unwritten bytes; link instead of rename, overwriting; fsync of the folder, a file that
    vanishes with the machine. (The order is that of Tessera's POSIX storage.)
    """
    make_folder(path.parent)
    aside = path.parent / f".{path.name}.{secrets.token_hex(8)}.part"
    try:
        _write_synced(aside, data, mode)
        os.link(aside, path)
    finally:
        aside.unlink(missing_ok=True)
        sync_folder(path.parent)  # also of a name that another writer has linked but not yet synced


def make_folder(folder: Path) -> None:
    """Create a folder and its parents so that their names survive a power cut."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_synced(path: Path, data: bytes, mode: int) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Put `data` in the place of whatever `path` holds, durably: at any moment one of the two is there whole."""
    make_folder(path.parent)
    aside = path.parent / f".{path.name}.{secrets.token_hex(8)}.part"
    try:
        _write_synced(aside, data, mode)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
        sync_folder(path.parent)
