"""Alembic calls this with the connection that migrate.upgrade opened."""

from alembic import context

from groundswell.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
