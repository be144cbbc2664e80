"""The first schema. Existing data: none.

While no release has been made, this migration creates the schema as schema.py has it; with the first release the
tables are written out here and later changes get files of their own.
"""

from alembic import op

from groundswell.store.schema import metadata

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create every table."""
    metadata.create_all(op.get_bind())
