"""What is said of a document's source: its tier and its role.

Existing data: kept. Documents that were stored before say neither, which means unknown: no sighting rests on one of them alone.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the two columns, empty."""
    op.add_column("documents", sa.Column("tier", sa.BigInteger, nullable=True))
    op.add_column("documents", sa.Column("role", sa.Text, nullable=True))
