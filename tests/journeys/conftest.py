"""The firm on a real server process, once on SQLite and once on PostgreSQL 18, with everybody signed in once."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from itertools import count

import httpx
import psycopg
import pytest

from tests.journeys.office import Office, open_office
from tests.server import Server, prepare

_numbers = count(1)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kind" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--database")
        metafunc.parametrize("kind", ["sqlite", "postgresql"] if chosen == "both" else [chosen])


@pytest.fixture(scope="session")
def offices(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Office]]:
    """The firm on one kind of database, opened when the first test asks and kept until the last."""
    with ExitStack() as stack:

        @cache
        def opened(kind: str) -> Office:
            folder = tmp_path_factory.mktemp("office")
            if kind == "postgresql":
                database = _empty_database(request.getfixturevalue("postgres"))
                home = prepare(folder, database_url=database)
            else:
                home = prepare(folder)
            server = stack.enter_context(Server(home))
            return open_office(home, server)

        yield opened


@pytest.fixture(scope="session")
def visitors(offices: Callable[[str], Office]) -> Iterator[Callable[[str, str], httpx.Client]]:
    """A user's session in one of the offices, by the office's kind and her login."""
    with ExitStack() as stack:

        @cache
        def visitor(kind: str, login: str) -> httpx.Client:
            return stack.enter_context(offices(kind).signed_in(login))

        yield visitor


@pytest.fixture
def office(kind: str, offices: Callable[[str], Office]) -> Office:
    return offices(kind)


@pytest.fixture
def program(office: Office) -> Iterator[httpx.Client]:
    with office.program() as client:
        yield client


@pytest.fixture
def officer(kind: str, visitors: Callable[[str, str], httpx.Client]) -> httpx.Client:
    return visitors(kind, "officer")


@pytest.fixture
def leader(kind: str, visitors: Callable[[str, str], httpx.Client]) -> httpx.Client:
    """The supervisor of 财富一部."""
    return visitors(kind, "leader")


@pytest.fixture
def inspector(kind: str, visitors: Callable[[str, str], httpx.Client]) -> httpx.Client:
    return visitors(kind, "inspector")


@pytest.fixture
def auditor(kind: str, visitors: Callable[[str, str], httpx.Client]) -> httpx.Client:
    return visitors(kind, "auditor")


def _empty_database(server: str) -> str:
    name = f"journey_{next(_numbers)}"
    with psycopg.connect(server.format(name="postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return server.format(name=name)
