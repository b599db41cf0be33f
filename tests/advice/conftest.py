"""The small firm of `tests.firm`."""

import pytest

from app.bootstrap import Services
from tests.firm import Firm


@pytest.fixture
def firm(services: Services) -> Firm:
    return Firm(services)
