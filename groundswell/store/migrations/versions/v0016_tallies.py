"""Sums of what became of records, so that the balance need not count a whole run; decisions by their reason through an index.

Existing data: kept; nothing is summed yet, so the balance counts every row, as before, until the lookout has summed them once.
"""

from alembic import op

from groundswell.store import schema as t

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Create the tables and the index."""
    t.metadata.create_all(op.get_bind(), tables=[t.tallied, t.tallies, t.reach])
    op.create_index("decisions_reason", "decisions", ["run", "verdict", "reason"])
