"""Which targets their readers have stopped, and when each message was taken.

Existing data: kept; the new table is empty, so everybody goes on getting what they got, and of messages that were sent before nobody
knows when.
"""

import sqlalchemy as sa
from alembic import op

from groundswell.store import schema as t

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Create the table, add the column."""
    t.metadata.create_all(op.get_bind(), tables=[t.stops])
    op.add_column("outbox", sa.Column("sent_ms", sa.BigInteger, nullable=True))
