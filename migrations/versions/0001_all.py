"""Temporary while the first schema is being written: whatever the models say."""

from alembic import op

import app.bootstrap  # noqa: F401  (imports every model)
from app.foundation.database import Base

revision = "0001"
down_revision = None


def upgrade() -> None:
    Base.metadata.create_all(op.get_bind())


def downgrade() -> None:
    Base.metadata.drop_all(op.get_bind())
