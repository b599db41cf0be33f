"""Access over a fresh database, with a hasher that costs microseconds."""

import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from app.access import OPERATOR, Access, Role
from app.foundation.database import Database
from app.foundation.settings import Settings

PASSWORD = "a-long-enough-one"  # noqa: S105  (sample data)


@pytest.fixture
def settings() -> Settings:
    return Settings(_env_file=None)


@pytest.fixture
def cheap_hasher() -> PasswordHash:
    return PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),))


@pytest.fixture
def access(db: Database, settings: Settings, cheap_hasher: PasswordHash) -> Access:
    return Access(db, settings, hasher=cheap_hasher)


@pytest.fixture
def administrator(access: Access) -> str:
    return access.create_user(
        OPERATOR,
        login="chief",
        name="样例管理员",
        password=PASSWORD,
        roles=[(Role.ADMINISTRATOR, None)],
    )
