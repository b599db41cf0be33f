"""Rules of oversight, and leads with their messages and history.

Indexes: `ix_leads_state_due_at` lists what is due, `ix_leads_conversation_id_number` finds the lead that a message
joins.
"""

import sqlalchemy as sa
from alembic import op

from app.foundation.schema import append_only

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "oversight_rules",
        sa.Column("id", BIG_KEY, nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("actor_name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_oversight_rules")),
    )
    op.create_table(
        "leads",
        sa.Column("number", BIG_KEY, nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("record_id", BIG_KEY, nullable=False),
        sa.Column("last_record_id", BIG_KEY, nullable=False),
        sa.Column("corp_id", BIG_KEY, nullable=False),
        sa.Column("conversation_id", BIG_KEY, nullable=False),
        sa.Column("client", sa.String(length=256), nullable=False),
        sa.Column("category", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=True),
        sa.Column("owner_name", sa.Text(), nullable=True),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("messages", sa.Integer(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("raised_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["record_id"], ["records.id"], name=op.f("fk_leads_record_id")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_leads")),
        sa.UniqueConstraint("id", name=op.f("uq_leads_id")),
        sa.UniqueConstraint("record_id", name=op.f("uq_leads_record_id")),
    )
    op.create_index("ix_leads_state_due_at", "leads", ["state", "due_at"])
    op.create_index("ix_leads_conversation_id_number", "leads", ["conversation_id", "number"])
    op.create_table(
        "lead_records",
        sa.Column("record_id", BIG_KEY, autoincrement=False, nullable=False),
        sa.Column("lead_number", BIG_KEY, nullable=False),
        sa.ForeignKeyConstraint(
            ["record_id"], ["records.id"], name=op.f("fk_lead_records_record_id")
        ),
        sa.ForeignKeyConstraint(
            ["lead_number"], ["leads.number"], name=op.f("fk_lead_records_lead_number")
        ),
        sa.PrimaryKeyConstraint("record_id", name=op.f("pk_lead_records")),
    )
    op.create_index(op.f("ix_lead_records_lead_number"), "lead_records", ["lead_number"])
    op.create_table(
        "lead_steps",
        sa.Column("id", BIG_KEY, nullable=False),
        sa.Column("lead_number", BIG_KEY, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("actor_name", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["lead_number"], ["leads.number"], name=op.f("fk_lead_steps_lead_number")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lead_steps")),
    )
    op.create_index(op.f("ix_lead_steps_lead_number"), "lead_steps", ["lead_number"])
    for table in ("oversight_rules", "lead_records", "lead_steps"):
        append_only(op.get_bind(), table)


def downgrade() -> None:
    op.drop_index(op.f("ix_lead_steps_lead_number"), table_name="lead_steps")
    op.drop_table("lead_steps")
    op.drop_index(op.f("ix_lead_records_lead_number"), table_name="lead_records")
    op.drop_table("lead_records")
    op.drop_index("ix_leads_conversation_id_number", table_name="leads")
    op.drop_index("ix_leads_state_due_at", table_name="leads")
    op.drop_table("leads")
    op.drop_table("oversight_rules")
