"""Which targets their readers have stopped.

Existing data: untouched; the new table is empty, so everybody goes on getting what they got.
"""

from alembic import op

from groundswell.store import schema as t

revision = "0015"
down_revision = "0011"


def upgrade() -> None:
    """Create the table."""
    t.metadata.create_all(op.get_bind(), tables=[t.stops])
