"""A service over a fresh database, and a small company."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from app.access import OPERATOR
from app.foundation.database import Database
from app.foundation.settings import Settings
from app.people import People
from app.people.service import Report

Import = Callable[..., Report]

COMPANY: dict[str, Any] = {
    "corp": {"code": "ww1", "name": "样例信托"},
    "departments": [
        {"code": "wealth1", "name": "样例一部", "parent": "wealth"},  # before its parent on purpose
        {"code": "hq", "name": "样例总部", "parent": None},
        {"code": "wealth", "name": "样例财富中心", "parent": "hq"},
        {"code": "legal", "name": "样例合规部", "parent": "hq"},
    ],
    "employees": [
        {
            "userid": "Su.He",
            "name": "苏禾",
            "supervisor": "lin.an",
            "departments": [
                {"code": "legal", "start": "2025-01-01", "end": "2025-06-01"},
                {"code": "wealth1", "start": "2025-06-01", "end": None},
            ],
        },
        {
            "userid": "lin.an",
            "name": "林安",
            "supervisor": None,
            "departments": [{"code": "wealth"}],
        },
        {"userid": "wei.zhun", "name": "魏准", "departments": [{"code": "legal"}]},
    ],
    "clients": [
        {"external_id": "wmA", "name": "样例甲"},
        {"external_id": "wmB", "name": "样例乙"},
    ],
    "groups": [
        {"group_id": "wrA", "name": "样例群", "owner": "SU.HE", "members": ["wmA", "Lin.An"]}
    ],
    "assignments": [
        {"client": "wmA", "employee": "su.he", "start": "2025-03-01", "end": "2025-05-01"},
        {"client": "wmA", "employee": "wei.zhun", "start": "2025-05-01", "end": None},
        {"client": "wmB", "employee": "su.he", "start": "2025-07-01"},
    ],
}


@pytest.fixture
def people(db: Database) -> People:
    return People(db, Settings(_env_file=None))


@pytest.fixture
def take(people: People) -> Import:
    """Import a document: the sample company with the given sections in place of its own."""

    def run(*, dry_run: bool = False, **sections: Any) -> Report:
        document = {**COMPANY, **sections}
        return people.import_json(OPERATOR, json.dumps(document).encode(), dry_run=dry_run)

    return run


@pytest.fixture
def company() -> dict[str, Any]:
    """The sample company as its document."""
    return COMPANY
