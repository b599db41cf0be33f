"""Bring a database to the schema this version needs: one Alembic tree for SQLite and PostgreSQL."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from app.foundation.database import Database, exclusive
from app.foundation.errors import Unavailable

_PACKAGE = Path(__file__).resolve().parent.parent
_PLACES = (_PACKAGE / "_migrations", _PACKAGE.parent / "migrations")  # in a wheel, in a checkout


class SchemaOutdated(Unavailable):
    """The database was made by another version of the product."""

    code = "schema_outdated"
    title = "数据库结构版本不符"


def migrate(db: Database) -> None:
    """Apply what is missing, in one transaction; one process at a time."""
    with db.write() as connection:
        exclusive(connection, "migrate")
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def check(connection: Connection) -> None:
    """Raise `SchemaOutdated` unless the database is at this version's schema."""
    scripts = ScriptDirectory.from_config(_config())
    head = scripts.get_current_head()
    found = MigrationContext.configure(connection).get_current_revision()
    if found == head:
        return
    is_older = found in {None, *(script.revision for script in scripts.walk_revisions())}
    advice = "请运行 liuhen init" if is_older else "请使用更新的程序版本"
    raise SchemaOutdated(f"数据库为 {found}，程序需要 {head}；{advice}")


def append_only(connection: Connection, table: str) -> None:
    """Have the database itself refuse to change or remove a row; for migrations.

    `INSERT OR REPLACE` on SQLite fires delete triggers only with `recursive_triggers`, which the writer sets.
    """
    for statement in _GUARDS[connection.dialect.name]:
        connection.exec_driver_sql(statement.replace("{table}", table))


_GUARDS = {
    "sqlite": [
        f"CREATE TRIGGER {{table}}_no_{deed.lower()} BEFORE {deed} ON {{table}}"
        " BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        for deed in ("UPDATE", "DELETE")
    ],
    "postgresql": [
        (
            "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION '%% is append-only', TG_TABLE_NAME; END $$"
        ),
        (
            "CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        ),
        (
            "CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        ),
    ],
}


def let_blank(connection: Connection) -> None:
    """Let a record lose its content, and nothing else, once its key is destroyed; refuse to destroy a held key.

    For migrations: replaces the guard of `records` and adds one to `bucket_keys`.
    """
    for statement in _BLANKING[connection.dialect.name]:
        connection.exec_driver_sql(statement)


_KEPT = (
    "id",
    "corp_id",
    "source",
    "source_msg_id",
    "source_seq",
    "sent_at",
    "received_at",
    "conversation_id",
    "counter",
    "audience_id",
    "sender",
    "recipients",
    "direction",
    "kind",
    "action",
    "recalls",
    "has_media",
    "suite",
    "bucket_id",
    "leaf",
)
_IS_BLANKING = (
    "NEW.text = '' AND length(NEW.wrapped_key) = 0 AND length(NEW.sealed) = 0 AND length(NEW.digest) = 0"
    " AND EXISTS (SELECT 1 FROM bucket_keys WHERE id = OLD.bucket_id AND wrapped IS NULL)"
)
_SAME_SQLITE = " AND ".join(f"NEW.{name} IS OLD.{name}" for name in _KEPT)
_SAME_POSTGRESQL = " AND ".join(f"NEW.{name} IS NOT DISTINCT FROM OLD.{name}" for name in _KEPT)
_IS_HELD = (
    "OLD.wrapped IS NOT NULL AND NEW.wrapped IS NULL"
    " AND EXISTS (SELECT 1 FROM key_holds WHERE bucket_id = OLD.id)"
)
_HELD_SQLITE = "EXISTS (SELECT 1 FROM key_holds WHERE bucket_id = OLD.id)"
_BLANKING = {
    "sqlite": [
        "DROP TRIGGER records_no_update",
        (
            "CREATE TRIGGER records_no_update BEFORE UPDATE ON records"
            f" WHEN NOT ({_IS_BLANKING} AND {_SAME_SQLITE})"
            " BEGIN SELECT RAISE(ABORT, 'records is append-only'); END"
        ),
        (
            "CREATE TRIGGER bucket_keys_held BEFORE UPDATE ON bucket_keys"
            f" WHEN {_IS_HELD} BEGIN SELECT RAISE(ABORT, 'key is held'); END"
        ),
        (
            "CREATE TRIGGER bucket_keys_held_stay BEFORE DELETE ON bucket_keys"
            f" WHEN {_HELD_SQLITE} BEGIN SELECT RAISE(ABORT, 'key is held'); END"
        ),
    ],
    "postgresql": [
        (
            "CREATE FUNCTION refuse_unless_blanking() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN IF TG_OP = 'UPDATE' THEN"
            f" IF {_IS_BLANKING} AND {_SAME_POSTGRESQL} THEN RETURN NEW; END IF; END IF;"
            " RAISE EXCEPTION '%% is append-only', TG_TABLE_NAME; END $$"
        ),
        "DROP TRIGGER records_append_only ON records",
        (
            "CREATE TRIGGER records_append_only BEFORE UPDATE OR DELETE ON records"
            " FOR EACH ROW EXECUTE FUNCTION refuse_unless_blanking()"
        ),
        (
            "CREATE FUNCTION refuse_held() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN IF EXISTS (SELECT 1 FROM key_holds WHERE bucket_id = OLD.id) THEN"
            " IF TG_OP = 'DELETE' THEN RAISE EXCEPTION 'key is held'; END IF;"
            " IF NEW.wrapped IS NULL AND OLD.wrapped IS NOT NULL THEN"
            " RAISE EXCEPTION 'key is held'; END IF; END IF;"
            " IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; RETURN NEW; END $$"
        ),
        (
            "CREATE TRIGGER bucket_keys_held BEFORE UPDATE OR DELETE ON bucket_keys"
            " FOR EACH ROW EXECUTE FUNCTION refuse_held()"
        ),
    ],
}


def _config() -> Config:
    config = Config()
    place = str(next(p for p in _PLACES if p.is_dir()))
    config.set_main_option("script_location", place.replace("%", "%%"))  # it interpolates
    return config
