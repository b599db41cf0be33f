"""Word lists that load at once, and PostgreSQL databases without a schema."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from random import Random

import psycopg
import pytest

from tests.faults.traffic import ASK, BREACH

REPOSITORY = Path(__file__).parents[2]
CATEGORY = f"""
category = "sample"
name = "样例类别"
kind = "claim"
severity = "red"
suggestion = "样例"
[[basis]]
text = "样例"
source = "样例"
date = "2026-01-01"
mark = "待核实"
[[rule]]
id = "word"
say = ["{BREACH}"]
match = ["{BREACH}"]
no_match = ["风险自担"]
[[rule]]
id = "ask"
say = ["{ASK}"]
ask = true
match = ["客户：{ASK}吗 → 员工：能的"]
no_match = ["风险自担"]
"""
SMALL_DISK = 24 * 1024 * 1024
BALLAST = 18 * 1024 * 1024
_numbers = count(1)


@pytest.fixture(scope="session")
def wordlists(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One small category: the released lists take a second to load, and servers start often here."""
    folder = tmp_path_factory.mktemp("wordlists")
    shutil.copy(REPOSITORY / "wordlists" / "speech.toml", folder)
    for name in ("concepts.toml", "evasion.toml"):
        (folder / name).write_text("")
    (folder / "categories").mkdir()
    (folder / "categories" / "sample.toml").write_text(CATEGORY)
    return str(folder)


@pytest.fixture
def postgres_database(postgres: str) -> Iterator[str]:
    """The address of an empty database on the tests' PostgreSQL."""
    name = f"faults_{next(_numbers)}"
    _execute(postgres.format(name="postgres"), f"CREATE DATABASE {name}")
    yield postgres.format(name=name)
    _execute(postgres.format(name="postgres"), f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> Callable[..., Random]:
    """A source of chance that says how to repeat it; the seed is pytest-randomly's."""
    seed = request.config.getoption("randomly_seed", default=0)
    print(f"repeat with --randomly-seed={seed}")  # noqa: T201

    def chance(*parts: object) -> Random:
        return Random(f"{seed}/{request.node.name}/{'/'.join(map(str, parts))}")  # noqa: S311

    return chance


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with `SMALL_DISK` bytes, most of them taken by the file `ballast`."""
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={SMALL_DISK}", "tmpfs"]
    mounted = subprocess.run(["mount", *options, str(folder)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.fail(f"cannot mount a small tmpfs; run the tests as root: {mounted.stderr.decode()}")
    try:
        (folder / "ballast").write_bytes(bytes(BALLAST))
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _execute(uri: str, statement: str) -> None:
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute(statement)
