"""Months of the live run as partitions on PostgreSQL, and what is remembered of those that were dropped.

Existing data: kept, row by row, within the one transaction of the upgrade: increments and stories are copied into divided tables. Their
space on the disk is needed twice meanwhile; docs/months.md says how long it takes. Run deploy/postgres/roles.sql afterwards, as after every
upgrade: the divided tables are new ones. SQLite's tables stay as they are.
"""

from alembic import op

from groundswell.clock import SystemClock
from groundswell.store import schema as t
from groundswell.store.partitions import PARTITIONED, divide

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Create the two small tables, and divide the two large ones."""
    connection = op.get_bind()
    t.metadata.create_all(connection, tables=[t.dropped_months, t.dropped_counts])
    if connection.dialect.name == "postgresql":
        for table in PARTITIONED:
            divide(connection, table, now_ms=SystemClock().now_ms())
