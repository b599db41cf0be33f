"""Versions of the word lists, their history and their back-tests.

Indexes: `uq_lexicons_released` keeps the released version single; the others follow a version to its rows.
"""

import sqlalchemy as sa
from alembic import op

from app.foundation.schema import append_only

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "lexicons",
        sa.Column("number", BIG_KEY, nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("files", sa.LargeBinary(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("based_on", sa.String(length=40), nullable=True),
        sa.Column("examples", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Text(), nullable=False),
        sa.Column("created_by", sa.String(length=64), nullable=False),
        sa.Column("created_by_name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("approved_by", sa.String(length=64), nullable=True),
        sa.Column("approved_by_name", sa.Text(), nullable=True),
        sa.Column("approved_at", sa.BigInteger(), nullable=True),
        sa.Column("released_at", sa.BigInteger(), nullable=True),
        sa.Column("retired_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_lexicons")),
        sa.UniqueConstraint("id", name=op.f("uq_lexicons_id")),
        sa.UniqueConstraint("version", name=op.f("uq_lexicons_version")),
    )
    op.create_index(
        "uq_lexicons_released",
        "lexicons",
        ["state"],
        unique=True,
        sqlite_where=sa.text("state = 'released'"),
        postgresql_where=sa.text("state = 'released'"),
    )
    op.create_table(
        "lexicon_steps",
        sa.Column("id", BIG_KEY, nullable=False),
        sa.Column("lexicon_number", BIG_KEY, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("actor_name", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["lexicon_number"], ["lexicons.number"], name=op.f("fk_lexicon_steps_lexicon_number")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lexicon_steps")),
    )
    op.create_index(
        op.f("ix_lexicon_steps_lexicon_number"), "lexicon_steps", ["lexicon_number"], unique=False
    )
    op.create_table(
        "lexicon_backtests",
        sa.Column("number", BIG_KEY, nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("lexicon_number", BIG_KEY, nullable=False),
        sa.Column("base_number", BIG_KEY, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=True),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("last", BIG_KEY, nullable=True),
        sa.Column("spans", sa.Text(), nullable=False),
        sa.Column("place", BIG_KEY, nullable=False),
        sa.Column("done", BIG_KEY, nullable=False),
        sa.Column("total", BIG_KEY, nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("started_by", sa.String(length=64), nullable=False),
        sa.Column("started_by_name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["lexicon_number"],
            ["lexicons.number"],
            name=op.f("fk_lexicon_backtests_lexicon_number"),
        ),
        sa.ForeignKeyConstraint(
            ["base_number"], ["lexicons.number"], name=op.f("fk_lexicon_backtests_base_number")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_lexicon_backtests")),
        sa.UniqueConstraint("id", name=op.f("uq_lexicon_backtests_id")),
    )
    op.create_index(
        op.f("ix_lexicon_backtests_lexicon_number"),
        "lexicon_backtests",
        ["lexicon_number"],
        unique=False,
    )
    append_only(op.get_bind(), "lexicon_steps")


def downgrade() -> None:
    op.drop_index(op.f("ix_lexicon_backtests_lexicon_number"), table_name="lexicon_backtests")
    op.drop_table("lexicon_backtests")
    op.drop_index(op.f("ix_lexicon_steps_lexicon_number"), table_name="lexicon_steps")
    op.drop_table("lexicon_steps")
    op.drop_index(
        "uq_lexicons_released",
        table_name="lexicons",
        sqlite_where=sa.text("state = 'released'"),
        postgresql_where=sa.text("state = 'released'"),
    )
    op.drop_table("lexicons")
