"""Alembic's entry: migrates the connection that ``whet.store.schema.migrate`` hands over."""

from __future__ import annotations

from alembic import context

from whet.store.tables import metadata


def migrate() -> None:
    """Run what Alembic was asked for, in the transaction that the connection is in already."""
    context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
    context.run_migrations()


if __name__ == "env_py":  # the name under which Alembic loads this file; an ordinary import does nothing
    migrate()
