"""Decisions by their tick through an index: the near misses of a week no longer read those of all years.

Existing data: kept, unchanged.
"""

from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Create the index."""
    op.create_index("decisions_tick", "decisions", ["run", "tick"])
