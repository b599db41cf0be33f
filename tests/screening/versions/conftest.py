from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.bootstrap import Services, open_services
from app.foundation.settings import Settings
from tests.screening.versions.lists import FIRST, write


@pytest.fixture
def services(database_url: str, tmp_path: Path) -> Iterator[Services]:
    """Everything wired, with `FIRST` as the shipped lists; no follower running."""
    url = "" if database_url.startswith("sqlite") else database_url
    shipped = write(tmp_path / "shipped", FIRST)
    settings = Settings(data=tmp_path, database_url=SecretStr(url), wordlists=shipped)
    with open_services(settings) as opened:
        yield opened
