from pathlib import Path

import pytest

from app.screening import Lexicon, Turn

WORDLISTS = Path(__file__).parents[2] / "wordlists"
ROLES = {"客户": "client", "员工": "adviser", "同事": "colleague"}


@pytest.fixture(scope="session")
def lexicon() -> Lexicon:
    return Lexicon.load(WORDLISTS)


def window(example: str) -> list[Turn]:
    """Read an example of the word lists: 「客户：… → 员工：…」, the adviser when nobody is named."""
    turns = []
    for at, part in enumerate(example.split("→")):
        who, colon, text = part.strip().partition("：")
        known = colon and who in ROLES
        role = ROLES[who] if known else "adviser"
        turns.append(Turn(role, text if known else part.strip(), "", at * 5_000))
    return turns
