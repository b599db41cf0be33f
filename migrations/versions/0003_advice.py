"""Checks before sending, decisions on them, the messages they became, and the policies that decide.

Indexes: `ix_checks_corp_id_sender_at` finds the checks that an archived message may be, `ix_check_matches_record_id`
the warning behind an alert.
"""

import sqlalchemy as sa
from alembic import op

from app.foundation.schema import append_only

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "checks",
        sa.Column("number", BIG_KEY, nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("corp_id", BIG_KEY, nullable=False),
        sa.Column("sender", sa.String(length=256), nullable=False),
        sa.Column("conversation_id", BIG_KEY, nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("lexicon_version", sa.String(length=64), nullable=False),
        sa.Column("salt", sa.LargeBinary(length=16), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("findings", sa.Text(), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["corp_id"], ["corps.id"], name=op.f("fk_checks_corp_id")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_checks")),
        sa.UniqueConstraint("id", name=op.f("uq_checks_id")),
    )
    op.create_index("ix_checks_corp_id_sender_at", "checks", ["corp_id", "sender", "at"])
    op.create_table(
        "check_decisions",
        sa.Column("check_number", BIG_KEY, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("decision", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["check_number"], ["checks.number"], name=op.f("fk_check_decisions_check_number")
        ),
        sa.PrimaryKeyConstraint("check_number", name=op.f("pk_check_decisions")),
    )
    op.create_table(
        "check_matches",
        sa.Column("check_number", BIG_KEY, nullable=False),
        sa.Column("record_id", BIG_KEY, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["check_number"], ["checks.number"], name=op.f("fk_check_matches_check_number")
        ),
        sa.PrimaryKeyConstraint("check_number", name=op.f("pk_check_matches")),
    )
    op.create_index(op.f("ix_check_matches_record_id"), "check_matches", ["record_id"])
    op.create_table(
        "check_policies",
        sa.Column("id", BIG_KEY, nullable=False),
        sa.Column("department_id", BIG_KEY, nullable=True),
        sa.Column("red", sa.String(length=16), nullable=False),
        sa.Column("orange", sa.String(length=16), nullable=False),
        sa.Column("yellow", sa.String(length=16), nullable=False),
        sa.Column("keep_text", sa.Boolean(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("actor_name", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["department_id"], ["departments.id"], name=op.f("fk_check_policies_department_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_check_policies")),
    )
    for table in ("checks", "check_decisions", "check_matches", "check_policies"):
        append_only(op.get_bind(), table)


def downgrade() -> None:
    op.drop_table("check_policies")
    op.drop_index(op.f("ix_check_matches_record_id"), table_name="check_matches")
    op.drop_table("check_matches")
    op.drop_table("check_decisions")
    op.drop_index("ix_checks_corp_id_sender_at", table_name="checks")
    op.drop_table("checks")
