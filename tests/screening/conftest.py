from pathlib import Path

import pytest

from app.screening import Lexicon


@pytest.fixture(scope="session")
def lexicon() -> Lexicon:
    return Lexicon.load(Path(__file__).parents[2] / "wordlists")
