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


def _config() -> Config:
    config = Config()
    place = str(next(p for p in _PLACES if p.is_dir()))
    config.set_main_option("script_location", place.replace("%", "%%"))  # it interpolates
    return config
