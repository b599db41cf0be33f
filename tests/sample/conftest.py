import datetime as dt
from typing import Any

import pytest

from app.sample import Company, company, messages


@pytest.fixture(scope="session")
def firm() -> Company:
    return company()


@pytest.fixture(scope="session")
def until() -> dt.datetime:
    return dt.datetime(2026, 3, 5, 16, 30, tzinfo=dt.timezone(dt.timedelta(hours=8)))


@pytest.fixture(scope="session")
def talk(firm: Company, until: dt.datetime) -> list[dict[str, Any]]:
    return list(messages(firm, until))
