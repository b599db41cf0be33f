"""Alerts hold every message of a breach, who they are about, who proposed what, and when they were dealt with.

Alerts made before are kept as they are: each holds its one message. Indexes: `ix_alerts_conversation_id_number` finds
the alert that a breach joins, `ix_alerts_corp_id_adviser_number` an adviser's earlier ones, those of `alert_records` an
alert's messages and a step's.
"""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

from app.foundation.schema import append_only

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_SEQ_BITS = 40
_COLUMNS: list[tuple[str, sa.types.TypeEngine[Any], str | None]] = [
    ("last_record_id", BIG_KEY, "0"),
    ("corp_id", BIG_KEY, "0"),
    ("conversation_id", BIG_KEY, "0"),
    ("adviser", sa.String(length=256), ""),
    ("department_id", BIG_KEY, None),
    ("found_severity", sa.String(length=16), ""),
    ("level", sa.Integer(), "0"),
    ("proposed_by", sa.String(length=64), None),
    ("messages", sa.Integer(), "1"),
    ("last_at", sa.BigInteger(), "0"),
    ("claimed_at", sa.BigInteger(), None),
    ("resolved_at", sa.BigInteger(), None),
]


def upgrade() -> None:
    for name, kind, default in _COLUMNS:
        column = sa.Column(name, kind, nullable=default is None, server_default=default)
        op.add_column("alerts", column)
    op.create_index(
        "ix_alerts_conversation_id_number", "alerts", ["conversation_id", "number"], unique=False
    )
    op.create_index(
        "ix_alerts_corp_id_adviser_number",
        "alerts",
        ["corp_id", "adviser", "number"],
        unique=False,
    )
    op.create_table(
        "alert_records",
        sa.Column("record_id", BIG_KEY, autoincrement=False, nullable=False),
        sa.Column("alert_number", BIG_KEY, nullable=False),
        sa.Column("step_id", BIG_KEY, nullable=False),
        sa.ForeignKeyConstraint(
            ["record_id"], ["records.id"], name=op.f("fk_alert_records_record_id")
        ),
        sa.ForeignKeyConstraint(
            ["alert_number"], ["alerts.number"], name=op.f("fk_alert_records_alert_number")
        ),
        sa.ForeignKeyConstraint(
            ["step_id"], ["alert_steps.id"], name=op.f("fk_alert_records_step_id")
        ),
        sa.PrimaryKeyConstraint("record_id", name=op.f("pk_alert_records")),
    )
    op.create_index(op.f("ix_alert_records_alert_number"), "alert_records", ["alert_number"])
    op.create_index(op.f("ix_alert_records_step_id"), "alert_records", ["step_id"])
    _carry_over(op.get_bind())
    append_only(op.get_bind(), "alert_records")


def downgrade() -> None:
    op.drop_index(op.f("ix_alert_records_step_id"), table_name="alert_records")
    op.drop_index(op.f("ix_alert_records_alert_number"), table_name="alert_records")
    op.drop_table("alert_records")
    op.drop_index("ix_alerts_corp_id_adviser_number", table_name="alerts")
    op.drop_index("ix_alerts_conversation_id_number", table_name="alerts")
    for name, _, _ in reversed(_COLUMNS):
        op.drop_column("alerts", name)


def _carry_over(connection: sa.Connection) -> None:
    rows = connection.execute(
        sa.text(
            "SELECT a.number, a.record_id, r.conversation_id, r.sent_at, r.sender,"
            " (SELECT min(s.id) FROM alert_steps s WHERE s.alert_number = a.number) AS step_id,"
            " (SELECT min(s.at) FROM alert_steps s WHERE s.alert_number = a.number"
            " AND s.step = 'claim') AS claimed_at,"
            " (SELECT max(s.at) FROM alert_steps s WHERE s.alert_number = a.number"
            " AND s.step = 'resolve') AS resolved_at"
            " FROM alerts a JOIN records r ON r.id = a.record_id"
        )
    ).all()
    for row in rows:
        kind, name, _ = json.loads(row.sender)
        values = row._asdict() | {
            "corp_id": row.record_id >> _SEQ_BITS,
            "adviser": name if kind == "employee" else "",
        }
        connection.execute(
            sa.text(
                "UPDATE alerts SET last_record_id = record_id, corp_id = :corp_id,"
                " conversation_id = :conversation_id, adviser = :adviser,"
                " found_severity = severity, last_at = :sent_at, claimed_at = :claimed_at,"
                " resolved_at = CASE WHEN state = 'resolved' THEN :resolved_at END"
                " WHERE number = :number"
            ),
            values,
        )
        connection.execute(
            sa.text("INSERT INTO alert_records VALUES (:record_id, :number, :step_id)"), values
        )
