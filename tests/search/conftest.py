"""Both engines behind one face, so that one suite says what search means."""

import json
import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import TypeAlias

import pytest

from app.access import OPERATOR
from app.bootstrap import Services
from app.search.embedded import EmbeddedIndex
from app.search.opensearch import Access
from tests.search.firm import PEOPLE, follow, line
from tests.search.followed import FollowedIndex
from tests.servers.opensearch import GIVEN, one_node

AnyIndex: TypeAlias = EmbeddedIndex | FollowedIndex
_numbers = count(1)


@pytest.fixture(scope="session")
def opensearch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real server."""
    with one_node(tmp_path_factory.mktemp("opensearch")) as url:
        yield url


@pytest.fixture
def prefix(opensearch: str) -> Iterator[str]:
    """Names on the server that nobody else uses; a server that outlives the tests is left clean."""
    name = f"liuhen-test-{os.getpid()}-{next(_numbers)}"
    yield name
    if GIVEN in os.environ:
        FollowedIndex.sweep(opensearch, name)


@pytest.fixture
def clustered(opensearch: str, prefix: str) -> Iterator[FollowedIndex]:
    index = FollowedIndex(Access((opensearch,)), prefix=prefix, timeout=20)
    yield index
    index.close()


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[EmbeddedIndex]:
    opened = EmbeddedIndex(tmp_path / "index.db")
    yield opened
    opened.close()


@pytest.fixture(params=["embedded", "clustered"])
def index(request: pytest.FixtureRequest) -> AnyIndex:
    """An empty index of either engine."""
    opened: AnyIndex = request.getfixturevalue(request.param)
    return opened


@pytest.fixture
def firm(services: Services) -> Services:
    """Two advisers; one moved from east to west on the first of March."""
    services.people.import_json(OPERATOR, json.dumps(PEOPLE).encode())
    services.capture.receive(
        [
            line(1, "二月的话", month=2),
            line(2, "三月的话", month=3),
            line(3, "苏禾的话，保本保息", sender="su.he", month=3),
        ]
    )
    follow(services)
    return services
