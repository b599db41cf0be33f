"""A BagIt 1.0 package (RFC 8493) made from a folder, and its ZIP, the same bytes whenever they are made again."""

import hashlib
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

_BLOCK = 1 << 20
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the date of every entry
_MODE = 0o100644 << 16
STATEMENT = "statement.dsse.json"
MANIFEST = "manifest-sha256.txt"
TAG_MANIFEST = "tagmanifest-sha256.txt"


def files_of(folder: Path) -> Iterator[str]:
    """Every file below a folder by its relative name, sorted by bytes."""
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    yield from sorted(names, key=str.encode)


def digest_of(path: Path) -> str:
    """The SHA-256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def close(folder: Path, info: Mapping[str, str]) -> dict[str, str]:
    """Write the bag's own files beside `data/`; gives the digests that the statement has to sign."""
    payload = [name for name in files_of(folder) if name.startswith("data/")]
    size = sum((folder / name).stat().st_size for name in payload)
    facts = {**info, "Payload-Oxum": f"{size}.{len(payload)}"}
    _write(folder / "bagit.txt", "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n")
    _write(folder / "bag-info.txt", "".join(f"{name}: {facts[name]}\n" for name in sorted(facts)))
    _write(folder / MANIFEST, _lines(folder, payload))
    return {name: digest_of(folder / name) for name in ("bag-info.txt", "bagit.txt", MANIFEST)}


def seal(folder: Path, statement: str) -> None:
    """Add the signed statement and the manifest of the bag's own files."""
    _write(folder / STATEMENT, statement)
    tags = [
        name for name in files_of(folder) if not name.startswith("data/") and name != TAG_MANIFEST
    ]
    _write(folder / TAG_MANIFEST, _lines(folder, tags))


def pack(folder: Path, target: Path) -> None:
    """Put the folder into one ZIP: sorted names, one date, one mode."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in files_of(folder):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = _MODE
            entry.create_system = 3  # Unix
            size = (folder / name).stat().st_size
            with (
                (folder / name).open("rb") as source,
                archive.open(entry, "w", force_zip64=size >= 1 << 31) as sink,
            ):
                shutil.copyfileobj(source, sink, _BLOCK)


def _lines(folder: Path, names: list[str]) -> str:
    return "".join(f"{digest_of(folder / name)}  {_escaped(name)}\n" for name in names)


def _escaped(name: str) -> str:
    return name.replace("%", "%25").replace("\n", "%0A").replace("\r", "%0D")


def _write(path: Path, text: str) -> None:
    path.write_bytes(text.encode())
