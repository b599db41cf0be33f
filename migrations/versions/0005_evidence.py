"""The Merkle logs' tiles and signed checkpoints, and export packages.

Index: `ix_exports_corp_id` lists a corp's exports.
"""

import sqlalchemy as sa
from alembic import op

from app.foundation.schema import append_only

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "log_tiles",
        sa.Column("log_id", BIG_KEY, autoincrement=False, nullable=False),
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", BIG_KEY, autoincrement=False, nullable=False),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("log_id", "level", "number", name=op.f("pk_log_tiles")),
    )
    op.create_table(
        "log_checkpoints",
        sa.Column("log_id", BIG_KEY, autoincrement=False, nullable=False),
        sa.Column("size", BIG_KEY, autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("signed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("log_id", "size", name=op.f("pk_log_checkpoints")),
    )
    op.create_table(
        "exports",
        sa.Column("number", BIG_KEY, nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("corp_id", BIG_KEY, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("asked", sa.JSON(), nullable=False),
        sa.Column("scope", sa.JSON(), nullable=False),
        sa.Column("preview", sa.JSON(), nullable=False),
        sa.Column("requested_by", sa.String(length=64), nullable=False),
        sa.Column("requested_by_name", sa.String(length=128), nullable=False),
        sa.Column("requested_at", sa.BigInteger(), nullable=False),
        sa.Column("decided_by", sa.String(length=64), nullable=True),
        sa.Column("decided_by_name", sa.String(length=128), nullable=True),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("decision_note", sa.Text(), nullable=False),
        sa.Column("pinned", sa.JSON(), nullable=True),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("done", BIG_KEY, nullable=False),
        sa.Column("total", BIG_KEY, nullable=False),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("digest", sa.String(length=64), nullable=True),
        sa.Column("size", BIG_KEY, nullable=True),
        sa.Column("built_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_exports")),
        sa.UniqueConstraint("id", name=op.f("uq_exports_id")),
    )
    op.create_index("ix_exports_corp_id", "exports", ["corp_id"])
    append_only(op.get_bind(), "log_checkpoints")


def downgrade() -> None:
    op.drop_index("ix_exports_corp_id", table_name="exports")
    op.drop_table("exports")
    op.drop_table("log_checkpoints")
    op.drop_table("log_tiles")
