"""Large bytes outside the database: written once, found by the SHA-256 of what is stored.

What is stored is always ciphertext, so a name gives nothing away. A name that exists is whole (`files`);
leftovers of a crash carry a `.part` name and are swept when the folder is opened.
"""

import contextlib
import errno
import hashlib
from collections.abc import Iterator
from pathlib import Path

from app.foundation.errors import AppError, Unavailable
from app.foundation.files import make_folder, sync_folder, write_new


class BlobDamaged(AppError):
    """The stored bytes no longer have the digest they are named by."""

    code = "blob_damaged"
    title = "附件内容已损坏"


class BlobMissing(AppError):
    """The bytes are not there although a row names them."""

    code = "blob_missing"
    title = "附件内容缺失"


class BlobStore:
    """Blobs on a local disk, 256 folders wide."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        make_folder(folder)
        for number in range(256):  # all at once, so that no `put` relies on a name not yet durable
            (folder / f"{number:02x}").mkdir(mode=0o700, exist_ok=True)
        sync_folder(folder)
        for leftover in folder.glob("*/.*.part"):
            leftover.unlink(missing_ok=True)

    def put(self, data: bytes) -> str:
        """Keep the bytes durably and give their name; keeping the same bytes again changes nothing.

        Raises `Unavailable` when the disk does not take them.
        """
        name = hashlib.sha256(data).hexdigest()
        try:
            with contextlib.suppress(FileExistsError):
                write_new(self._path(name), data)
        except OSError as error:
            raise Unavailable(_reason(error)) from error
        return name

    def get(self, name: str) -> bytes:
        """The bytes; raises `BlobMissing`, or `BlobDamaged` when they are not what was put."""
        try:
            data = self._path(name).read_bytes()
        except FileNotFoundError:
            raise BlobMissing(name=name) from None
        if hashlib.sha256(data).hexdigest() != name:
            raise BlobDamaged(name=name)
        return data

    def names(self) -> Iterator[str]:
        """Every blob there is, in no order."""
        return (path.name for path in self._folder.glob("*/*") if not path.name.startswith("."))

    def _path(self, name: str) -> Path:
        return self._folder / name[:2] / name


def _reason(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "磁盘已满：请清理空间，无需重启"
    return "附件目录暂不可写"
