from collections.abc import Iterator
from pathlib import Path

import pytest

from app.search.embedded import EmbeddedIndex


@pytest.fixture
def index(tmp_path: Path) -> Iterator[EmbeddedIndex]:
    opened = EmbeddedIndex(tmp_path / "index.db")
    yield opened
    opened.close()
