"""The index that documents are found by.

Existing data: kept; every document whose text is still there is indexed here, within the one transaction of the upgrade, so that no
search ever asks half an index.
"""

from alembic import op

from groundswell.store.search import create_index, index_all

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Create the table and fill it from documents and scores."""
    create_index(op.get_bind())
    index_all(op.get_bind())
