"""A version's files as one value: read, checked, packed for the database, compiled.

The version is the same digest that `Lexicon.load` takes of a folder, so a version has one name wherever it is read.
Compiling takes seconds and is remembered a process; only one compilation runs at a time.
"""

import dataclasses
import gc
import hashlib
import json
import re
import sys
import tempfile
import threading
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

from app.foundation.errors import BadInput, TooLarge
from app.screening.domain import LexiconError
from app.screening.lexicon import Lexicon

Files: TypeAlias = Mapping[str, str]  # text by relative path
SHARED = ("concepts.toml", "speech.toml", "evasion.toml")
MOST_FILES = 200
MOST_BYTES = 32 * 1024 * 1024
KEPT = 3  # compiled lexicons remembered
_PATH = re.compile(r"(?:categories/)?[a-z0-9_]{1,64}\.toml")
_TURN = 0.0005  # seconds that compiling goes on before another thread's turn
_compiling = threading.Lock()


class BadPath(BadInput):
    """A file that no word list can be."""

    code = "lexicon_bad_path"
    title = "词库文件名不符合要求"


def read_folder(folder: Path) -> Files:
    """The word lists in a folder; raises `LexiconError` for a file that is no UTF-8."""
    paths = [*folder.glob("*.toml"), *folder.glob("categories/*.toml")]
    if not paths:
        raise LexiconError(folder.name, 1, "目录里没有词库文件（*.toml）")
    return checked({path.relative_to(folder).as_posix(): _read(path, folder) for path in paths})


def checked(files: Files) -> dict[str, str]:
    """The files in their order, names and size held to what a version may be."""
    if len(files) > MOST_FILES:
        raise TooLarge(f"一个版本最多 {MOST_FILES} 个文件")
    for path, text in files.items():
        if not _PATH.fullmatch(path):
            raise BadPath(
                f"「{path[:80]}」：只能是 xxx.toml 或 categories/xxx.toml，小写字母、数字与下划线"
            )
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise LexiconError(path, 1, "含有不成对的代理字符，请重新录入")
    if sum(len(text.encode()) for text in files.values()) > MOST_BYTES:
        raise TooLarge(f"一个版本最多 {MOST_BYTES // 1024 // 1024} MB")
    return {path: files[path] for path in sorted(files, key=_place)}


def changed(base: Files, changes: Mapping[str, str | None]) -> dict[str, str]:
    """The base with some files replaced, added, or (None) removed."""
    merged = {**base, **changes}
    return checked({path: text for path, text in merged.items() if text is not None})


def version_of(files: Files) -> str:
    """The name of a version: 16 hexadecimal digits of its digest."""
    digest = hashlib.sha256()
    for path in sorted(files, key=_place):
        digest.update(path.encode() + b"\0" + files[path].encode() + b"\0")
    return digest.hexdigest()[:16]


def pack(files: Files) -> bytes:
    """All files as one compressed value."""
    return zlib.compress(json.dumps(dict(files), ensure_ascii=False, sort_keys=True).encode())


def unpack(packed: bytes) -> dict[str, str]:
    """The files of a packed version, in their order."""
    return checked(json.loads(zlib.decompress(packed)))


def compiled(version: str, packed: bytes) -> Lexicon:
    """The lexicon of a version; raises `LexiconError` with file and line."""
    with _compiling:
        return _compiled(version, packed)


@contextmanager
def _giving_way() -> Iterator[None]:
    """Let other threads of the process go first while this one works for long.

    Collecting garbage in a large lexicon would stop them all for a tenth of a second, now and whenever it is due later:
    it waits, and what is there afterwards is left out of it. A lexicon is no garbage until nothing refers to it.
    """
    usual = sys.getswitchinterval()
    collecting = gc.isenabled()
    sys.setswitchinterval(_TURN)
    gc.disable()
    try:
        yield
    finally:
        sys.setswitchinterval(usual)
        if collecting:
            gc.freeze()
            gc.enable()


@lru_cache(maxsize=KEPT)
def _compiled(version: str, packed: bytes) -> Lexicon:
    with _giving_way(), tempfile.TemporaryDirectory(prefix="liuhen-lexicon-") as name:
        folder = Path(name)
        (folder / "categories").mkdir()
        for path, text in unpack(packed).items():
            (folder / path).write_bytes(text.encode())
        return dataclasses.replace(_loaded(folder), version=version)


def _loaded(folder: Path) -> Lexicon:
    try:
        return Lexicon.load(folder)
    except LexiconError:
        raise
    except Exception as error:  # a value of a kind that nobody expects there
        what = f"读不出来（{type(error).__name__}）：请对照说明检查每一项的写法"
        raise LexiconError("词库", 1, what) from error


def _place(path: str) -> tuple[bool, int, str]:
    """The order in which `Lexicon.load` reads."""
    return path not in SHARED, SHARED.index(path) if path in SHARED else 0, path


def _read(path: Path, folder: Path) -> str:
    data = path.read_bytes()
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        name = path.relative_to(folder).as_posix()
        raise LexiconError(name, line, "不是 UTF-8 编码，请另存为 UTF-8") from None
