"""Suspects, taken, removals and conditions. Existing data: kept; `taken` begins to count at the first batch after the upgrade."""

from alembic import op

from groundswell.store import schema as t

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the new tables."""
    t.metadata.create_all(op.get_bind(), tables=[t.suspects, t.taken, t.removals, t.conditions])
