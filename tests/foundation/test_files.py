"""Files and blobs that are there whole or not at all, whatever step the process dies at."""

import errno
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.foundation import files
from app.foundation.blobs import BlobDamaged, BlobMissing, BlobStore
from app.foundation.errors import Unavailable

ROOT = Path(__file__).parents[2]
Steps = list[tuple[str, str]]
Together = Callable[[int, Callable[[int], Any]], list[Any]]


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    """What was done to which file or folder, in order; a file aside is called `part`."""
    seen: Steps = []

    def spy(name: str) -> None:
        real = getattr(os, name)

        def noted(target: Any, *rest: Any, **options: Any) -> Any:
            is_open = isinstance(target, int)
            path = Path(f"/proc/self/fd/{target}").readlink() if is_open else Path(target)
            seen.append((name, "part" if path.suffix == ".part" else path.name))
            return real(target, *rest, **options)

        monkeypatch.setattr(os, name, noted)

    for name in ("fsync", "link", "unlink", "mkdir"):
        spy(name)
    return seen


def test_bytes_are_durable_before_their_name_and_their_name_before_the_answer(
    tmp_path: Path, steps: Steps
) -> None:
    files.write_new(tmp_path / "a" / "file", b"bytes")
    assert steps == [
        ("mkdir", "a"),
        ("fsync", tmp_path.name),
        ("fsync", "part"),
        ("link", "part"),
        ("unlink", "part"),
        ("fsync", "a"),
    ]


def test_every_new_folder_is_durable_in_its_parent(tmp_path: Path, steps: Steps) -> None:
    files.make_folder(tmp_path / "a" / "b")
    assert steps == [("mkdir", "a"), ("fsync", tmp_path.name), ("mkdir", "b"), ("fsync", "a")]
    files.make_folder(tmp_path / "a" / "b")
    assert len(steps) == 4


def test_a_name_found_taken_is_durable_too(tmp_path: Path, steps: Steps) -> None:
    store = BlobStore(tmp_path)
    name = store.put(b"bytes")
    steps.clear()
    assert store.put(b"bytes") == name  # another writer may have linked it a moment ago
    assert steps[-1] == ("fsync", name[:2])


def test_a_blob_relies_on_no_folder_made_a_moment_ago(tmp_path: Path, steps: Steps) -> None:
    store = BlobStore(tmp_path / "blobs")
    assert steps[-1] == ("fsync", "blobs")
    steps.clear()
    store.put(b"bytes")
    assert "mkdir" not in [step for step, _ in steps]


def test_a_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "file"
    files.write_new(path, b"first")
    with pytest.raises(FileExistsError):
        files.write_new(path, b"second")
    assert path.read_bytes() == b"first"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_file_is_its_owners_alone(tmp_path: Path) -> None:
    files.write_new(tmp_path / "a" / "file", b"")
    assert (tmp_path / "a" / "file").stat().st_mode & 0o077 == 0
    assert (tmp_path / "a").stat().st_mode & 0o077 == 0


@given(data=st.binary(max_size=4096))
def test_a_blob_comes_back_by_its_digest(
    data: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = BlobStore(tmp_path_factory.getbasetemp() / "shared_blobs")
    name = store.put(data)
    assert name == hashlib.sha256(data).hexdigest()
    assert store.get(name) == data
    assert name in set(store.names())


def test_the_same_bytes_are_one_blob(tmp_path: Path, at_once: Together) -> None:
    store = BlobStore(tmp_path)
    names = at_once(8, lambda _: store.put(bytes(100_000)))
    assert list(store.names()) == [names[0]]
    assert len(set(names)) == 1
    assert not list(tmp_path.glob("*/.*"))


def test_missing_and_damaged_blobs_are_named(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    name = store.put(b"bytes")
    path = tmp_path / name[:2] / name
    path.write_bytes(b"bytez")
    with pytest.raises(BlobDamaged) as damaged:
        store.get(name)
    path.unlink()
    with pytest.raises(BlobMissing) as missing:
        store.get(name)
    assert damaged.value.facts == missing.value.facts == {"name": name}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("step", ["fsync", "link"])
def test_a_full_disk_is_said_and_the_next_blob_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, step: str
) -> None:
    store = BlobStore(tmp_path)

    def refuse(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(os, step, refuse)
        with pytest.raises(Unavailable, match="磁盘已满"):
            store.put(b"bytes")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert store.get(store.put(b"bytes")) == b"bytes"


KILLED = """
import os, signal, sys
from pathlib import Path
from app.foundation.blobs import BlobStore

store = BlobStore(Path(sys.argv[1]))
left = int(sys.argv[2])

def step():
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

def dying(name):
    real = getattr(os, name)
    def run(*arguments, **options):
        step()
        done = real(*arguments, **options)
        step()
        return done
    setattr(os, name, run)

class Halves:
    def __init__(self, file): self.file = file
    def __enter__(self): self.file.__enter__(); return self
    def __exit__(self, *how): return self.file.__exit__(*how)
    def write(self, data):
        middle = len(data) // 2
        self.file.write(data[:middle]); self.file.flush(); step()
        self.file.write(data[middle:]); step()
    def flush(self): self.file.flush(); step()
    def fileno(self): return self.file.fileno()

fdopen = os.fdopen
os.fdopen = lambda *arguments: Halves(fdopen(*arguments))
for name in ("open", "fsync", "link", "unlink", "close"):
    dying(name)
store.put(bytes(200_000))
"""


def test_a_process_killed_at_any_step_leaves_no_half_file(tmp_path: Path) -> None:
    data = bytes(200_000)
    name = hashlib.sha256(data).hexdigest()
    number, found = 0, set()
    while True:
        number += 1
        folder = tmp_path / str(number)
        command = [sys.executable, "-c", KILLED, str(folder), str(number)]
        code = subprocess.run(command, cwd=ROOT, check=False).returncode
        assert code in {0, -signal.SIGKILL}
        parts = [path.name for path in folder.glob("*/.*.part")]
        store = BlobStore(folder)  # the next start
        there = list(store.names())
        assert there in ([], [name])
        assert [store.get(each) for each in there] == [data] * len(there)
        assert not list(folder.glob("*/.*"))
        assert store.put(data) == name
        assert store.get(name) == data
        found.add((bool(parts), bool(there)))
        if code == 0:
            break
    assert number > 12
    assert found == {(False, False), (True, False), (True, True), (False, True)}
