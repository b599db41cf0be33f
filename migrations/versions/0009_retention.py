"""Retention: schedules, events, legal holds, disposals; keys that are held; records that lose their content.

The two first rules keep everything twenty years from the message; counsel has to confirm or change them.
Index: `ix_retention_events_corp_id_client` finds a client's events.
"""

import time

import sqlalchemy as sa
from alembic import op

from app.foundation.schema import append_only, let_blank

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MONTHS = 240


def upgrade() -> None:
    op.create_table(
        "key_holds",
        sa.Column("bucket_id", BIG_KEY, autoincrement=False, nullable=False),
        sa.Column("hold", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("bucket_id", "hold", name=op.f("pk_key_holds")),
    )
    rules = op.create_table(
        "retention_rules",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("record_class", sa.String(length=16), nullable=False),
        sa.Column("trigger", sa.String(length=32), nullable=False),
        sa.Column("months", sa.Integer(), nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("created_by", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("decided_by", sa.String(length=64), nullable=True),
        sa.Column("effective_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("months >= 6", name=op.f("ck_retention_rules_floor")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retention_rules")),
    )
    op.create_table(
        "retention_events",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("corp_id", BIG_KEY, nullable=False),
        sa.Column("client", sa.String(length=256), nullable=False),
        sa.Column("trigger", sa.String(length=32), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_by", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retention_events")),
    )
    op.create_index("ix_retention_events_corp_id_client", "retention_events", ["corp_id", "client"])
    op.create_table(
        "legal_holds",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("corp_id", BIG_KEY, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("asked", sa.JSON(), nullable=False),
        sa.Column("is_dynamic", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("placed_by", sa.String(length=64), nullable=False),
        sa.Column("placed_at", sa.BigInteger(), nullable=False),
        sa.Column("release_asked_by", sa.String(length=64), nullable=True),
        sa.Column("release_reason", sa.Text(), nullable=True),
        sa.Column("released_by", sa.String(length=64), nullable=True),
        sa.Column("ends_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_legal_holds")),
    )
    op.create_table(
        "disposals",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("corp_id", BIG_KEY, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("buckets", sa.JSON(), nullable=False),
        sa.Column("requested_by", sa.String(length=64), nullable=False),
        sa.Column("requested_at", sa.BigInteger(), nullable=False),
        sa.Column("approvals", sa.JSON(), nullable=False),
        sa.Column("done_at", sa.BigInteger(), nullable=True),
        sa.Column("certificate", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_disposals")),
    )
    append_only(op.get_bind(), "retention_events")
    let_blank(op.get_bind())
    now = time.time_ns() // 1_000_000
    op.bulk_insert(
        rules,
        [
            {
                "id": f"rul_first_{kind}",
                "record_class": kind,
                "trigger": "message",
                "months": MONTHS,
                "basis": "建议值二十年，参照证券法第一百三十七条；是否适用、能否缩短须由法律顾问确认",
                "state": "active",
                "created_by": "operator",
                "created_at": now,
                "decided_by": None,
                "effective_at": now,
            }
            for kind in ("client", "internal")
        ],
    )


def downgrade() -> None:
    raise NotImplementedError("destroyed keys do not come back")
