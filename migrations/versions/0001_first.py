"""The first schema: access, people, the log, findings, alerts, jobs and followers.

Indexes: each unique one is an idempotency key; `records` is read by number (its key), by conversation and
counter (context, windows), by audience (a client's thread) and by what it recalls.
"""

import sqlalchemy as sa
from alembic import op

from app.foundation.schema import append_only

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BIG_KEY = sa.BigInteger().with_variant(
    sa.Integer(), "sqlite"
)  # SQLite numbers rows only for INTEGER
APPEND_ONLY = (
    "audit_events",
    "records",
    "audiences",
    "audience_parties",
    "findings",
    "alert_steps",
)


def upgrade() -> None:
    op.create_table(
        "api_tokens",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("scopes", sa.String(length=256), nullable=False),
        sa.Column("created_by", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_tokens")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_api_tokens_token_hash")),
    )
    op.create_table(
        "audit_events",
        sa.Column("seq", BIG_KEY, autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("event", sa.String(length=64), nullable=False),
        sa.Column("actor_kind", sa.String(length=16), nullable=False),
        sa.Column("actor_id", sa.String(length=64), nullable=False),
        sa.Column("actor_name", sa.String(length=128), nullable=False),
        sa.Column("subject", sa.String(length=512), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit_events")),
    )
    op.create_index(
        op.f("ix_audit_events_actor_id_seq"), "audit_events", ["actor_id", "seq"], unique=False
    )
    op.create_index(op.f("ix_audit_events_at"), "audit_events", ["at"], unique=False)
    op.create_index(
        op.f("ix_audit_events_event_seq"), "audit_events", ["event", "seq"], unique=False
    )
    op.create_index(
        op.f("ix_audit_events_subject_seq"), "audit_events", ["subject", "seq"], unique=False
    )
    op.create_table(
        "bucket_keys",
        sa.Column("id", BIG_KEY, nullable=False),
        sa.Column("name", sa.String(length=700), nullable=False),
        sa.Column("suite", sa.Integer(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("destroyed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bucket_keys")),
        sa.UniqueConstraint("name", name=op.f("uq_bucket_keys_name")),
    )
    op.create_table(
        "corps",
        sa.Column("id", BIG_KEY, autoincrement=True, nullable=False),
        sa.Column("code", sa.String(length=256), nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_corps")),
        sa.UniqueConstraint("code", name=op.f("uq_corps_code")),
    )
    op.create_table(
        "findings",
        sa.Column("id", BIG_KEY, nullable=False),
        sa.Column("record_id", BIG_KEY, nullable=False),
        sa.Column("earlier", sa.Text(), nullable=False),
        sa.Column("spoken_id", BIG_KEY, nullable=False),
        sa.Column("category", sa.String(length=64), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("start", sa.Integer(), nullable=False),
        sa.Column("end", sa.Integer(), nullable=False),
        sa.Column("phrase", sa.Text(), nullable=False),
        sa.Column("canonical", sa.Text(), nullable=False),
        sa.Column("evasion", sa.String(length=64), nullable=True),
        sa.Column("rule", sa.String(length=128), nullable=False),
        sa.Column("lexicon_version", sa.String(length=64), nullable=False),
        sa.Column("explanation", sa.Text(), nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("suggestion", sa.Text(), nullable=False),
        sa.Column("confidence", sa.Float(), nullable=False),
        sa.Column("found_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_findings")),
    )
    op.create_index(
        "ix_findings_category_record_id", "findings", ["category", "record_id"], unique=False
    )
    op.create_index(
        "uq_findings_record_id_rule",
        "findings",
        ["record_id", "rule", "category", "start", "lexicon_version"],
        unique=True,
    )
    op.create_table(
        "follower_cursors",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("corp_id", BIG_KEY, autoincrement=False, nullable=False),
        sa.Column("seq", BIG_KEY, nullable=False),
        sa.Column("moved_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", "corp_id", name=op.f("pk_follower_cursors")),
    )
    op.create_table(
        "jobs",
        sa.Column("id", BIG_KEY, nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("run_at", sa.BigInteger(), nullable=False),
        sa.Column("worker", sa.String(length=64), nullable=True),
        sa.Column("claimed_until", sa.BigInteger(), nullable=True),
        sa.Column("failure", sa.String(length=200), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    op.create_index("ix_jobs_state_run_at", "jobs", ["state", "run_at"], unique=False)
    op.create_index("uq_jobs_kind_key", "jobs", ["kind", "key"], unique=True)
    op.create_table(
        "leases",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("holder", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )
    op.create_table(
        "login_attempts",
        sa.Column("id", BIG_KEY, autoincrement=True, nullable=False),
        sa.Column("attempt", sa.String(length=64), nullable=False),
        sa.Column("counted_under", sa.String(length=128), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("was_refused", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_login_attempts")),
    )
    op.create_index(op.f("ix_login_attempts_at"), "login_attempts", ["at"], unique=False)
    op.create_index(op.f("ix_login_attempts_attempt"), "login_attempts", ["attempt"], unique=False)
    op.create_index(
        op.f("ix_login_attempts_counted_under_at"),
        "login_attempts",
        ["counted_under", "at"],
        unique=False,
    )
    op.create_table(
        "quarantine_items",
        sa.Column("id", BIG_KEY, nullable=False),
        sa.Column("door", sa.String(length=16), nullable=False),
        sa.Column("corp", sa.String(length=256), nullable=True),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("size", BIG_KEY, nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(length=32), nullable=False),
        sa.Column("bucket_id", BIG_KEY, nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("blob", sa.String(length=64), nullable=True),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantine_items")),
    )
    op.create_index(
        "ix_quarantine_items_state_id", "quarantine_items", ["state", "id"], unique=False
    )
    op.create_index(
        "uq_quarantine_items_fingerprint", "quarantine_items", ["fingerprint"], unique=True
    )
    op.create_table(
        "records",
        sa.Column("id", BIG_KEY, autoincrement=False, nullable=False),
        sa.Column("corp_id", BIG_KEY, nullable=False),
        sa.Column("source", sa.String(length=256), nullable=False),
        sa.Column("source_msg_id", sa.String(length=256), nullable=False),
        sa.Column("source_seq", BIG_KEY, nullable=True),
        sa.Column("sent_at", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("conversation_id", BIG_KEY, nullable=False),
        sa.Column("counter", BIG_KEY, nullable=False),
        sa.Column("audience_id", BIG_KEY, nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("recipients", sa.Text(), nullable=False),
        sa.Column("direction", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("recalls", sa.String(length=256), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("has_media", sa.Boolean(), nullable=False),
        sa.Column("suite", sa.Integer(), nullable=False),
        sa.Column("bucket_id", BIG_KEY, nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_records")),
    )
    op.create_index("ix_records_audience_id", "records", ["audience_id", "id"], unique=False)
    op.create_index(
        "ix_records_recalls",
        "records",
        ["corp_id", "recalls"],
        unique=False,
        sqlite_where=sa.text("recalls IS NOT NULL"),
        postgresql_where=sa.text("recalls IS NOT NULL"),
    )
    op.create_index(
        "uq_records_conversation_id_counter", "records", ["conversation_id", "counter"], unique=True
    )
    op.create_index(
        "uq_records_corp_id_source_source_msg_id",
        "records",
        ["corp_id", "source", "source_msg_id"],
        unique=True,
    )
    op.create_table(
        "users",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("login", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("password_hash", sa.String(length=256), nullable=False),
        sa.Column("employee_id", BIG_KEY, nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("disabled_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("login", name=op.f("uq_users_login")),
    )
    op.create_table(
        "alerts",
        sa.Column("number", BIG_KEY, nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("record_id", BIG_KEY, nullable=False),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("category", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=True),
        sa.Column("owner_name", sa.Text(), nullable=True),
        sa.Column("disposition", sa.String(length=32), nullable=True),
        sa.Column("raised_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["record_id"], ["records.id"], name=op.f("fk_alerts_record_id")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_alerts")),
        sa.UniqueConstraint("id", name=op.f("uq_alerts_id")),
        sa.UniqueConstraint("record_id", name=op.f("uq_alerts_record_id")),
    )
    op.create_index("ix_alerts_state_number", "alerts", ["state", "number"], unique=False)
    op.create_table(
        "audiences",
        sa.Column("id", BIG_KEY, nullable=False),
        sa.Column("corp_id", BIG_KEY, nullable=False),
        sa.Column("tag", sa.LargeBinary(length=16), nullable=False),
        sa.ForeignKeyConstraint(["corp_id"], ["corps.id"], name=op.f("fk_audiences_corp_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audiences")),
    )
    op.create_index("uq_audiences_corp_id_tag", "audiences", ["corp_id", "tag"], unique=True)
    op.create_table(
        "clients",
        sa.Column("id", BIG_KEY, autoincrement=True, nullable=False),
        sa.Column("corp_id", BIG_KEY, nullable=False),
        sa.Column("external_id", sa.String(length=256), nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("provisional", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["corp_id"], ["corps.id"], name=op.f("fk_clients_corp_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clients")),
        sa.UniqueConstraint("corp_id", "external_id", name=op.f("uq_clients_corp_id_external_id")),
    )
    op.create_table(
        "conversations",
        sa.Column("id", BIG_KEY, nullable=False),
        sa.Column("corp_id", BIG_KEY, nullable=False),
        sa.Column("tag", sa.LargeBinary(length=16), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("external_id", sa.String(length=256), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["corp_id"], ["corps.id"], name=op.f("fk_conversations_corp_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conversations")),
    )
    op.create_index(
        "uq_conversations_corp_id_tag", "conversations", ["corp_id", "tag"], unique=True
    )
    op.create_table(
        "departments",
        sa.Column("id", BIG_KEY, autoincrement=True, nullable=False),
        sa.Column("corp_id", BIG_KEY, nullable=False),
        sa.Column("code", sa.String(length=256), nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("parent_id", BIG_KEY, nullable=True),
        sa.ForeignKeyConstraint(["corp_id"], ["corps.id"], name=op.f("fk_departments_corp_id")),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["departments.id"], name=op.f("fk_departments_parent_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_departments")),
        sa.UniqueConstraint("corp_id", "code", name=op.f("uq_departments_corp_id_code")),
    )
    op.create_index(op.f("ix_departments_parent_id"), "departments", ["parent_id"], unique=False)
    op.create_table(
        "employees",
        sa.Column("id", BIG_KEY, autoincrement=True, nullable=False),
        sa.Column("corp_id", BIG_KEY, nullable=False),
        sa.Column("userid", sa.String(length=256), nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("supervisor_id", BIG_KEY, nullable=True),
        sa.Column("provisional", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["corp_id"], ["corps.id"], name=op.f("fk_employees_corp_id")),
        sa.ForeignKeyConstraint(
            ["supervisor_id"], ["employees.id"], name=op.f("fk_employees_supervisor_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_employees")),
        sa.UniqueConstraint("corp_id", "userid", name=op.f("uq_employees_corp_id_userid")),
    )
    op.create_index(
        op.f("ix_employees_supervisor_id"), "employees", ["supervisor_id"], unique=False
    )
    op.create_table(
        "sessions",
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sessions_user_id")),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_sessions")),
    )
    op.create_index(op.f("ix_sessions_expires_at"), "sessions", ["expires_at"], unique=False)
    op.create_index(op.f("ix_sessions_user_id"), "sessions", ["user_id"], unique=False)
    op.create_table(
        "user_roles",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("department_id", BIG_KEY, nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_user_roles_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_roles")),
        sa.UniqueConstraint(
            "user_id",
            "role",
            "department_id",
            name=op.f("uq_user_roles_user_id_role_department_id"),
        ),
    )
    op.create_index(
        "uq_user_roles_everywhere",
        "user_roles",
        ["user_id", "role"],
        unique=True,
        sqlite_where=sa.text("department_id IS NULL"),
        postgresql_where=sa.text("department_id IS NULL"),
    )
    op.create_table(
        "alert_steps",
        sa.Column("id", BIG_KEY, nullable=False),
        sa.Column("alert_number", BIG_KEY, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("actor_name", sa.Text(), nullable=False),
        sa.Column("disposition", sa.String(length=32), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["alert_number"], ["alerts.number"], name=op.f("fk_alert_steps_alert_number")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_steps")),
    )
    op.create_index(
        op.f("ix_alert_steps_alert_number"), "alert_steps", ["alert_number"], unique=False
    )
    op.create_table(
        "assignments",
        sa.Column("id", BIG_KEY, autoincrement=True, nullable=False),
        sa.Column("client_id", BIG_KEY, nullable=False),
        sa.Column("employee_id", BIG_KEY, nullable=False),
        sa.Column("start_at", sa.BigInteger(), nullable=False),
        sa.Column("end_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["client_id"], ["clients.id"], name=op.f("fk_assignments_client_id")
        ),
        sa.ForeignKeyConstraint(
            ["employee_id"], ["employees.id"], name=op.f("fk_assignments_employee_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assignments")),
        sa.UniqueConstraint(
            "client_id",
            "employee_id",
            "start_at",
            name=op.f("uq_assignments_client_id_employee_id_start_at"),
        ),
    )
    op.create_index(
        op.f("ix_assignments_employee_id"), "assignments", ["employee_id"], unique=False
    )
    op.create_table(
        "audience_parties",
        sa.Column("audience_id", BIG_KEY, nullable=False),
        sa.Column("party_type", sa.String(length=16), nullable=False),
        sa.Column("party_id", sa.String(length=256), nullable=False),
        sa.ForeignKeyConstraint(
            ["audience_id"], ["audiences.id"], name=op.f("fk_audience_parties_audience_id")
        ),
        sa.PrimaryKeyConstraint(
            "audience_id", "party_type", "party_id", name=op.f("pk_audience_parties")
        ),
    )
    op.create_index("ix_audience_parties_party_id", "audience_parties", ["party_id"], unique=False)
    op.create_table(
        "groups",
        sa.Column("id", BIG_KEY, autoincrement=True, nullable=False),
        sa.Column("corp_id", BIG_KEY, nullable=False),
        sa.Column("group_id", sa.String(length=256), nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("owner_id", BIG_KEY, nullable=True),
        sa.Column("provisional", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["corp_id"], ["corps.id"], name=op.f("fk_groups_corp_id")),
        sa.ForeignKeyConstraint(["owner_id"], ["employees.id"], name=op.f("fk_groups_owner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_groups")),
        sa.UniqueConstraint("corp_id", "group_id", name=op.f("uq_groups_corp_id_group_id")),
    )
    op.create_index(op.f("ix_groups_owner_id"), "groups", ["owner_id"], unique=False)
    op.create_table(
        "memberships",
        sa.Column("id", BIG_KEY, autoincrement=True, nullable=False),
        sa.Column("employee_id", BIG_KEY, nullable=False),
        sa.Column("department_id", BIG_KEY, nullable=False),
        sa.Column("start_at", sa.BigInteger(), nullable=False),
        sa.Column("end_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["department_id"], ["departments.id"], name=op.f("fk_memberships_department_id")
        ),
        sa.ForeignKeyConstraint(
            ["employee_id"], ["employees.id"], name=op.f("fk_memberships_employee_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_memberships")),
        sa.UniqueConstraint(
            "employee_id",
            "department_id",
            "start_at",
            name=op.f("uq_memberships_employee_id_department_id_start_at"),
        ),
    )
    op.create_index(
        op.f("ix_memberships_department_id"), "memberships", ["department_id"], unique=False
    )
    op.create_table(
        "group_members",
        sa.Column("id", BIG_KEY, autoincrement=True, nullable=False),
        sa.Column("group_id", BIG_KEY, nullable=False),
        sa.Column("employee_id", BIG_KEY, nullable=True),
        sa.Column("client_id", BIG_KEY, nullable=True),
        sa.ForeignKeyConstraint(
            ["client_id"], ["clients.id"], name=op.f("fk_group_members_client_id")
        ),
        sa.ForeignKeyConstraint(
            ["employee_id"], ["employees.id"], name=op.f("fk_group_members_employee_id")
        ),
        sa.ForeignKeyConstraint(
            ["group_id"], ["groups.id"], name=op.f("fk_group_members_group_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_group_members")),
    )
    op.create_index(
        op.f("ix_group_members_client_id"), "group_members", ["client_id"], unique=False
    )
    op.create_index(
        op.f("ix_group_members_employee_id"), "group_members", ["employee_id"], unique=False
    )
    op.create_index(op.f("ix_group_members_group_id"), "group_members", ["group_id"], unique=False)

    for table in APPEND_ONLY:
        append_only(op.get_bind(), table)


def downgrade() -> None:
    op.drop_index(op.f("ix_group_members_group_id"), table_name="group_members")
    op.drop_index(op.f("ix_group_members_employee_id"), table_name="group_members")
    op.drop_index(op.f("ix_group_members_client_id"), table_name="group_members")
    op.drop_table("group_members")
    op.drop_index(op.f("ix_memberships_department_id"), table_name="memberships")
    op.drop_table("memberships")
    op.drop_index(op.f("ix_groups_owner_id"), table_name="groups")
    op.drop_table("groups")
    op.drop_index("ix_audience_parties_party_id", table_name="audience_parties")
    op.drop_table("audience_parties")
    op.drop_index(op.f("ix_assignments_employee_id"), table_name="assignments")
    op.drop_table("assignments")
    op.drop_index(op.f("ix_alert_steps_alert_number"), table_name="alert_steps")
    op.drop_table("alert_steps")
    op.drop_index(
        "uq_user_roles_everywhere",
        table_name="user_roles",
        sqlite_where=sa.text("department_id IS NULL"),
        postgresql_where=sa.text("department_id IS NULL"),
    )
    op.drop_table("user_roles")
    op.drop_index(op.f("ix_sessions_user_id"), table_name="sessions")
    op.drop_index(op.f("ix_sessions_expires_at"), table_name="sessions")
    op.drop_table("sessions")
    op.drop_index(op.f("ix_employees_supervisor_id"), table_name="employees")
    op.drop_table("employees")
    op.drop_index(op.f("ix_departments_parent_id"), table_name="departments")
    op.drop_table("departments")
    op.drop_index("uq_conversations_corp_id_tag", table_name="conversations")
    op.drop_table("conversations")
    op.drop_table("clients")
    op.drop_index("uq_audiences_corp_id_tag", table_name="audiences")
    op.drop_table("audiences")
    op.drop_index("ix_alerts_state_number", table_name="alerts")
    op.drop_table("alerts")
    op.drop_table("users")
    op.drop_index("uq_records_corp_id_source_source_msg_id", table_name="records")
    op.drop_index("uq_records_conversation_id_counter", table_name="records")
    op.drop_index(
        "ix_records_recalls",
        table_name="records",
        sqlite_where=sa.text("recalls IS NOT NULL"),
        postgresql_where=sa.text("recalls IS NOT NULL"),
    )
    op.drop_index("ix_records_audience_id", table_name="records")
    op.drop_table("records")
    op.drop_index("uq_quarantine_items_fingerprint", table_name="quarantine_items")
    op.drop_index("ix_quarantine_items_state_id", table_name="quarantine_items")
    op.drop_table("quarantine_items")
    op.drop_index(op.f("ix_login_attempts_counted_under_at"), table_name="login_attempts")
    op.drop_index(op.f("ix_login_attempts_attempt"), table_name="login_attempts")
    op.drop_index(op.f("ix_login_attempts_at"), table_name="login_attempts")
    op.drop_table("login_attempts")
    op.drop_table("leases")
    op.drop_index("uq_jobs_kind_key", table_name="jobs")
    op.drop_index("ix_jobs_state_run_at", table_name="jobs")
    op.drop_table("jobs")
    op.drop_table("follower_cursors")
    op.drop_index("uq_findings_record_id_rule", table_name="findings")
    op.drop_index("ix_findings_category_record_id", table_name="findings")
    op.drop_table("findings")
    op.drop_table("corps")
    op.drop_table("bucket_keys")
    op.drop_index(op.f("ix_audit_events_subject_seq"), table_name="audit_events")
    op.drop_index(op.f("ix_audit_events_event_seq"), table_name="audit_events")
    op.drop_index(op.f("ix_audit_events_at"), table_name="audit_events")
    op.drop_index(op.f("ix_audit_events_actor_id_seq"), table_name="audit_events")
    op.drop_table("audit_events")
    op.drop_table("api_tokens")
