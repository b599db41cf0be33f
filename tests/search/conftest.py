import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.access import OPERATOR
from app.bootstrap import Services
from app.search.embedded import EmbeddedIndex
from tests.search.firm import PEOPLE, follow, line


@pytest.fixture
def index(tmp_path: Path) -> Iterator[EmbeddedIndex]:
    opened = EmbeddedIndex(tmp_path / "index.db")
    yield opened
    opened.close()


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
