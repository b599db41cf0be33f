"""Who is away, where people are reached, who is to be told of what, what was sent; by when alerts are due.

Indexes: `ix_alerts_state_due_at` finds what is due, `ix_notices_user_id` what waits for a receiver,
`ix_notices_state_id` the dead letters, `ix_deliveries_user_id` a receiver's last message.
"""

import sqlalchemy as sa
from alembic import op

from app.foundation.schema import append_only

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("alerts", sa.Column("remind_at", sa.BigInteger(), nullable=True))
    op.add_column("alerts", sa.Column("due_at", sa.BigInteger(), nullable=True))
    op.create_index("ix_alerts_state_due_at", "alerts", ["state", "due_at"])
    op.create_table(
        "absences",
        sa.Column("id", BIG_KEY, nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("stand_in", sa.String(length=64), nullable=True),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("cancelled_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_absences")),
    )
    op.create_index(op.f("ix_absences_user_id"), "absences", ["user_id"])
    op.create_table(
        "contacts",
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("address", sa.String(length=256), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "channel", name=op.f("pk_contacts")),
    )
    op.create_table(
        "notices",
        sa.Column("id", BIG_KEY, nullable=False),
        sa.Column("alert_number", BIG_KEY, nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("user_name", sa.Text(), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("occasion", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("failure", sa.Text(), nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("delivery_id", BIG_KEY, nullable=True),
        sa.ForeignKeyConstraint(
            ["alert_number"], ["alerts.number"], name=op.f("fk_notices_alert_number")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
    )
    op.create_index(
        "uq_notices_alert_number",
        "notices",
        ["alert_number", "user_id", "channel", "occasion"],
        unique=True,
    )
    op.create_index("ix_notices_user_id", "notices", ["user_id", "channel", "state", "not_before"])
    op.create_index("ix_notices_state_id", "notices", ["state", "id"])
    op.create_table(
        "deliveries",
        sa.Column("id", BIG_KEY, nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("notices", sa.Integer(), nullable=False),
        sa.Column("failure", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
    )
    op.create_index("ix_deliveries_user_id", "deliveries", ["user_id", "channel", "id"])
    append_only(op.get_bind(), "deliveries")


def downgrade() -> None:
    op.drop_index("ix_deliveries_user_id", table_name="deliveries")
    op.drop_table("deliveries")
    for name in ("ix_notices_state_id", "ix_notices_user_id", "uq_notices_alert_number"):
        op.drop_index(name, table_name="notices")
    op.drop_table("notices")
    op.drop_table("contacts")
    op.drop_index(op.f("ix_absences_user_id"), table_name="absences")
    op.drop_table("absences")
    op.drop_index("ix_alerts_state_due_at", table_name="alerts")
    op.drop_column("alerts", "due_at")
    op.drop_column("alerts", "remind_at")
