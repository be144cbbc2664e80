"""How each message goes out, in which digest, and what was last shown of it. Existing data: kept; what is due goes out as before."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the columns."""
    op.add_column("outbox", sa.Column("how", sa.Text, nullable=False, server_default="now"))
    op.add_column("outbox", sa.Column("digest", sa.Text, nullable=True))
    op.add_column("outbox", sa.Column("shown", sa.Text, nullable=True))
