"""Suspects, taken, removals and conditions. Existing data: kept; what was read so far is counted from the rows that tell its fate."""

from alembic import op

from groundswell.store import schema as t

revision = "0002"
down_revision = "0001"

COUNT_TAKEN = """
INSERT INTO taken (run, part, source, documents)
SELECT run, part, source, count(*)
FROM (SELECT run, part, source FROM admissions UNION ALL SELECT run, part, source FROM drops WHERE part >= 0) AS fates
GROUP BY run, part, source
"""


def upgrade() -> None:
    """Create the new tables."""
    t.metadata.create_all(op.get_bind(), tables=[t.suspects, t.taken, t.removals, t.conditions])
    op.execute(COUNT_TAKEN)
