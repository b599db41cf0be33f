"""Alembic's entry: the caller brings the connection and its transaction."""

from alembic import context

from app.foundation.database import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    transactional_ddl=True,
)
context.run_migrations()
